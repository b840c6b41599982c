//! Runs tasks inside this process.
//!
//! A hostile file can end the process with it; [`WorkerEngine`](crate::WorkerEngine) is for production.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use offtake_ports::{Engine, TaskEvent, TaskRequest};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::runner::TaskRunner;

/// Events of a task that nobody has taken yet.
pub(crate) const EVENTS: usize = 16;

/// Runs tasks on the runtime it is called on.
pub struct InProcessEngine {
    runner: Arc<TaskRunner>,
    room: Arc<Semaphore>,
    slots: usize,
}

impl InProcessEngine {
    /// Builds an engine that runs up to `slots` tasks at the same time; more wait.
    pub fn new(runner: Arc<TaskRunner>, slots: usize) -> Self {
        let slots = slots.max(1);
        Self {
            runner,
            room: Arc::new(Semaphore::new(slots)),
            slots,
        }
    }
}

#[async_trait]
impl Engine for InProcessEngine {
    async fn run(&self, request: TaskRequest) -> BoxStream<'static, TaskEvent> {
        let (sender, receiver) = mpsc::channel(EVENTS);
        let (runner, room) = (Arc::clone(&self.runner), Arc::clone(&self.room));
        let task = tokio::spawn(async move {
            // The semaphore is never closed.
            let _slot = room.acquire_owned().await;
            runner.run(request, sender).await;
        });
        events(receiver, AbortOnDropHandle::new(task))
    }

    fn slots(&self) -> usize {
        self.slots
    }
}

/// The receiver as a stream that owns the task behind it.
pub(crate) fn events(
    receiver: mpsc::Receiver<TaskEvent>,
    task: AbortOnDropHandle<()>,
) -> BoxStream<'static, TaskEvent> {
    stream::unfold((receiver, task), |(mut receiver, task)| async move {
        let event = receiver.recv().await?;
        Some((event, (receiver, task)))
    })
    .boxed()
}
