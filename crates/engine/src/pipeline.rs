//! The stages between source files and the upload, each ahead of the next by a bounded queue.
//!
//! A stage that fails closes its queue *without* the word that the rows are complete, so the stages after it stop
//! and finish nothing.
//!
//! The one law: the encoder's `finish` is called only after the decoder said how many rows there were.

mod decode;
mod encode;
mod fetch;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_encode::{Encoded, RowEncoder};
use offtake_model::{ErrorCode, Fault, FileTask};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::runner::TaskRunner;

/// Batches between decoder and encoder.
const BATCHES: usize = 2;

/// Chunks between encoder and upload.
const CHUNKS: usize = 4;

/// Finished bytes of the file.
pub(crate) struct Chunk {
    pub(crate) data: Bytes,
    /// Rows encoded since the chunk before.
    pub(crate) rows: u64,
}

/// What a complete run of the stages came to.
pub(crate) struct Outcome {
    pub(crate) rows_read: u64,
    pub(crate) encoded: Encoded,
}

/// Rows on their way to the encoder.
enum Rows {
    Batch(RecordBatch),
    /// All rows were sent.
    Complete,
}

/// Why a stage ended early.
enum Stop {
    Fault(Fault),
    /// A neighbour ended; its reason is the one to tell.
    Neighbour,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The running stages of one task.
pub(crate) struct Pipeline {
    fetch: AbortOnDropHandle<Result<(), Stop>>,
    decode: JoinHandle<Result<u64, Stop>>,
    encode: JoinHandle<Result<Encoded, Stop>>,
    chunks: mpsc::Receiver<Chunk>,
}

impl Pipeline {
    /// Starts the stages. Dropping the pipeline stops them: each notices its neighbour's closed queue.
    pub(crate) fn start(
        runner: Arc<TaskRunner>,
        task: FileTask,
        encoder: Box<dyn RowEncoder>,
    ) -> Self {
        let (group_sender, groups) = mpsc::channel(1);
        let (batch_sender, batches) = mpsc::channel(BATCHES);
        let (chunk_sender, chunks) = mpsc::channel(CHUNKS);
        Self {
            fetch: AbortOnDropHandle::new(tokio::spawn(fetch::run(runner, task, group_sender))),
            decode: tokio::task::spawn_blocking(move || decode::run(groups, &batch_sender)),
            encode: tokio::task::spawn_blocking(move || {
                encode::run(encoder, batches, &chunk_sender)
            }),
            chunks,
        }
    }

    /// The next chunk of the file; none when the stages ended, well or not.
    pub(crate) async fn next(&mut self) -> Option<Chunk> {
        self.chunks.recv().await
    }

    /// What the stages came to. Call it after the last chunk.
    pub(crate) async fn join(self) -> Result<Outcome, Fault> {
        let Self {
            fetch,
            decode,
            encode,
            chunks,
        } = self;
        drop(chunks);
        let (fetch, decode, encode) = tokio::join!(fetch, decode, encode);
        let (fetch, decode, encode) = (ended(fetch), ended(decode), ended(encode));
        match (fetch, decode, encode) {
            (Ok(()), Ok(rows_read), Ok(encoded)) => Ok(Outcome { rows_read, encoded }),
            (fetch, decode, encode) => {
                let reasons = [fetch.err(), decode.err(), encode.err()];
                let told = reasons.into_iter().flatten().find_map(|stop| match stop {
                    Stop::Fault(fault) => Some(fault),
                    Stop::Neighbour => None,
                });
                Err(told.unwrap_or_else(|| {
                    Fault::new(
                        ErrorCode::Internal,
                        "run a file task: a stage ended without a reason",
                    )
                }))
            }
        }
    }
}

/// A stage that panicked is a defect of ours; decoders of source files catch their own panics.
fn ended<T>(joined: Result<Result<T, Stop>, JoinError>) -> Result<T, Stop> {
    joined.unwrap_or_else(|error| {
        Err(
            Fault::new(ErrorCode::Internal, "run a stage of a file task")
                .because(&error)
                .into(),
        )
    })
}
