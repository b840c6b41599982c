//! A file being staged. Chunks are gathered and written off the async threads, one write ahead of the writer.
//!
//! It keeps no digest and knows no rows; the engine proves the content, this proves the size.
//!
//! The one law: after a failed write nothing is written any more, and nothing seals.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use offtake_model::{ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{EndOfStream, StagedUpload};
use tokio::task::JoinHandle;

use crate::dir::Dir;
use crate::fault::from_io;
use crate::folder::blocking;
use crate::key::Key;

/// Small chunks are gathered into writes of this size. An upload holds at most two such buffers and one chunk.
const WRITE_BYTES: usize = 1024 * 1024;

/// Chunks of this size are written as they are: copying them would cost more than the call.
const DIRECT_BYTES: usize = 256 * 1024;

pub(crate) struct FolderUpload {
    handle: StageHandle,
    zone: Arc<Dir>,
    key: Key,
    file: Arc<File>,
    gathered: BytesMut,
    running: Option<JoinHandle<io::Result<()>>>,
    written: u64,
    failed: Option<Fault>,
    sealed: bool,
}

impl FolderUpload {
    pub(crate) fn new(handle: StageHandle, zone: Arc<Dir>, key: Key, file: File) -> Self {
        Self {
            handle,
            zone,
            key,
            file: Arc::new(file),
            gathered: BytesMut::new(),
            running: None,
            written: 0,
            failed: None,
            sealed: false,
        }
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.settle().await?;
        if !self.gathered.is_empty() {
            let full = mem::replace(&mut self.gathered, BytesMut::with_capacity(WRITE_BYTES));
            self.start(full.freeze());
        }
        Ok(())
    }

    /// Waits for the write under way.
    async fn settle(&mut self) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let Some(running) = self.running.as_mut() else {
            return Ok(());
        };
        let ended = running.await;
        self.running = None;
        let outcome = ended.map_err(io::Error::other).flatten();
        outcome.map_err(|error| {
            let fault = from_io(&error, "write", &self.handle.key);
            self.failed = Some(fault.clone());
            fault
        })
    }

    /// Only after [`Self::settle`]: two writes at a time would mix.
    fn start(&mut self, bytes: Bytes) {
        let file = Arc::clone(&self.file);
        let write = move || (&*file).write_all(&bytes);
        self.running = Some(tokio::task::spawn_blocking(write));
    }

    async fn finish(&mut self, proof: EndOfStream) -> Result<StageToken, Fault> {
        self.flush().await?;
        self.settle().await?;
        let key = &self.handle.key;
        if proof.bytes != self.written {
            return Err(Fault::new(
                ErrorCode::RowsMismatch,
                format!(
                    "seal file {key}: {} bytes were written, the stream had {}",
                    self.written, proof.bytes
                ),
            ));
        }
        let (file, zone, parts) = (
            Arc::clone(&self.file),
            Arc::clone(&self.zone),
            self.key.clone(),
        );
        let named = key.clone();
        blocking(move || {
            durable(&file, &zone, &parts).map_err(|error| from_io(&error, "seal", &named))
        })
        .await
        .and_then(|staged| self.judge(&staged, proof))
    }

    fn judge(&self, staged: &Staged, proof: EndOfStream) -> Result<StageToken, Fault> {
        let key = &self.handle.key;
        if staged.removed {
            return Err(Fault::new(
                ErrorCode::StagedLost,
                format!("seal file {key}: it was discarded while it was written"),
            ));
        }
        if staged.bytes != proof.bytes {
            return Err(Fault::new(
                ErrorCode::DestinationProtocol,
                format!(
                    "seal file {key}: {} bytes were written, the file system shows {}",
                    proof.bytes, staged.bytes
                ),
            ));
        }
        Ok(StageToken {
            handle: self.handle.clone(),
            bytes: proof.bytes,
            detail: String::new(),
        })
    }
}

#[async_trait]
impl StagedUpload for FolderUpload {
    fn handle(&self) -> &StageHandle {
        &self.handle
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        // Counted first: should the caller give up waiting, the chunk may be missing from the file, and then the
        // sizes must differ.
        self.written += chunk.len() as u64;
        if chunk.len() >= DIRECT_BYTES {
            self.flush().await?;
            self.settle().await?;
            self.start(chunk);
            return Ok(());
        }
        self.gathered.extend_from_slice(&chunk);
        if self.gathered.len() < WRITE_BYTES {
            return Ok(());
        }
        self.flush().await
    }

    async fn seal(mut self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault> {
        let token = self.finish(proof).await?;
        self.sealed = true;
        Ok(token)
    }
}

impl Drop for FolderUpload {
    fn drop(&mut self) {
        if self.sealed {
            return;
        }
        let (zone, key) = (Arc::clone(&self.zone), self.key.clone());
        let staged = key.staged(self.handle.tag.attempt);
        let clean = move || {
            // Best effort: the journal's handle finds what is left here.
            if let Ok(Some(folder)) = zone.folder(&key) {
                drop(folder.remove(&staged));
                zone.prune(&key);
            }
        };
        // Removing a large file takes time that belongs to no async thread.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(clean)),
            Err(_) => clean(),
        }
    }
}

struct Staged {
    bytes: u64,
    removed: bool,
}

fn durable(file: &File, zone: &Dir, key: &Key) -> io::Result<Staged> {
    file.sync_all()?;
    let metadata = file.metadata()?;
    let staged = Staged {
        bytes: metadata.len(),
        removed: metadata.nlink() == 0,
    };
    if !staged.removed {
        zone.sync_folders(key)?;
    }
    Ok(staged)
}
