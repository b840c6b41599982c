//! One landing zone: the staged sink over a folder that offtake owns.
//!
//! Staged files lie hidden beside their final names, so a publish is one rename in one directory. Readers see a file
//! when it is complete and durable.
//!
//! The one law: nothing at a final name is ever replaced, and only one's own file is ever removed.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{
    Discarded, Published, RetainedSink, Seen, StagedSink, StagedUpload, Withdrawn,
};
use rustix::io::Errno;
use uuid::Uuid;

use crate::dir::{Dir, Entry, Renamed};
use crate::fault::{self, from_io};
use crate::key::Key;
use crate::mark::{self, Marking};
use crate::upload::FolderUpload;

/// A sandbox's landing zone.
#[derive(Clone, Debug)]
pub struct FolderSink {
    zone: Arc<Dir>,
    marking: Marking,
}

impl FolderSink {
    pub(crate) fn new(zone: Dir, marking: Marking) -> Self {
        Self {
            zone: Arc::new(zone),
            marking,
        }
    }

    /// The zone's folder.
    pub(crate) fn dir(&self) -> &Dir {
        &self.zone
    }

    /// Opens the visible file at the key for reading, if there is one.
    pub async fn open(&self, key: &str) -> Result<Option<File>, Fault> {
        self.at(key, "open", |place| match place.final_entry()? {
            Entry::File(file, _) => Ok(Some(file)),
            Entry::Missing | Entry::Foreign => Ok(None),
        })
        .await
    }

    /// Reads the visible file at the key, if there is one, whole into memory: for manifests and small files.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        self.at(key, "read", |place| match place.final_entry()? {
            Entry::File(mut file, metadata) => {
                let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
                file.read_to_end(&mut bytes)?;
                Ok(Some(Bytes::from(bytes)))
            }
            Entry::Missing | Entry::Foreign => Ok(None),
        })
        .await
    }

    /// Does `work` at the key's place, off the async threads.
    async fn at<T: Send + 'static>(
        &self,
        key: &str,
        attempted: &'static str,
        work: impl FnOnce(&Place) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let parsed = Key::parse(key)?;
        let zone = Arc::clone(&self.zone);
        let named = key.to_owned();
        blocking(move || {
            let failed = |error| from_io(&error, attempted, &named);
            let folder = zone.folder(&parsed).map_err(failed)?;
            let place = Place {
                zone: &zone,
                key: &parsed,
                folder: folder.as_ref(),
            };
            work(&place).map_err(failed)
        })
        .await
    }
}

#[async_trait]
impl StagedSink for FolderSink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        let parsed = Key::parse(key)?;
        let (zone, tag, marking) = (Arc::clone(&self.zone), *tag, self.marking);
        let named = key.to_owned();
        blocking(move || {
            let staged = parsed.staged(tag.attempt);
            let (file, detail) = zone
                .in_made_folder(parsed.folders(), |folder| {
                    let file = folder.create_new(&staged)?;
                    match mark::mark(&file, &tag, marking) {
                        Ok(detail) => Ok((file, detail)),
                        Err(error) => {
                            // Nobody will have a handle to discard it by.
                            drop(folder.remove(&staged));
                            Err(error)
                        }
                    }
                })
                .map_err(|error| {
                    if error.kind() == io::ErrorKind::AlreadyExists {
                        begun_twice(&named)
                    } else {
                        from_io(&error, "begin", &named)
                    }
                })?;
            let handle = StageHandle {
                key: named,
                tag,
                detail,
            };
            let upload: Box<dyn StagedUpload> =
                Box::new(FolderUpload::new(handle, zone, parsed, file));
            Ok(upload)
        })
        .await
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        let (key, token) = (token.handle.key.clone(), token.clone());
        self.at(&key, "publish", move |place| place.publish(&token))
            .await
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        let key = Key::parse(&handle.key)?;
        let (zone, handle) = (Arc::clone(&self.zone), handle.clone());
        blocking(move || {
            let failed = |error| from_io(&error, "discard", &handle.key);
            let folder = match zone.folder(&key) {
                // A file or link where a folder of the key should be: nothing of ours can lie below it.
                Err(error) if fault::code(&error) == ErrorCode::DestinationConflict => {
                    return Ok(Discarded::Gone);
                }
                found => found.map_err(failed)?,
            };
            let place = Place {
                zone: &zone,
                key: &key,
                folder: folder.as_ref(),
            };
            place.discard(&handle).map_err(failed)
        })
        .await
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        let (key, handle) = (handle.key.clone(), handle.clone());
        self.at(&key, "retract", move |place| place.retract(&handle))
            .await
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        let (key, token) = (token.handle.key.clone(), token.clone());
        self.at(&key, "look at", move |place| place.look(&token))
            .await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        let parsed = Key::parse(key)?;
        let zone = Arc::clone(&self.zone);
        let named = key.to_owned();
        blocking(move || match put(&zone, &parsed, &bytes) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::new(
                ErrorCode::DestinationConflict,
                format!("put file {named} of the landing zone: another file lies at that name"),
            )),
            Err(error) => Err(from_io(&error, "put", &named)),
        })
        .await
    }

    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        // A key's folders are checked as a whole key is, so a file's name stands in for the ones to be listed.
        let parsed = Key::parse(&format!("{folder}/x"))?;
        let zone = Arc::clone(&self.zone);
        let named = folder.to_owned();
        blocking(move || {
            let files = zone
                .folder(&parsed)
                .and_then(|folder| folder.map_or(Ok(Vec::new()), |folder| folder.files()));
            files
                .map(Some)
                .map_err(|error| from_io(&error, "list the folder of", &named))
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        self.read(key).await
    }

    async fn probe(&self) -> Result<(), Fault> {
        offtake_ports::probe::prove(self).await
    }
}

#[async_trait]
impl RetainedSink for FolderSink {
    async fn withdraw(&self, key: &str, bytes: &Bytes) -> Result<Withdrawn, Fault> {
        let bytes = bytes.clone();
        self.at(key, "withdraw", move |place| place.withdraw(&bytes))
            .await
    }
}

/// Runs work that waits for a disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| {
            Fault::new(ErrorCode::Internal, "work on the landing zone").because(&error)
        })
        .flatten()
}

/// The key's place: its folder, when that exists, and what lies there.
struct Place<'a> {
    zone: &'a Dir,
    key: &'a Key,
    folder: Option<&'a Dir>,
}

impl Place<'_> {
    fn final_entry(&self) -> io::Result<Entry> {
        match self.folder {
            Some(folder) => folder.entry(self.key.file()),
            None => Ok(Entry::Missing),
        }
    }

    fn publish(&self, token: &StageToken) -> io::Result<Published> {
        let Some(folder) = self.folder else {
            return Ok(Published::Lost);
        };
        let staged = self.key.staged(token.handle.tag.attempt);
        let renamed = match folder.entry(&staged)? {
            Entry::Missing => Renamed::Missing,
            Entry::File(file, metadata)
                if metadata.len() == token.bytes
                    && mark::ours(&token.handle, &file, &metadata)? =>
            {
                folder.rename_new(&staged, self.key.file())?
            }
            Entry::File(..) | Entry::Foreign => return Ok(Published::Lost),
        };
        if renamed == Renamed::Done {
            folder.sync()?;
            return Ok(Published::Done { etag: None });
        }
        match self.look(token)? {
            Some(seen) if seen.ours => {
                // Where a rename is a link and a removal, a crash can leave both names.
                folder.remove(&staged)?;
                // The publisher before this one may have died before its own sync.
                folder.sync()?;
                Ok(Published::Done { etag: None })
            }
            Some(_) => Ok(Published::Conflict),
            None if renamed == Renamed::Taken => Ok(Published::Ambiguous),
            None => Ok(Published::Lost),
        }
    }

    fn discard(&self, handle: &StageHandle) -> io::Result<Discarded> {
        let Some(folder) = self.folder else {
            return Ok(Discarded::Gone);
        };
        // First the source, then the look: a rename that is under way either came before or finds nothing.
        if folder.remove(&self.key.staged(handle.tag.attempt))? {
            folder.sync()?;
        }
        if self.ours(handle)? {
            return Ok(Discarded::WasPublished);
        }
        self.zone.prune(self.key);
        Ok(Discarded::Gone)
    }

    fn retract(&self, handle: &StageHandle) -> io::Result<()> {
        let Some(folder) = self.folder else {
            return Ok(());
        };
        if self.ours(handle)? {
            folder.remove(self.key.file())?;
            folder.sync()?;
        }
        self.zone.prune(self.key);
        Ok(())
    }

    fn withdraw(&self, bytes: &[u8]) -> io::Result<Withdrawn> {
        let Some(folder) = self.folder else {
            return Ok(Withdrawn::Gone);
        };
        match folder.entry(self.key.file())? {
            Entry::Missing => {}
            Entry::File(..) if holds(folder, self.key.file(), bytes)? => {
                folder.remove(self.key.file())?;
                folder.sync()?;
            }
            Entry::File(..) | Entry::Foreign => return Ok(Withdrawn::Foreign),
        }
        self.zone.prune(self.key);
        Ok(Withdrawn::Gone)
    }

    fn look(&self, token: &StageToken) -> io::Result<Option<Seen>> {
        let (ours, bytes) = match self.final_entry()? {
            Entry::Missing => return Ok(None),
            Entry::Foreign => (false, 0),
            Entry::File(file, metadata) => {
                let ours =
                    metadata.len() == token.bytes && mark::ours(&token.handle, &file, &metadata)?;
                (ours, metadata.len())
            }
        };
        Ok(Some(Seen {
            ours,
            bytes,
            etag: None,
        }))
    }

    fn ours(&self, handle: &StageHandle) -> io::Result<bool> {
        match self.final_entry()? {
            Entry::Missing | Entry::Foreign => Ok(false),
            Entry::File(file, metadata) => mark::ours(handle, &file, &metadata),
        }
    }
}

/// Puts the bytes at the key, or finds them there. `false` says that something else lies there.
fn put(zone: &Dir, key: &Key, bytes: &[u8]) -> io::Result<bool> {
    let staged = format!(".{}.part", Uuid::new_v4());
    let folder = zone.in_made_folder(key.folders(), |folder| {
        let file = folder.create_new(&staged)?;
        Ok((folder, file))
    });
    let (folder, mut file) = folder?;
    let renamed = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| folder.rename_new(&staged, key.file()));
    match renamed {
        Ok(Renamed::Done) => zone.sync_folders(key).map(|()| true),
        Ok(Renamed::Taken) => {
            folder.remove(&staged)?;
            let same = holds(&folder, key.file(), bytes)?;
            // Whoever put it may have died before its own sync.
            zone.sync_folders(key).map(|()| same)
        }
        Ok(Renamed::Missing) => Err(Errno::NOENT.into()),
        Err(error) => {
            // The first error is the one to tell.
            drop(folder.remove(&staged));
            zone.prune(key);
            Err(error)
        }
    }
}

fn holds(folder: &Dir, name: &str, bytes: &[u8]) -> io::Result<bool> {
    match folder.entry(name)? {
        Entry::File(mut file, metadata) if metadata.len() == bytes.len() as u64 => {
            let mut there = Vec::with_capacity(bytes.len());
            file.read_to_end(&mut there)?;
            file.sync_all()?;
            Ok(there == bytes)
        }
        Entry::Missing | Entry::Foreign | Entry::File(..) => Ok(false),
    }
}

fn begun_twice(key: &str) -> Fault {
    Fault::new(
        ErrorCode::DestinationConflict,
        format!("begin file {key} of the landing zone: this attempt has begun before"),
    )
}

#[cfg(test)]
mod tests;
