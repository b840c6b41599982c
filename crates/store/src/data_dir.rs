//! The data directory: who may use it, and who uses it now.
//!
//! The one law: one process holds the lock for as long as it has the database open.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use offtake_model::{ErrorCode, Fault};

const LOCK_NAME: &str = "offtake.lock";
const DATABASE_NAME: &str = "offtake.db";
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A data directory that is locked for this process until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be and takes its lock.
    pub(crate) fn lock(path: &Path) -> Result<Self, Fault> {
        create(path).map_err(|error| unusable(path, "create", &error))?;
        let lock = private(&path.join(LOCK_NAME))
            .map_err(|error| unusable(path, "open the lock file of", &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Fault::new(
                ErrorCode::DataDirInUse,
                format!(
                    "data directory {} is in use by another offtake process",
                    path.display()
                ),
            )),
            Err(TryLockError::Error(error)) => Err(unusable(path, "lock", &error)),
        }
    }

    /// The database file, readable by nobody else. `SQLite` gives its side files the same mode.
    pub(crate) fn database(&self) -> Result<PathBuf, Fault> {
        let file = database_in(&self.path);
        private(&file)
            .and_then(|opened| opened.set_permissions(PermissionsExt::from_mode(FILE_MODE)))
            .map_err(|error| unusable(&self.path, "create the database in", &error))?;
        Ok(file)
    }
}

/// Where the database of a data directory is.
pub(crate) fn database_in(dir: &Path) -> PathBuf {
    dir.join(DATABASE_NAME)
}

/// Makes the directory for its owner only. One that exists keeps its mode: it may be a mounted volume.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
}

/// The fault for a data directory that cannot be used.
pub(crate) fn unusable(path: &Path, verb: &str, error: &io::Error) -> Fault {
    Fault::new(
        ErrorCode::StoreUnavailable,
        format!("failed to {verb} data directory {}", path.display()),
    )
    .because(error)
}
