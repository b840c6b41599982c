//! The stages between source files and the upload, each ahead of the next by a bounded queue.
//!
//! A stage that fails closes its queue *without* the word that the rows are complete, so the stages after it stop
//! and finish nothing.
//!
//! The one law: the encoder's `finish` is called only after the decoder said how many rows there were.

mod decode;
mod encode;
mod fetch;
mod pass;

use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use offtake_encode::{Encoded, Encoder};
use offtake_model::delivery::Passage;
use offtake_model::{ErrorCode, Fault, FileTask};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::runner::TaskRunner;
use crate::source::SourceFile;

pub(crate) use pass::Passing;

/// Chunks between encoder and upload.
const CHUNKS: usize = 4;

/// Pieces of one file that are worked on at the same time at most, however many processors there are: each takes
/// memory.
const AT_ONCE_MAX: usize = 4;

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
    pub(crate) passage: Passage,
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

/// How rows get from the source files into the new one.
pub(crate) enum Way {
    /// Decoded and encoded. The first source file may have been opened already.
    Encode(Encoder, Option<Arc<SourceFile>>),
    /// In their pages.
    Pass(Box<Passing>),
}

/// The running stages of one task.
pub(crate) struct Pipeline {
    fetch: AbortOnDropHandle<Result<(), Stop>>,
    work: JoinHandle<Result<Outcome, Stop>>,
    chunks: mpsc::Receiver<Chunk>,
}

impl Pipeline {
    /// Starts the stages. Dropping the pipeline stops them: each notices its neighbour's closed queue.
    pub(crate) fn start(runner: Arc<TaskRunner>, task: FileTask, way: Way) -> Self {
        let (chunk_sender, chunks) = mpsc::channel(CHUNKS);
        let (fetch, work) = match way {
            Way::Encode(encoder, first) => {
                let (sender, groups) = mpsc::channel(fetch::ROW_GROUPS);
                let encode = move || encode::run(encoder, groups, chunk_sender);
                (
                    tokio::spawn(fetch::run(runner, task, first, sender)),
                    tokio::task::spawn_blocking(encode),
                )
            }
            Way::Pass(passing) => {
                let (sender, groups) = mpsc::channel(1);
                let (file, wanted) = (Arc::clone(&passing.file), passing.groups.clone());
                let pass = move || pass::run(*passing, groups, &chunk_sender);
                (
                    tokio::spawn(fetch::run_whole(runner, file, wanted, sender)),
                    tokio::task::spawn_blocking(pass),
                )
            }
        };
        Self {
            fetch: AbortOnDropHandle::new(fetch),
            work,
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
            work,
            chunks,
        } = self;
        drop(chunks);
        let (fetch, work) = tokio::join!(fetch, work);
        match (ended(fetch), ended(work)) {
            (Ok(()), Ok(outcome)) => Ok(outcome),
            (fetch, work) => Err(reason([fetch.err(), work.err()])),
        }
    }
}

/// Pieces of one file to work on at the same time.
fn at_once() -> usize {
    available_parallelism()
        .map_or(1, usize::from)
        .min(AT_ONCE_MAX)
}

/// The first reason that a stage has of its own.
fn reason(stops: [Option<Stop>; 2]) -> Fault {
    let told = stops.into_iter().flatten().find_map(|stop| match stop {
        Stop::Fault(fault) => Some(fault),
        Stop::Neighbour => None,
    });
    told.unwrap_or_else(|| {
        Fault::new(
            ErrorCode::Internal,
            "run a file task: a stage ended without a reason",
        )
    })
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
