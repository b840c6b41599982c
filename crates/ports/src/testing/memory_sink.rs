//! A destination in memory. It keeps every promise of [`StagedSink`], so what fails against it fails anywhere.
//!
//! It doesn't know latency, rights or full disks; [`FaultySinks`](super::FaultySinks) adds those.
//!
//! The one law: all views of one [`MemorySinks`] see one state, as all processes see one bucket.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, ErrorCode, Fault, SinkRef, StageHandle, StageToken};

use crate::retention::{RetainedSink, Withdrawn};
use crate::sink::{Discarded, EndOfStream, Published, Seen, Sinks, StagedSink, StagedUpload};

/// A place in memory and the sinks over it. Clones share the place; a new process is a clone.
#[derive(Clone, Debug, Default)]
pub struct MemorySinks {
    places: Arc<Mutex<HashMap<String, Place>>>,
}

impl MemorySinks {
    /// An empty place.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a reader of the destination gets at the key.
    pub fn read(&self, sink: &SinkRef, key: &str) -> Option<Bytes> {
        let places = lock(&self.places);
        let visible = places.get(&name(sink))?.visible.get(key)?;
        Some(Bytes::copy_from_slice(&visible.bytes))
    }

    /// Every key a reader of the destination sees, ascending.
    pub fn keys(&self, sink: &SinkRef) -> Vec<String> {
        lock(&self.places)
            .get(&name(sink))
            .map(|place| place.visible.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// How many staged files exist, in every sink.
    pub fn staged(&self) -> usize {
        lock(&self.places)
            .values()
            .map(|place| place.staged.len())
            .sum()
    }

    /// Puts a foreign file at the key, as another writer would, replacing what is there.
    pub fn plant(&self, sink: &SinkRef, key: &str, bytes: &[u8]) {
        let file = Visible {
            tag: None,
            bytes: bytes.to_vec(),
        };
        lock(&self.places)
            .entry(name(sink))
            .or_default()
            .visible
            .insert(key.to_owned(), file);
    }

    /// Removes the staged file, as a store's expiry rule would.
    pub fn expire(&self, sink: &SinkRef, handle: &StageHandle) {
        if let Some(place) = lock(&self.places).get_mut(&name(sink)) {
            place.staged.remove(&handle.detail);
        }
    }
}

impl MemorySinks {
    /// A view of one sink.
    pub fn sink(&self, sink: &SinkRef) -> MemorySink {
        MemorySink {
            places: Arc::clone(&self.places),
            name: name(sink),
        }
    }
}

#[async_trait]
impl Sinks for MemorySinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        Ok(Arc::new(self.sink(sink)))
    }
}

/// One sink of a [`MemorySinks`].
#[derive(Clone, Debug)]
pub struct MemorySink {
    places: Arc<Mutex<HashMap<String, Place>>>,
    name: String,
}

#[derive(Debug, Default)]
struct Place {
    staged: HashMap<String, Staged>,
    visible: BTreeMap<String, Visible>,
}

#[derive(Debug)]
struct Staged {
    bytes: Vec<u8>,
    sealed: bool,
}

#[derive(Debug)]
struct Visible {
    tag: Option<AttemptTag>,
    bytes: Vec<u8>,
}

impl Place {
    fn ours(&self, handle: &StageHandle) -> bool {
        self.visible
            .get(&handle.key)
            .is_some_and(|file| file.tag == Some(handle.tag))
    }

    fn publish(&mut self, token: &StageToken) -> Published {
        if self.ours(&token.handle) {
            return Published::Done { etag: None };
        }
        if self.visible.contains_key(&token.handle.key) {
            return Published::Conflict;
        }
        match self.staged.remove(&token.handle.detail) {
            Some(staged) if staged.sealed => {
                let file = Visible {
                    tag: Some(token.handle.tag),
                    bytes: staged.bytes,
                };
                self.visible.insert(token.handle.key.clone(), file);
                Published::Done { etag: None }
            }
            Some(_) | None => Published::Lost,
        }
    }
}

impl MemorySink {
    fn with<T>(&self, work: impl FnOnce(&mut Place) -> T) -> T {
        work(lock(&self.places).entry(self.name.clone()).or_default())
    }
}

#[async_trait]
impl StagedSink for MemorySink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        let handle = StageHandle {
            key: key.to_owned(),
            tag: *tag,
            detail: format!("{tag}/{key}"),
        };
        let staged = Staged {
            bytes: Vec::new(),
            sealed: false,
        };
        let twice = self.with(|place| place.staged.insert(handle.detail.clone(), staged));
        if twice.is_some() {
            return Err(fault(ErrorCode::DestinationConflict, "begin twice", key));
        }
        Ok(Box::new(MemoryUpload {
            sink: self.clone(),
            handle,
            written: 0,
            sealed: false,
        }))
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        Ok(self.with(|place| place.publish(token)))
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        Ok(self.with(|place| {
            place.staged.remove(&handle.detail);
            if place.ours(handle) {
                Discarded::WasPublished
            } else {
                Discarded::Gone
            }
        }))
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        self.with(|place| {
            if place.ours(handle) {
                place.visible.remove(&handle.key);
            }
        });
        Ok(())
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        Ok(self.with(|place| {
            let file = place.visible.get(&token.handle.key)?;
            Some(Seen {
                ours: file.tag == Some(token.handle.tag),
                bytes: file.bytes.len() as u64,
                etag: None,
            })
        }))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        self.with(|place| match place.visible.get(key) {
            Some(file) if file.bytes == bytes => Ok(()),
            Some(_) => Err(fault(ErrorCode::DestinationConflict, "put", key)),
            None => {
                let file = Visible {
                    tag: None,
                    bytes: bytes.to_vec(),
                };
                place.visible.insert(key.to_owned(), file);
                Ok(())
            }
        })
    }

    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        let names = self.with(|place| {
            let below = place.visible.keys().filter_map(|key| {
                let name = key.strip_prefix(folder)?.strip_prefix('/')?;
                (!name.contains('/')).then(|| name.to_owned())
            });
            below.collect()
        });
        Ok(Some(names))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        Ok(self.with(|place| {
            let file = place.visible.get(key)?;
            Some(Bytes::copy_from_slice(&file.bytes))
        }))
    }

    async fn probe(&self) -> Result<(), Fault> {
        Ok(())
    }
}

#[async_trait]
impl RetainedSink for MemorySink {
    async fn withdraw(&self, key: &str, bytes: &Bytes) -> Result<Withdrawn, Fault> {
        Ok(self.with(|place| match place.visible.get(key) {
            Some(file) if file.bytes != *bytes => Withdrawn::Foreign,
            Some(_) | None => {
                place.visible.remove(key);
                Withdrawn::Gone
            }
        }))
    }
}

struct MemoryUpload {
    sink: MemorySink,
    handle: StageHandle,
    written: u64,
    sealed: bool,
}

#[async_trait]
impl StagedUpload for MemoryUpload {
    fn handle(&self) -> &StageHandle {
        &self.handle
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        self.written += chunk.len() as u64;
        self.sink
            .with(|place| match place.staged.get_mut(&self.handle.detail) {
                Some(staged) => {
                    staged.bytes.extend_from_slice(&chunk);
                    Ok(())
                }
                None => Err(fault(ErrorCode::StagedLost, "write", &self.handle.key)),
            })
    }

    async fn seal(mut self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault> {
        let key = self.handle.key.clone();
        if proof.bytes != self.written {
            return Err(fault(ErrorCode::RowsMismatch, "seal a short file", &key));
        }
        self.sink
            .with(|place| match place.staged.get_mut(&self.handle.detail) {
                Some(staged) => {
                    staged.sealed = true;
                    Ok(())
                }
                None => Err(fault(ErrorCode::StagedLost, "seal", &key)),
            })?;
        self.sealed = true;
        Ok(StageToken {
            handle: self.handle.clone(),
            bytes: proof.bytes,
            detail: String::new(),
        })
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        if !self.sealed {
            self.sink
                .with(|place| place.staged.remove(&self.handle.detail));
        }
    }
}

fn name(sink: &SinkRef) -> String {
    let container = sink.container.as_deref().unwrap_or_default();
    format!(
        "{}/{}/{:?}/{}/{container}",
        sink.tenant.org, sink.tenant.sandbox, sink.kind, sink.connection
    )
}

fn fault(code: ErrorCode, attempted: &str, key: &str) -> Fault {
    Fault::new(code, format!("{attempted}: file {key} of the memory sink"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
