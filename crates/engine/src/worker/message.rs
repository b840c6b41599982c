//! What parent and worker tell each other.
//!
//! The one law: both sides greet with the version first, and part when it differs.

use offtake_model::{AttemptId, Fault, FileTask, SealedFile, StageHandle};
use offtake_ports::{TaskEvent, TaskRequest};
use serde::{Deserialize, Serialize};

/// Version of these messages.
pub(crate) const VERSION: u32 = 1;

/// To the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum ToWorker {
    /// First message.
    Hello { version: u32 },
    /// A task to run.
    Run {
        task: Box<FileTask>,
        attempt: AttemptId,
    },
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum FromWorker {
    /// First message.
    Hello { version: u32 },
    /// As [`TaskEvent::Begun`].
    Begun { handle: StageHandle },
    /// As [`TaskEvent::Progress`].
    Progress { rows: u64, bytes: u64 },
    /// As [`TaskEvent::Sealed`].
    Sealed { file: Box<SealedFile> },
    /// As [`TaskEvent::Failed`].
    Failed { fault: Fault },
}

impl From<TaskRequest> for ToWorker {
    fn from(request: TaskRequest) -> Self {
        Self::Run {
            task: Box::new(request.task),
            attempt: request.attempt,
        }
    }
}

impl From<TaskEvent> for FromWorker {
    fn from(event: TaskEvent) -> Self {
        match event {
            TaskEvent::Begun { handle } => Self::Begun { handle },
            TaskEvent::Progress { rows, bytes } => Self::Progress { rows, bytes },
            TaskEvent::Sealed(file) => Self::Sealed { file },
            TaskEvent::Failed(fault) => Self::Failed { fault },
        }
    }
}

impl FromWorker {
    /// The event of a running task; none for a greeting, which is none.
    pub(crate) fn into_event(self) -> Option<TaskEvent> {
        match self {
            Self::Hello { .. } => None,
            Self::Begun { handle } => Some(TaskEvent::Begun { handle }),
            Self::Progress { rows, bytes } => Some(TaskEvent::Progress { rows, bytes }),
            Self::Sealed { file } => Some(TaskEvent::Sealed(file)),
            Self::Failed { fault } => Some(TaskEvent::Failed(fault)),
        }
    }
}
