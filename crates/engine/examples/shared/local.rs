//! Sources and sinks over plain folders, for programs that have no lake and no destination.
//!
//! Keeps none of the promises that a delivery needs: a sealed file is visible at once.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::change::MaskRef;
use offtake_model::{AttemptTag, ErrorCode, Fault, FileSlice, SinkRef, StageHandle, StageToken};
use offtake_ports::{
    Discarded, EndOfStream, Published, RangeReader, RowMasks, Seen, Sinks, Sources, StagedSink,
    StagedUpload,
};
use rustix::buffer::spare_capacity;
use rustix::io::pread;

/// Source files below a folder, whatever the lake root's name.
pub(crate) struct Files(pub(crate) PathBuf);

struct OpenFile {
    file: Arc<File>,
    bytes: u64,
}

#[async_trait]
impl Sources for Files {
    async fn open(&self, slice: &FileSlice) -> Result<Arc<dyn RangeReader>, Fault> {
        let vanished = |error| failed(ErrorCode::SourceVanished, &error);
        let file = File::open(self.0.join(&slice.source.path)).map_err(vanished)?;
        let bytes = file.metadata().map_err(vanished)?.len();
        Ok(Arc::new(OpenFile {
            file: Arc::new(file),
            bytes,
        }))
    }
}

#[async_trait]
impl RangeReader for OpenFile {
    fn size(&self) -> u64 {
        self.bytes
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        let file = Arc::clone(&self.file);
        let reading = tokio::task::spawn_blocking(move || {
            let length = usize::try_from(range.end - range.start).map_err(std::io::Error::other)?;
            let mut bytes = Vec::with_capacity(length);
            while bytes.len() < length {
                let at = range.start + bytes.len() as u64;
                if pread(&file, spare_capacity(&mut bytes), at)? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            bytes.truncate(length);
            Ok(Bytes::from(bytes))
        });
        let read = reading.await.map_err(std::io::Error::other).flatten();
        read.map_err(|error| failed(ErrorCode::SourceUnreachable, &error))
    }
}

/// No masks: plain folders have none.
pub(crate) struct NoMasks;

#[async_trait]
impl RowMasks for NoMasks {
    async fn keep(&self, mask: &MaskRef, _rows: u64) -> Result<Vec<Range<u64>>, Fault> {
        let message = format!("read row mask {}", mask.descriptor);
        Err(Fault::new(ErrorCode::SourceFeatureUnsupported, message))
    }
}

/// A folder that files are written to.
#[derive(Clone)]
pub(crate) struct Folder(pub(crate) PathBuf);

struct Upload {
    file: File,
    handle: StageHandle,
    staged: PathBuf,
    path: PathBuf,
}

#[async_trait]
impl Sinks for Folder {
    async fn open(&self, _sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl StagedSink for Folder {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        let path = self.0.join(key);
        let staged = self.0.join(format!(".{}", tag.attempt));
        let file =
            File::create(&staged).map_err(|error| failed(ErrorCode::DestinationDenied, &error))?;
        Ok(Box::new(Upload {
            file,
            handle: StageHandle {
                key: key.to_owned(),
                tag: *tag,
                detail: String::new(),
            },
            staged,
            path,
        }))
    }

    async fn publish(&self, _token: &StageToken) -> Result<Published, Fault> {
        Ok(Published::Done { etag: None })
    }

    async fn discard(&self, _handle: &StageHandle) -> Result<Discarded, Fault> {
        Ok(Discarded::WasPublished)
    }

    async fn retract(&self, _handle: &StageHandle) -> Result<(), Fault> {
        Ok(())
    }

    async fn look(&self, _token: &StageToken) -> Result<Option<Seen>, Fault> {
        Ok(None)
    }

    async fn put(&self, _key: &str, _bytes: Bytes) -> Result<(), Fault> {
        Ok(())
    }

    async fn probe(&self) -> Result<(), Fault> {
        Ok(())
    }
}

#[async_trait]
impl StagedUpload for Upload {
    fn handle(&self) -> &StageHandle {
        &self.handle
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        let written = self.file.write_all(&chunk);
        written.map_err(|error| failed(ErrorCode::DestinationUnreachable, &error))
    }

    async fn seal(self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault> {
        std::fs::rename(&self.staged, &self.path)
            .map_err(|error| failed(ErrorCode::DestinationUnreachable, &error))?;
        Ok(StageToken {
            handle: self.handle.clone(),
            bytes: proof.bytes,
            detail: String::new(),
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // After the seal there is nothing left at that name.
        let _gone = std::fs::remove_file(&self.staged);
    }
}

fn failed(code: ErrorCode, error: &std::io::Error) -> Fault {
    Fault::new(code, "use a file of a plain folder").because(error)
}
