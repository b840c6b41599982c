//! Runs a task from its first byte read to the seal.
//!
//! Everything that can be refused without reading rows is refused before the upload begins.
//!
//! The one law: `seal` comes after rows read, rows written and the footers' counts were found equal, or never.

use std::sync::Arc;

use offtake_encode::{Encoded, Spares, open_with};
use offtake_model::{AttemptTag, ErrorCode, Fault, FileSlice, FileTask, SealedFile};
use offtake_ports::{EndOfStream, RowMasks, Sinks, Sources, StagedUpload, TaskEvent, TaskRequest};
use tokio::sync::mpsc;

use crate::limits::Limits;
use crate::pipeline::{Chunk, Passing, Pipeline, Way};
use crate::source::{Planned, SourceFile};

/// Runs tasks over the sources and sinks it is given.
pub struct TaskRunner {
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) masks: Arc<dyn RowMasks>,
    pub(crate) limits: Limits,
    /// Memory that tasks use one after the other.
    pub(crate) spares: Spares,
    sinks: Arc<dyn Sinks>,
}

impl TaskRunner {
    /// Builds a runner.
    pub fn new(
        sources: Arc<dyn Sources>,
        masks: Arc<dyn RowMasks>,
        sinks: Arc<dyn Sinks>,
        limits: Limits,
    ) -> Self {
        Self {
            sources,
            masks,
            limits,
            spares: Spares::new(),
            sinks,
        }
    }

    /// Gives up memory that was kept for the next task.
    pub fn rest(&self) {
        self.spares.clear();
    }

    /// Runs the task and tells of it. The last event is `Sealed` or `Failed`; when nobody listens any more, the task
    /// stops and there is none.
    pub async fn run(self: Arc<Self>, request: TaskRequest, events: mpsc::Sender<TaskEvent>) {
        let last = match self.seal(request, &events).await {
            Ok(sealed) => TaskEvent::Sealed(Box::new(sealed)),
            Err(fault) => TaskEvent::Failed(fault),
        };
        // Whoever stopped listening has dropped the task.
        let _unheard = events.send(last).await;
    }

    async fn seal(
        self: Arc<Self>,
        request: TaskRequest,
        events: &mpsc::Sender<TaskEvent>,
    ) -> Result<SealedFile, Fault> {
        let TaskRequest { task, attempt } = request;
        let tag = AttemptTag {
            delivery: task.delivery,
            task: task.index,
            attempt,
        };
        let way = self.way(&task).await?;
        let sink = self.sinks.open(&task.sink).await?;
        let mut upload = sink.begin(&task.key, &tag).await?;
        let handle = upload.handle().clone();
        tell(events, TaskEvent::Begun { handle }).await?;

        let key = task.key.clone();
        let mut pipeline = Pipeline::start(self, task, way);
        let written = write_all(&mut pipeline, upload.as_mut(), events).await?;
        let outcome = pipeline.join().await?;
        check(&key, outcome.rows_read, &outcome.encoded, written)?;

        let Encoded {
            rows,
            bytes,
            sha256,
        } = outcome.encoded;
        let token = upload.seal(EndOfStream { bytes }).await?;
        Ok(SealedFile {
            token,
            input_rows: outcome.rows_read,
            rows,
            bytes,
            sha256,
            passage: outcome.passage,
        })
    }
}

impl TaskRunner {
    /// Rows pass in their pages where that gives the same rows; else they are decoded and encoded.
    async fn way(&self, task: &FileTask) -> Result<Way, Fault> {
        let encoder = open_with(&task.schema, task.encoding, &self.spares)?;
        let Some(slice) = Passing::slice_of(task) else {
            return Ok(Way::Encode(encoder, None));
        };
        let planned = Arc::new(Planned::to_pass(&task.schema));
        let file = Arc::new(self.open_source(slice, &planned).await?);
        let passing = Passing::open(task, slice, &file, &self.spares).await?;
        Ok(match passing {
            Some(passing) => Way::Pass(Box::new(passing)),
            None => Way::Encode(encoder, Some(file)),
        })
    }

    pub(crate) async fn open_source(
        &self,
        slice: &FileSlice,
        planned: &Arc<Planned>,
    ) -> Result<SourceFile, Fault> {
        let reader = self.sources.open(slice).await?;
        let pages = self.spares.pages().clone();
        SourceFile::open(reader, slice, planned, self.limits, pages).await
    }
}

/// Moves chunks from the pipeline to the upload; answers how many bytes.
async fn write_all(
    pipeline: &mut Pipeline,
    upload: &mut dyn StagedUpload,
    events: &mpsc::Sender<TaskEvent>,
) -> Result<u64, Fault> {
    let mut written = 0;
    while let Some(Chunk { data, rows }) = pipeline.next().await {
        let bytes = data.len() as u64;
        upload.write(data).await?;
        written += bytes;
        tell(events, TaskEvent::Progress { rows, bytes }).await?;
    }
    Ok(written)
}

fn check(key: &str, rows_read: u64, encoded: &Encoded, written: u64) -> Result<(), Fault> {
    if rows_read == encoded.rows && written == encoded.bytes {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::RowsMismatch,
        format!(
            "seal file {key}: {rows_read} rows were read and {} written; {} bytes were encoded and {written} staged",
            encoded.rows, encoded.bytes
        ),
    ))
}

async fn tell(events: &mpsc::Sender<TaskEvent>, event: TaskEvent) -> Result<(), Fault> {
    let unheard = |_event| Fault::new(ErrorCode::Cancelled, "run a file task nobody waits for");
    events.send(event).await.map_err(unheard)
}
