//! The key files: 32 random bytes each, that only their owner may read. `offtake.key` holds the current key,
//! `offtake.key.former.<id>` one that it took over from.
//!
//! The one law: a key is replaced only after it has another name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::rand;
use offtake_model::{ErrorCode, Fault, Millis};
use zeroize::Zeroizing;

use super::KEY_BYTES;
use crate::data_dir;

const KEY_NAME: &str = "offtake.key";
/// Begins the name of a former key's file; its id follows.
pub(super) const FORMER_PREFIX: &str = "offtake.key.former.";

const KEY_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Reads the directory's key, making a random one first when there is none.
pub(super) fn read_or_create(dir: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
    let path = dir.join(KEY_NAME);
    match File::open(&path) {
        Ok(file) => return read(&file, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("open", &path, &error)),
    }
    data_dir::create(dir).map_err(|error| data_dir::unusable(dir, "create", &error))?;
    create(dir, &path).map_err(|error| failed("create", &path, &error))?;
    tracing::info!(
        file = %path.display(),
        "made a key file; keep a copy of it, without it sealed secrets cannot be read"
    );
    let file = File::open(&path).map_err(|error| failed("open", &path, &error))?;
    read(&file, &path)
}

/// Reads a key under its own name.
pub(super) fn read_path(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
    let file = File::open(path).map_err(|error| failed("open", path, &error))?;
    read(&file, path)
}

/// The files of former keys in a data directory.
pub fn former_keys(dir: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = std::fs::read_dir(dir).map_err(|error| failed("list", dir, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", dir, &error))?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.starts_with(FORMER_PREFIX))
        {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Gives the current key its name as a former one, then puts a new random key in its place at one stroke.
pub(super) fn rotate(
    dir: &Path,
    now: Millis,
    former_path: impl Fn(&str) -> PathBuf,
) -> Result<(), Fault> {
    let path = dir.join(KEY_NAME);
    let old = read_path(&path)?;
    let former = former_path(&super::ring::id_of(&old));
    let steps = || {
        match std::fs::hard_link(&path, &former) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => File::open(dir)?.sync_all()?,
        }
        // Its age as a former key is counted from here.
        File::open(&former)?
            .set_modified(UNIX_EPOCH + Duration::from_millis(now.0.unsigned_abs()))?;
        let draft = draft_in(dir)?;
        write(&draft)?;
        std::fs::rename(&draft, &path)?;
        File::open(dir)?.sync_all()
    };
    steps().map_err(|error| failed("replace", &path, &error))
}

/// Since when the key is a former one.
pub(super) fn since(path: &Path) -> Result<Millis, Fault> {
    let modified = std::fs::metadata(path).and_then(|about| about.modified());
    let modified = modified.map_err(|error| failed("look at", path, &error))?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// Removes a former key for good.
pub(super) fn remove(dir: &Path, path: &Path) -> Result<(), Fault> {
    std::fs::remove_file(path)
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(|error| failed("remove", path, &error))
}

fn read(mut file: &File, path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
    let about = file
        .metadata()
        .map_err(|error| failed("look at", path, &error))?;
    let mode = about.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(refused(
            path,
            &format!(
                "can be read by others (mode {:03o}); run chmod 600 on it",
                mode & 0o777
            ),
        ));
    }
    if about.len() != KEY_BYTES as u64 {
        return Err(refused(
            path,
            &format!(
                "holds {} bytes, a key has {KEY_BYTES}; put the right file back",
                about.len()
            ),
        ));
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(key.as_mut_slice())
        .map_err(|error| failed("read", path, &error))?;
    Ok(key)
}

/// Writes a whole key under another name first and links it in, so that no reader ever sees half a key and the
/// first of two writers wins.
fn create(dir: &Path, path: &Path) -> io::Result<()> {
    let draft = draft_in(dir)?;
    let written = write(&draft).and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let removed = std::fs::remove_file(&draft);
    written.and(removed)?;
    File::open(dir)?.sync_all()
}

fn draft_in(dir: &Path) -> io::Result<PathBuf> {
    let mut name = [0; 8];
    rand::fill(&mut name).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(dir.join(format!("{KEY_NAME}.{}", hex::encode(name))))
}

fn write(draft: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(key.as_mut_slice()).map_err(|_| io::Error::other("no random bytes"))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(KEY_MODE)
        .open(draft)?;
    file.write_all(key.as_slice())?;
    file.sync_all()
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> Fault {
    Fault::new(
        ErrorCode::StoreUnavailable,
        format!("failed to {verb} key file {}", path.display()),
    )
    .because(error)
}

fn refused(path: &Path, why: &str) -> Fault {
    Fault::new(
        ErrorCode::StoreUnavailable,
        format!("key file {} {why}", path.display()),
    )
}
