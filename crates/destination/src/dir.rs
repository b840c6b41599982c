//! Directories held open, and the few operations on one entry of one directory that the sink needs.
//!
//! Names are single entries and links are never followed, so nothing here can leave the directory it started in.
//!
//! The one law: [`Dir::rename_new`] never replaces anything.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::key::Key;

/// How often a path is walked again when a folder of it vanishes under the walker: every other walker that empties
/// the folder can cost one turn.
const WALKS_MAX: usize = 64;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
}

/// What lies at a name.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Nothing.
    Missing,
    /// Something that is not a regular file: a link, a folder, a device.
    Foreign,
    /// A regular file.
    File(File, Metadata),
}

/// A name in a directory that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A folder's.
    Folder(String),
    /// A regular file's.
    File(String),
}

impl Named {
    /// Orders names as the keys that begin with them.
    pub(crate) fn sort_key(&self) -> String {
        match self {
            Self::Folder(name) => format!("{name}/"),
            Self::File(name) => name.clone(),
        }
    }
}

/// The outcome of a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renamed {
    /// Done.
    Done,
    /// The new name is taken; nothing changed.
    Taken,
    /// There is nothing at the old name.
    Missing,
}

impl Dir {
    /// Opens the operator's own directory; links in the path are followed, for this is the operator's word.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Opens the folder of the key below this directory, unless one of its parts is missing.
    pub(crate) fn folder(&self, key: &Key) -> io::Result<Option<Self>> {
        self.below(key.folders())
    }

    /// Does `work` in the folder of the key, making the folder first. Folders may be removed by others while they
    /// are empty, so both are repeated while `work` finds its folder gone.
    pub(crate) fn in_made_folder<T>(
        &self,
        folders: &[String],
        mut work: impl FnMut(Self) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut gone = io::Error::from(Errno::NOENT);
        for _ in 0..WALKS_MAX {
            let made = self
                .walk(folders, |_| Ok(()))
                .or_else(|_| self.make(folders))
                .map_err(io::Error::from)
                .and_then(&mut work);
            match made {
                Err(error) if error.kind() == io::ErrorKind::NotFound => gone = error,
                other => return other,
            }
        }
        Err(gone)
    }

    /// Makes the key's folder durable, from this directory down.
    pub(crate) fn sync_folders(&self, key: &Key) -> io::Result<()> {
        let deepest = self.walk(key.folders(), Self::sync)?;
        Ok(deepest.sync()?)
    }

    /// Removes the key's folders that are empty, from the deepest up. What cannot be removed stays: the folder of a
    /// path that others use is no fault of this one.
    pub(crate) fn prune(&self, key: &Key) {
        for depth in (1..=key.folders().len()).rev() {
            let Some((last, above)) = key.folders().get(..depth).and_then(<[_]>::split_last) else {
                return;
            };
            let removed = self
                .walk(above, |_| Ok(()))
                .and_then(|dir| rustix::fs::unlinkat(&dir.fd, last.as_str(), AtFlags::REMOVEDIR));
            if !matches!(removed, Ok(()) | Err(Errno::NOENT)) {
                return;
            }
        }
    }

    /// Creates a new, empty file, which nobody else had at that name.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        Ok(rustix::fs::openat(&self.fd, name, flags, mode)?.into())
    }

    /// Opens the folder of those names below this directory, unless one of them is missing.
    pub(crate) fn below(&self, folders: &[String]) -> io::Result<Option<Self>> {
        match self.walk(folders, |_| Ok(())) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of the regular files in this directory.
    pub(crate) fn files(&self) -> io::Result<Vec<String>> {
        let files = self.names()?.into_iter().filter_map(|named| match named {
            Named::File(name) => Some(name),
            Named::Folder(_) => None,
        });
        Ok(files.collect())
    }

    /// Opens what lies at the name, for reading.
    pub(crate) fn entry(&self, name: &str) -> io::Result<Entry> {
        let stat = match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Entry::Missing),
            Err(error) => return Err(error.into()),
        };
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Ok(Entry::Foreign);
        }
        // Should a pipe take the name in between, opening it must not wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(Entry::Missing),
            Err(Errno::LOOP) => return Ok(Entry::Foreign),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if metadata.is_file() {
            return Ok(Entry::File(file, metadata));
        }
        Ok(Entry::Foreign)
    }

    /// The names of this directory that are text and lead to a folder or a regular file.
    pub(crate) fn names(&self) -> io::Result<Vec<Named>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                kind = match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error.into()),
                };
            }
            if kind.is_file() {
                names.push(Named::File(name.to_owned()));
            } else if kind.is_dir() && name != "." && name != ".." {
                names.push(Named::Folder(name.to_owned()));
            }
        }
        Ok(names)
    }

    /// Opens a folder of this directory, if it is one.
    pub(crate) fn folder_named(&self, name: &str) -> io::Result<Option<Self>> {
        match self.sub(name) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames an entry of this directory unless the new name is taken.
    pub(crate) fn rename_new(&self, from: &str, to: &str) -> io::Result<Renamed> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(Renamed::Done),
            Err(Errno::EXIST) => Ok(Renamed::Taken),
            Err(Errno::NOENT) => Ok(Renamed::Missing),
            // The file system or the kernel has no such rename. A hard link refuses a taken name just as well.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.link_new(from, to),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Self::rename_new`], by hard link. Between the two steps the file has both names.
    pub(crate) fn link_new(&self, from: &str, to: &str) -> io::Result<Renamed> {
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => {
                self.remove(from)?;
                Ok(Renamed::Done)
            }
            Err(Errno::EXIST) => Ok(Renamed::Taken),
            Err(Errno::NOENT) => Ok(Renamed::Missing),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file at the name; says whether there was one.
    pub(crate) fn remove(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the directory's entries durable.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fsync(&self.fd)
    }

    fn walk(
        &self,
        folders: &[String],
        passing: impl Fn(&Self) -> Result<(), Errno>,
    ) -> Result<Self, Errno> {
        let mut dir = Self {
            fd: rustix::fs::openat(&self.fd, ".", FOLDER, Mode::empty())?,
        };
        for name in folders {
            passing(&dir)?;
            dir = dir.sub(name)?;
        }
        Ok(dir)
    }

    fn make(&self, folders: &[String]) -> Result<Self, Errno> {
        let mut dir = self.walk(&[], |_| Ok(()))?;
        for name in folders {
            match rustix::fs::mkdirat(&dir.fd, name.as_str(), Mode::RWXU | Mode::RGRP | Mode::XGRP)
            {
                Ok(()) | Err(Errno::EXIST) => dir = dir.sub(name)?,
                Err(error) => return Err(error),
            }
        }
        Ok(dir)
    }

    fn sub(&self, name: &str) -> Result<Self, Errno> {
        let fd = rustix::fs::openat(&self.fd, name, FOLDER, Mode::empty())?;
        Ok(Self { fd })
    }
}

/// Opens a folder of a key: a link in its place is an error.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
