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

/// The database of a restore that has not been finished.
pub(crate) const RESTORING_NAME: &str = "offtake.db.restoring";

/// What lies in a backup and in no data directory.
const BACKUP_NAME: &str = "backup.json";

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A data directory that is locked for this process until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be and takes its lock, unless it is a backup or a restore that broke off.
    pub(crate) fn lock(path: &Path) -> Result<Self, Fault> {
        let locked = Self::lock_any(path)?;
        for (name, is) in [
            (BACKUP_NAME, "is a backup, not a data directory"),
            (
                RESTORING_NAME,
                "holds a restore that was not finished; empty it and restore again",
            ),
        ] {
            if path.join(name).exists() {
                return Err(Fault::new(
                    ErrorCode::BackupUnusable,
                    format!("data directory {} {is}", path.display()),
                ));
            }
        }
        Ok(locked)
    }

    /// Makes the directory if need be and takes its lock, whatever lies in it.
    pub(crate) fn lock_any(path: &Path) -> Result<Self, Fault> {
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

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of something in it that is not the lock, when there is anything.
    pub(crate) fn first_entry(&self) -> Result<Option<String>, Fault> {
        let failed = |error| unusable(&self.path, "look into", &error);
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name != LOCK_NAME {
                return Ok(Some(name.to_string_lossy().into_owned()));
            }
        }
        Ok(None)
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

/// Makes a file that nobody else can read, and that did not exist.
pub(crate) fn private_new(path: &Path) -> io::Result<()> {
    let options = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path);
    options.map(drop)
}

/// The fault for a data directory that cannot be used.
pub(crate) fn unusable(path: &Path, verb: &str, error: &io::Error) -> Fault {
    Fault::new(
        ErrorCode::StoreUnavailable,
        format!("failed to {verb} data directory {}", path.display()),
    )
    .because(error)
}
