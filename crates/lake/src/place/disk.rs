//! A folder of a disk.
//!
//! The one law: the folder's handle is the only way to it, so neither `..` nor a symbolic link leads out.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::fs::Dir;
use object_store::ObjectStore;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::RangeReader;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::kernel_store::DiskStore;
use super::{ENTRIES_MAX, Entry, Opened, Place, Trouble, chain, check_range};
use crate::fault::{absent, blocking, leaves_folder};

/// Reads up to this many bytes are done at once; a local disk answers sooner than another thread would.
const INLINE_READ_MAX: u64 = 1024 * 1024;

/// Deepest folder that is entered.
const DEPTH_MAX: usize = 64;

/// Files read at the same time: a disk gains little from more.
const PARALLEL_READS: usize = 4;

/// A folder of a disk.
#[derive(Clone, Debug)]
pub(crate) struct DiskPlace {
    dir: Arc<Dir>,
}

impl DiskPlace {
    pub(crate) fn new(dir: Dir) -> Self {
        Self { dir: Arc::new(dir) }
    }

    fn walk_into(
        dir: &Dir,
        prefix: &str,
        depth: usize,
        enter: &dyn Fn(&str) -> bool,
        found: &mut Vec<Entry>,
    ) -> Result<(), Trouble> {
        for entry in dir.entries()? {
            let entry = entry?;
            // Only UTF-8 names can be told to anybody.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let kind = entry.file_type()?;
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                if enter(&name) {
                    if depth >= DEPTH_MAX {
                        return Err(Trouble::Many);
                    }
                    let below = format!("{path}/");
                    Self::walk_into(&entry.open_dir()?, &below, depth + 1, enter, found)?;
                }
                continue;
            }
            // A link is followed as far as the folder lets it; one to a folder could lead in a circle.
            let metadata = if kind.is_symlink() {
                dir.metadata(&name)?
            } else {
                entry.metadata()?
            };
            if metadata.is_dir() {
                return Err(Trouble::Outside);
            }
            if metadata.is_file() {
                found.push(Entry {
                    path,
                    bytes: metadata.len(),
                    tag: Some(tag(
                        cap_std::fs::MetadataExt::mtime(&metadata),
                        cap_std::fs::MetadataExt::mtime_nsec(&metadata),
                    )),
                });
            }
            if found.len() > ENTRIES_MAX {
                return Err(Trouble::Many);
            }
        }
        Ok(())
    }
}

/// The instant of the last change, as a tag.
fn tag(seconds: i64, nanoseconds: i64) -> String {
    format!("mtime {seconds}.{nanoseconds:09}")
}

impl Place for DiskPlace {
    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, Trouble> {
        let mut found = Vec::new();
        for entry in self.dir.read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            found.push(Entry {
                path: format!("{folder}/{name}"),
                bytes: 0,
                tag: None,
            });
            if found.len() > ENTRIES_MAX {
                return Err(Trouble::Many);
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn walk(&self, enter: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>, Trouble> {
        let mut found = Vec::new();
        Self::walk_into(&self.dir, "", 0, enter, &mut found)?;
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn read(&self, path: &str) -> Result<Box<dyn Read + Send>, Trouble> {
        if !self.dir.symlink_metadata(path)?.is_file() {
            return Err(Trouble::Outside);
        }
        Ok(Box::new(self.dir.open(path)?.into_std()))
    }

    fn open(&self, path: &str, name: &str) -> Result<Opened, Trouble> {
        // Asked first, because opening a pipe would wait for its other end.
        if !self.dir.metadata(path)?.is_file() {
            return Err(Trouble::Changed);
        }
        let file = self.dir.open(path)?.into_std();
        let metadata = file.metadata()?;
        Ok(Opened {
            tag: Some(tag(metadata.mtime(), metadata.mtime_nsec())),
            reader: Arc::new(DiskFile {
                file: Arc::new(file),
                size: metadata.len(),
                name: name.into(),
            }),
        })
    }

    fn kernel_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(DiskStore::new(Arc::clone(&self.dir)))
    }

    fn folder(&self, path: &str) -> Result<Arc<dyn Place>, Trouble> {
        Ok(Arc::new(Self::new(self.dir.open_dir(path)?)))
    }

    fn parallel_reads(&self) -> usize {
        PARALLEL_READS
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if leaves_folder(&error) {
            return Self::Outside;
        }
        if absent(&error) {
            return Self::Absent;
        }
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Self::Denied(chain(&error));
        }
        Self::Unreachable(chain(&error))
    }
}

/// An opened file; the handle pins it.
#[derive(Clone, Debug)]
struct DiskFile {
    file: Arc<File>,
    size: u64,
    name: Arc<str>,
}

impl DiskFile {
    fn read_now(&self, range: &Range<u64>) -> Result<Bytes, Fault> {
        check_range(&self.name, range, self.size)?;
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut buffer = Vec::with_capacity(length);
        while buffer.len() < length {
            let at = range.start + buffer.len() as u64;
            match pread(&self.file, spare_capacity(&mut buffer), at) {
                Ok(0) => {
                    let message = format!("{} became shorter while it was read", self.name);
                    return Err(Fault::new(ErrorCode::SourceChanged, message));
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    let trouble = Trouble::from(io::Error::from(error));
                    return Err(trouble.fault(ErrorCode::SourceVanished, &self.name));
                }
            }
        }
        // There may have been room for more.
        buffer.truncate(length);
        Ok(buffer.into())
    }
}

#[async_trait]
impl RangeReader for DiskFile {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        if range.end.saturating_sub(range.start) <= INLINE_READ_MAX {
            return self.read_now(&range);
        }
        let file = self.clone();
        blocking(self.name.to_string(), move || file.read_now(&range)).await
    }
}
