//! The parent's side: a pool of worker processes.
//!
//! Workers are started when a task needs one and kept for the next. One that died, or whose task was dropped, is
//! replaced when it is needed.
//!
//! The one law: a worker goes back to the pool only after the last word of its task.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::{Engine, TaskEvent, TaskRequest};
use rustix::process::Signal;
use tokio::io::BufReader;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::in_process::{EVENTS, events};
use crate::worker::frame;
use crate::worker::message::{FromWorker, ToWorker, VERSION};

/// How long a new worker may take to greet.
const GREETING_MAX: Duration = Duration::from_secs(30);

/// How long a worker that closed its output may take to end.
const END_MAX: Duration = Duration::from_secs(5);

/// How to start a worker: a program that calls [`serve`](crate::worker::serve).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, among them the memory limit.
    pub args: Vec<OsString>,
}

/// Runs tasks in worker processes, one task per worker at a time.
pub struct WorkerEngine {
    pool: Arc<Pool>,
    slots: usize,
}

struct Pool {
    command: WorkerCommand,
    room: Arc<Semaphore>,
    /// Workers without a task; never more than there are slots.
    idle: Mutex<Vec<Worker>>,
}

struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl WorkerEngine {
    /// Builds an engine of up to `slots` workers. None is started before the first task.
    pub fn new(command: WorkerCommand, slots: usize) -> Self {
        let slots = slots.max(1);
        Self {
            pool: Arc::new(Pool {
                command,
                room: Arc::new(Semaphore::new(slots)),
                idle: Mutex::new(Vec::new()),
            }),
            slots,
        }
    }
}

#[async_trait]
impl Engine for WorkerEngine {
    async fn run(&self, request: TaskRequest) -> BoxStream<'static, TaskEvent> {
        let (sender, receiver) = mpsc::channel(EVENTS);
        let pool = Arc::clone(&self.pool);
        let task = tokio::spawn(async move {
            // The semaphore is never closed.
            let _slot = Arc::clone(&pool.room).acquire_owned().await;
            if let Err(fault) = pool.run(request, &sender).await {
                // Whoever stopped listening has dropped the task.
                let _unheard = sender.send(TaskEvent::Failed(fault)).await;
            }
        });
        events(receiver, AbortOnDropHandle::new(task))
    }

    fn slots(&self) -> usize {
        self.slots
    }
}

impl Pool {
    /// Runs the task on a worker; dropped halfway, the worker is killed with it.
    async fn run(
        &self,
        request: TaskRequest,
        events: &mpsc::Sender<TaskEvent>,
    ) -> Result<(), Fault> {
        let mut worker = self.worker().await?;
        let message = ToWorker::from(request);
        if let Err(error) = frame::write(&mut worker.stdin, &message).await {
            return Err(worker.lost(Some(error)).await);
        }
        loop {
            let event = match frame::read(&mut worker.stdout).await {
                Ok(Some(message)) => FromWorker::into_event(message),
                Ok(None) => return Err(worker.lost(None).await),
                Err(error) => return Err(worker.lost(Some(error)).await),
            };
            let Some(event) = event else {
                return Err(Fault::new(
                    ErrorCode::Internal,
                    "run a task: the worker greeted twice",
                ));
            };
            let last = matches!(event, TaskEvent::Sealed(_) | TaskEvent::Failed(_));
            if last {
                self.idle().push(worker);
                let _unheard = events.send(event).await;
                return Ok(());
            }
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
    }

    /// An idle worker that is still alive, or a new one.
    async fn worker(&self) -> Result<Worker, Fault> {
        loop {
            let Some(mut worker) = self.idle().pop() else {
                return Worker::start(&self.command).await;
            };
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Ok(worker);
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    async fn start(command: &WorkerCommand) -> Result<Self, Fault> {
        let lost =
            |what: &str| Fault::new(ErrorCode::WorkerLost, format!("start a worker: {what}"));
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // The program's allocator would count memory as used that it only set aside.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            // Milliseconds. Stages hand their memory on from thread to thread, and the allocator would keep each
            // thread's share of it; but what is given back at once is cleared by the system before its next use.
            .env("MIMALLOC_PURGE_DELAY", "10")
            .env("MIMALLOC_ALLOW_THP", "0")
            // A Ctrl-C at the terminal is the service's to handle: it lets tasks end first.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| lost("its program does not start").because(&error))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(lost("it has no standard input and output"));
        };
        debug!(pid = child.id(), "worker started");
        let mut worker = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        };
        match timeout(GREETING_MAX, worker.greet()).await {
            Ok(Ok(Some(FromWorker::Hello { version: VERSION }))) => Ok(worker),
            Ok(Ok(None)) => Err(worker.lost(None).await),
            Ok(Ok(Some(_))) => Err(lost("it is of another version")),
            Ok(Err(error)) => Err(worker.lost(Some(error)).await),
            Err(_elapsed) => Err(lost("it does not greet in time")),
        }
    }

    async fn greet(&mut self) -> io::Result<Option<FromWorker>> {
        frame::write(&mut self.stdin, &ToWorker::Hello { version: VERSION }).await?;
        frame::read(&mut self.stdout).await
    }

    /// What it means that the worker stopped answering.
    async fn lost(self, error: Option<io::Error>) -> Fault {
        let Self {
            mut child,
            stdin,
            stdout,
        } = self;
        drop((stdin, stdout));
        let ended = timeout(END_MAX, child.wait()).await;
        let mut fault = match ended {
            Ok(Ok(status)) => ending(status),
            Ok(Err(_)) | Err(_) => Fault::new(
                ErrorCode::WorkerLost,
                "run a task: the worker process stopped answering",
            ),
        };
        if let Some(error) = error {
            fault = fault.because(&error);
        }
        warn!(fault.code = %fault.code, "worker lost: {}", fault.message);
        fault
    }
}

/// An allocation that fails aborts the process; nothing else in a worker does.
fn ending(status: ExitStatus) -> Fault {
    if status.signal() == Some(Signal::ABORT.as_raw()) {
        return Fault::new(
            ErrorCode::MemoryExceeded,
            "run a task: the worker process ran out of the memory it may use",
        );
    }
    Fault::new(
        ErrorCode::WorkerLost,
        format!("run a task: the worker process ended with {status}"),
    )
}
