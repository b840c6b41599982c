//! The worker's side.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use offtake_model::{ErrorCode, Fault};
use offtake_ports::{TaskEvent, TaskRequest};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::in_process::EVENTS;
use crate::runner::TaskRunner;
use crate::worker::frame;
use crate::worker::message::{FromWorker, ToWorker, VERSION};

/// How long after a task memory is kept for the next one.
const READY: Duration = Duration::from_secs(1);

/// Why a worker stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The memory limit was refused by the system.
    #[error("limit the worker's memory to {mebibytes} MiB")]
    Limit {
        /// The limit.
        mebibytes: u64,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The parent speaks another version, or none.
    #[error("understand the parent: it greets with {greeting}")]
    Greeting {
        /// What came instead of the right greeting.
        greeting: String,
    },
    /// The connection to the parent broke.
    #[error("talk to the parent")]
    Connection(#[from] io::Error),
}

/// Limits this process' memory and serves the parent over standard input and output until the input ends.
///
/// `memory_max_mib` bounds what may be allocated, 0 means no bound. Nothing else may write to standard output.
pub async fn serve(runner: Arc<TaskRunner>, memory_max_mib: u64) -> Result<(), ServeError> {
    if memory_max_mib > 0 {
        limit_memory(memory_max_mib)?;
    }
    serve_on(runner, tokio::io::stdin(), tokio::io::stdout()).await
}

/// Serves the parent at the other end of `reader` and `writer` until the reader ends.
pub async fn serve_on(
    runner: Arc<TaskRunner>,
    reader: impl AsyncRead + Unpin + Send + 'static,
    mut writer: impl AsyncWrite + Unpin,
) -> Result<(), ServeError> {
    let (messages, _reading) = read_all(reader);
    serve_messages(runner, messages, &mut writer).await
}

async fn serve_messages(
    runner: Arc<TaskRunner>,
    mut messages: mpsc::Receiver<io::Result<ToWorker>>,
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<(), ServeError> {
    match messages.recv().await.transpose()? {
        Some(ToWorker::Hello { version: VERSION }) => {}
        None => return Ok(()),
        Some(other) => return Err(unexpected(&other)),
    }
    frame::write(writer, &FromWorker::Hello { version: VERSION }).await?;
    while let Some(message) = next(&runner, &mut messages).await.transpose()? {
        let ToWorker::Run { task, attempt } = message else {
            return Err(unexpected(&message));
        };
        let request = TaskRequest {
            task: *task,
            attempt,
        };
        let (sender, mut events) = mpsc::channel(EVENTS);
        let _task = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&runner).run(request, sender)));
        loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else {
                        let fault = Fault::new(ErrorCode::Internal, "run a task: it ended without a word");
                        frame::write(writer, &FromWorker::from(TaskEvent::Failed(fault))).await?;
                        break;
                    };
                    let last = matches!(event, TaskEvent::Sealed(_) | TaskEvent::Failed(_));
                    frame::write(writer, &FromWorker::from(event)).await?;
                    // The parent may send the next task as soon as it has read this.
                    if last {
                        break;
                    }
                }
                message = messages.recv() => match message.transpose()? {
                    // The parent is gone, or has no more use for this worker.
                    None => return Ok(()),
                    Some(message) => return Err(unexpected(&message)),
                },
            }
        }
    }
    Ok(())
}

/// The next message. While there is none for long, nothing is kept for the next task.
async fn next(
    runner: &TaskRunner,
    messages: &mut mpsc::Receiver<io::Result<ToWorker>>,
) -> Option<io::Result<ToWorker>> {
    if let Ok(message) = timeout(READY, messages.recv()).await {
        return message;
    }
    runner.rest();
    messages.recv().await
}

/// Reads messages on a task of their own, because a read that was begun must not be dropped halfway.
fn read_all(
    mut reader: impl AsyncRead + Unpin + Send + 'static,
) -> (mpsc::Receiver<io::Result<ToWorker>>, AbortOnDropHandle<()>) {
    let (sender, receiver) = mpsc::channel(1);
    let reading = tokio::spawn(async move {
        while let Some(message) = frame::read(&mut reader).await.transpose() {
            let broken = message.is_err();
            if sender.send(message).await.is_err() || broken {
                return;
            }
        }
    });
    (receiver, AbortOnDropHandle::new(reading))
}

fn unexpected(message: &ToWorker) -> ServeError {
    let greeting = match message {
        ToWorker::Hello { version } => format!("version {version} where {VERSION} is spoken"),
        ToWorker::Run { .. } => "a task out of turn".to_owned(),
    };
    ServeError::Greeting { greeting }
}

/// What is allocated beyond the limit fails, which ends the process; its parent tells what that means.
fn limit_memory(mebibytes: u64) -> Result<(), ServeError> {
    let bytes = Some(mebibytes.saturating_mul(1 << 20));
    let limit = Rlimit {
        current: bytes,
        maximum: bytes,
    };
    setrlimit(Resource::Data, limit).map_err(|error| ServeError::Limit {
        mebibytes,
        source: error.into(),
    })
}
