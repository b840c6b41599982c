//! Runs file tasks: read, encode, stage, seal. A task leaves nothing visible; running it twice is harmless.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use offtake_model::{AttemptId, Fault, FileTask, SealedFile, StageHandle};

/// Runs file tasks somewhere: in this process, in worker processes, on other machines.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Starts the task. The stream tells of its progress and ends after [`TaskEvent::Sealed`] or
    /// [`TaskEvent::Failed`]; dropping it stops the task, leaving at most an invisible staged file.
    async fn run(&self, request: TaskRequest) -> BoxStream<'static, TaskEvent>;

    /// How many tasks can run at the same time.
    fn slots(&self) -> usize;
}

/// A task and the attempt it is run under. The attempt's row exists before the request does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRequest {
    /// The task.
    pub task: FileTask,
    /// The attempt.
    pub attempt: AttemptId,
}

/// What a running task says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// The upload exists; with this handle it can be discarded.
    Begun {
        /// The handle, to be journaled.
        handle: StageHandle,
    },
    /// Rows and bytes since the last word.
    Progress {
        /// Rows encoded.
        rows: u64,
        /// Bytes staged.
        bytes: u64,
    },
    /// The file is staged, durable and invisible.
    Sealed(Box<SealedFile>),
    /// The task ended without one.
    Failed(Fault),
}
