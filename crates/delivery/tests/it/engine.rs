//! An engine that stages one line per source file. It can be told to fail, to stop at a gate, or to fall silent.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use offtake_model::{AttemptTag, ErrorCode, Fault, SealedFile};
use offtake_ports::{EndOfStream, Engine, Sinks, TaskEvent, TaskRequest};
use tokio::sync::{Semaphore, mpsc};

#[derive(Clone)]
pub(crate) struct LineEngine {
    sinks: Arc<dyn Sinks>,
    script: Arc<Mutex<HashMap<u32, VecDeque<Fault>>>>,
    tried: Arc<Mutex<BTreeMap<u32, usize>>>,
    gate: Arc<Semaphore>,
}

impl LineEngine {
    pub(crate) fn new(sinks: Arc<dyn Sinks>) -> Self {
        Self {
            sinks,
            script: Arc::default(),
            tried: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// The next attempt at the task fails.
    pub(crate) fn fail(&self, task: u32, fault: Fault) {
        self.script
            .lock()
            .unwrap()
            .entry(task)
            .or_default()
            .push_back(fault);
    }

    /// Tasks stop before they seal.
    pub(crate) fn shut(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Tasks go on.
    pub(crate) fn open(&self) {
        self.gate.add_permits(1_000);
    }

    /// Attempts per task.
    pub(crate) fn tried(&self) -> BTreeMap<u32, usize> {
        self.tried.lock().unwrap().clone()
    }
}

#[async_trait]
impl Engine for LineEngine {
    async fn run(&self, request: TaskRequest) -> BoxStream<'static, TaskEvent> {
        let (sender, receiver) = mpsc::channel(1);
        let me = self.clone();
        let work = async move {
            let last = match me.task(&request, &sender).await {
                Ok(sealed) => TaskEvent::Sealed(Box::new(sealed)),
                Err(fault) => TaskEvent::Failed(fault),
            };
            let _ = sender.send(last).await;
        };
        let events = futures_util::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (event, receiver))
        });
        let work = futures_util::stream::once(work).filter_map(|()| std::future::ready(None));
        futures_util::stream::select(events, work).boxed()
    }

    fn slots(&self) -> usize {
        2
    }
}

impl LineEngine {
    async fn task(
        &self,
        request: &TaskRequest,
        events: &mpsc::Sender<TaskEvent>,
    ) -> Result<SealedFile, Fault> {
        let task = &request.task;
        *self.tried.lock().unwrap().entry(task.index).or_default() += 1;
        let tag = AttemptTag {
            delivery: task.delivery,
            task: task.index,
            attempt: request.attempt,
        };
        let sink = self.sinks.open(&task.sink).await?;
        let mut upload = sink.begin(&task.key, &tag).await?;
        let _ = events
            .send(TaskEvent::Begun {
                handle: upload.handle().clone(),
            })
            .await;
        let mut text = String::new();
        for slice in &task.slices {
            text.push_str(&slice.source.path);
            text.push('\n');
        }
        let bytes = Bytes::from(text);
        upload.write(bytes.clone()).await?;
        let progress = TaskEvent::Progress {
            rows: 10,
            bytes: bytes.len() as u64,
        };
        let _ = events.send(progress).await;
        let scripted = self
            .script
            .lock()
            .unwrap()
            .get_mut(&task.index)
            .and_then(VecDeque::pop_front);
        if let Some(fault) = scripted {
            return Err(fault);
        }
        let pass = self.gate.acquire().await;
        drop(pass.map_err(|_| Fault::new(ErrorCode::WorkerLost, "gate closed"))?);
        let token = upload
            .seal(EndOfStream {
                bytes: bytes.len() as u64,
            })
            .await?;
        Ok(SealedFile {
            token,
            input_rows: 10,
            rows: 10,
            bytes: bytes.len() as u64,
            sha256: String::new(),
            passage: offtake_model::delivery::Passage::Encoded,
        })
    }
}
