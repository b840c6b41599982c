//! Copies of files and folders, durable and with their digests.
//!
//! The one law: what was copied is what is listed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aws_lc_rs::digest;

use super::Listed;

/// The log of a table, which says what else belongs to it, and the name in it that points at others.
const LOG: &str = "_delta_log";
const POINTER: &str = "_last_checkpoint";

const CHUNK: usize = 256 * 1024;

/// Copies files from one directory into another and remembers what they were.
pub(super) struct Copying<'a> {
    pub(super) from: &'a Path,
    pub(super) into: &'a Path,
    pub(super) files: Vec<Listed>,
}

impl Copying<'_> {
    /// Copies a file; false when there is none.
    pub(super) fn file(&mut self, path: &str) -> Result<bool> {
        let mut from = match File::open(self.from.join(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("copying {path}")),
        };
        let target = self.into.join(path);
        if let Some(folder) = target.parent() {
            private_folder(folder)?;
        }
        let mut into = create(&target)?;
        let copied = copy(&mut from, &mut into).with_context(|| format!("copying {path}"))?;
        self.files.push(Listed {
            path: path.to_owned(),
            ..copied
        });
        Ok(true)
    }

    /// Copies the files of a folder: those of tables' logs, or all others. What goes away meanwhile is left out: an
    /// upload does when its batch has come into its table.
    pub(super) fn folder(&mut self, folder: &str, logs: bool) -> Result<()> {
        let mut found = Vec::new();
        walk(self.from, folder, &mut found)?;
        let of_log = |path: &String| path.split('/').any(|part| part == LOG);
        found.retain(|path| of_log(path) == logs);
        // What points at a checkpoint is older than the checkpoint that it points at.
        found.sort_by_key(|path| (!path.ends_with(POINTER), path.clone()));
        for path in found {
            self.file(&path)?;
        }
        Ok(())
    }
}

fn walk(root: &Path, folder: &str, found: &mut Vec<String>) -> Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("listing {folder}")),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .with_context(|| format!("{} is not UTF-8", entry.path().display()))?;
        let path = format!("{folder}/{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(root, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Copies to the end, durably, and says what was copied; the path is the caller's to add.
pub(super) fn copy(from: &mut File, into: &mut File) -> io::Result<Listed> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let count = from.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        context.update(chunk);
        into.write_all(chunk)?;
        size += chunk.len() as u64;
    }
    into.sync_all()?;
    Ok(Listed {
        path: String::new(),
        size,
        sha256: hex::encode(context.finish()),
    })
}

/// Makes a folder, and those above it, for its owner only.
pub(super) fn private_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("creating {}", path.display()))
}

/// Creates a file for its owner only; it must not exist.
pub(super) fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))
}

/// Makes the entries of a directory and of all below it durable.
pub(super) fn sync_folders(path: &Path) -> Result<()> {
    let mut open: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
        File::open(&folder)?.sync_all()?;
    }
    Ok(())
}
