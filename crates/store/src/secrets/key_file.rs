//! The key file: 32 random bytes that only their owner may read.
//!
//! The one law: a key that exists is never replaced.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::rand;
use offtake_model::{ErrorCode, Fault};
use zeroize::Zeroizing;

use super::KEY_BYTES;
use crate::data_dir;

const KEY_NAME: &str = "offtake.key";
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
    let mut name = [0; 8];
    rand::fill(&mut name).map_err(|_| io::Error::other("no random bytes"))?;
    let draft = dir.join(format!("{KEY_NAME}.{}", hex::encode(name)));
    let written = write(&draft).and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let removed = std::fs::remove_file(&draft);
    written.and(removed)?;
    File::open(dir)?.sync_all()
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
