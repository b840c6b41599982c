//! A place of files: a folder below a lake root, on a disk or in an object store. Read-only.
//!
//! Everything that reads tables reads through this seam. Its calls block, because the table library's do; they are
//! made away from the runtime's own threads.
//!
//! The one law: no path given to a place leads out of it.

mod disk;
mod engine;
mod kernel_store;
mod store;

use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use object_store::ObjectStore;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::RangeReader;

pub(crate) use disk::DiskPlace;
pub(crate) use engine::ConfinedEngine;
pub(crate) use store::StorePlace;

/// URL of a table as the library is told it. Everything the library reads must be below it.
pub(crate) const TABLE_URL: &str = "lake:///";

/// Most files of one place that are listed.
pub(crate) const ENTRIES_MAX: usize = 4_000_000;

/// Largest single read.
const READ_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// A file as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Path below the place.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) bytes: u64,
    /// What tells these bytes from others at the same path.
    pub(crate) tag: Option<String>,
}

/// A file opened for reading at random, pinned to the bytes it has now.
pub(crate) struct Opened {
    /// What tells its bytes from others.
    pub(crate) tag: Option<String>,
    /// Its bytes.
    pub(crate) reader: Arc<dyn RangeReader>,
}

/// A folder of files.
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// Files directly in the folder, in the order of their names; only those after the name, when one is given.
    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, Trouble>;

    /// Files at any depth, in folders whose names pass the test, in the order of their paths.
    fn walk(&self, enter: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>, Trouble>;

    /// The file from its beginning to its end.
    fn read(&self, path: &str) -> Result<Box<dyn Read + Send>, Trouble>;

    /// Opens the file for reading at random. `name` is how faults call it.
    fn open(&self, path: &str, name: &str) -> Result<Opened, Trouble>;

    /// The place as the table library wants to see it.
    fn kernel_store(&self) -> Arc<dyn ObjectStore>;

    /// A folder of this place.
    fn folder(&self, path: &str) -> Result<Arc<dyn Place>, Trouble>;

    /// How many files are worth reading at the same time.
    fn parallel_reads(&self) -> usize;
}

/// Why a place could not answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is nothing of that kind at the path.
    Absent,
    /// The path leads out of the place.
    Outside,
    /// The place refuses us.
    Denied(String),
    /// The bytes are others than before.
    Changed,
    /// Too many files.
    Many,
    /// It does not answer.
    Unreachable(String),
    /// It may not be spoken to, or is not who it says.
    Refused(Box<Fault>),
}

impl Trouble {
    /// The fault for outside. `missing` is the code for something that is not there.
    pub(crate) fn fault(self, missing: ErrorCode, what: &str) -> Fault {
        let caused = |code, text: String, cause| Fault {
            code,
            message: text,
            cause: Some(cause),
        };
        match self {
            Self::Absent => Fault::new(missing, format!("{what} does not exist")),
            Self::Outside => Fault::new(
                ErrorCode::SourceOutsideRoot,
                format!(
                    "{what} is no plain file or folder inside its lake root, but leaves it as a symbolic link or path"
                ),
            ),
            Self::Changed => Fault::new(
                ErrorCode::SourceChanged,
                format!("{what} has other bytes now, or is no longer a plain file"),
            ),
            Self::Many => Fault::new(
                ErrorCode::SourceCorrupt,
                format!("{what} has more than {ENTRIES_MAX} files"),
            ),
            Self::Denied(cause) => caused(
                ErrorCode::SourceDenied,
                format!("{what} may not be read"),
                cause,
            ),
            Self::Refused(fault) => Fault {
                message: format!("{what} could not be read: {}", fault.message),
                ..*fault
            },
            Self::Unreachable(cause) => caused(
                ErrorCode::SourceUnreachable,
                format!("{what} could not be read"),
                cause,
            ),
        }
    }
}

/// Refuses a range that the file doesn't have; a hostile footer can ask for anything.
fn check_range(name: &str, range: &Range<u64>, size: u64) -> Result<(), Fault> {
    let length = range.end.saturating_sub(range.start);
    if range.start <= range.end && range.end <= size && length <= READ_BYTES_MAX {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::SourceCorrupt,
        format!(
            "{name} cannot be decoded: it refers to bytes that it does not have: {}..{} of {size}",
            range.start, range.end
        ),
    ))
}

/// An error's own words with those of its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    Fault::new(ErrorCode::Internal, "")
        .because(error)
        .cause
        .unwrap_or_default()
}
