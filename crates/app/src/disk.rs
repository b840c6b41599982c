//! How much room there is.

use std::io;
use std::path::Path;

/// A disk's room, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    /// What this process may still write.
    pub(crate) free: u64,
    /// All of it.
    pub(crate) size: u64,
}

impl Disk {
    /// The disk under a path.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let about = rustix::fs::statvfs(path)?;
        Ok(Self {
            free: about.f_bavail.saturating_mul(about.f_frsize),
            size: about.f_blocks.saturating_mul(about.f_frsize),
        })
    }
}
