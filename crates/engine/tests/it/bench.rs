//! What the tests run tasks with: sources in memory, sinks in memory, small builders.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use offtake_encode::schema::from_arrow;
use offtake_engine::{InProcessEngine, Limits, TaskRunner};
use offtake_model::change::MaskRef;
use offtake_model::{
    AttemptId, Compression, ConnectionId, DeliveryId, DestinationKind, ErrorCode, Fault, FileSlice,
    FileTask, FileType, OrgId, OutputEncoding, SandboxName, Schema, SealedFile, SinkRef, SourceRef,
    Tenant,
};
use offtake_ports::testing::MemorySinks;
use offtake_ports::{Engine, RangeReader, RowMasks, Sinks, Sources, TaskEvent, TaskRequest};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use uuid::Uuid;

pub(crate) const JSON: OutputEncoding = OutputEncoding::new(FileType::Json, Compression::None);
pub(crate) const JSON_GZ: OutputEncoding = OutputEncoding::new(FileType::Json, Compression::Gzip);
pub(crate) const PARQUET: OutputEncoding =
    OutputEncoding::new(FileType::Parquet, Compression::None);
pub(crate) const PARQUET_GZ: OutputEncoding =
    OutputEncoding::new(FileType::Parquet, Compression::Gzip);
pub(crate) const ALL: [OutputEncoding; 4] = [JSON, JSON_GZ, PARQUET, PARQUET_GZ];

/// Sources and masks in memory.
#[derive(Clone, Default)]
pub(crate) struct MemoryLake {
    files: Arc<Mutex<HashMap<String, Bytes>>>,
    masks: Arc<Mutex<HashMap<String, Vec<Range<u64>>>>>,
}

impl MemoryLake {
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>) -> FileSlice {
        let bytes = bytes.into();
        let slice = FileSlice {
            source: SourceRef {
                root: "lake".to_owned(),
                path: path.to_owned(),
            },
            bytes: bytes.len() as u64,
            etag: None,
            rows: None,
            row_groups: None,
            row_range: None,
            known_row_groups: Vec::new(),
            constants: Vec::new(),
            mask: None,
        };
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
        slice
    }

    pub(crate) fn mask(&self, name: &str, keep: Vec<Range<u64>>, removed: u64) -> MaskRef {
        self.masks.lock().unwrap().insert(name.to_owned(), keep);
        MaskRef {
            root: "lake".to_owned(),
            descriptor: name.to_owned(),
            rows: removed,
        }
    }
}

#[async_trait]
impl Sources for MemoryLake {
    async fn open(&self, slice: &FileSlice) -> Result<Arc<dyn RangeReader>, Fault> {
        let files = self.files.lock().unwrap();
        match files.get(&slice.source.path) {
            Some(bytes) => Ok(Arc::new(MemoryFile(bytes.clone()))),
            None => Err(Fault::new(ErrorCode::SourceVanished, "open")),
        }
    }
}

#[async_trait]
impl RowMasks for MemoryLake {
    async fn keep(&self, mask: &MaskRef, _rows: u64) -> Result<Vec<Range<u64>>, Fault> {
        Ok(self.masks.lock().unwrap()[&mask.descriptor].clone())
    }
}

struct MemoryFile(Bytes);

#[async_trait]
impl RangeReader for MemoryFile {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        if range.end > self.0.len() {
            return Err(Fault::new(ErrorCode::SourceChanged, "read beyond the end"));
        }
        Ok(self.0.slice(range))
    }
}

/// A runner over memory.
#[derive(Clone, Default)]
pub(crate) struct Bench {
    pub(crate) lake: MemoryLake,
    pub(crate) sinks: MemorySinks,
    pub(crate) limits: Limits,
}

/// How a task ended: its file, or why there is none.
pub(crate) type Ending = Result<(SealedFile, Bytes), Fault>;

impl Bench {
    pub(crate) fn runner(&self, sinks: Arc<dyn Sinks>) -> Arc<TaskRunner> {
        let lake = Arc::new(self.lake.clone());
        Arc::new(TaskRunner::new(
            Arc::clone(&lake) as _,
            lake,
            sinks,
            self.limits,
        ))
    }

    /// Runs the task to its end and publishes what it sealed, to read it.
    pub(crate) async fn run(&self, task: FileTask) -> Ending {
        let engine = InProcessEngine::new(self.runner(Arc::new(self.sinks.clone())), 2);
        let sealed = finish(&engine, task.clone()).await?;
        let sink = self.sinks.open(&task.sink).await?;
        let _published = sink.publish(&sealed.token).await?;
        let bytes = self.sinks.read(&task.sink, &task.key).unwrap();
        assert_eq!(bytes.len() as u64, sealed.bytes);
        assert_eq!(sealed.rows, sealed.input_rows);
        Ok((sealed, bytes))
    }

    /// As `run`, for tasks that must fail: nothing may be left of them.
    pub(crate) async fn refuse(&self, task: FileTask) -> Fault {
        let fault = self.run(task).await.unwrap_err();
        assert_eq!(self.sinks.staged(), 0, "something stayed staged");
        fault
    }
}

/// Runs the task to its last event.
pub(crate) async fn finish(engine: &dyn Engine, task: FileTask) -> Result<SealedFile, Fault> {
    let mut events = engine.run(request(task)).await;
    let (mut rows, mut bytes, mut begun) = (0, 0, false);
    while let Some(event) = events.next().await {
        match event {
            TaskEvent::Begun { .. } => begun = true,
            TaskEvent::Progress { rows: r, bytes: b } => {
                rows += r;
                bytes += b;
            }
            TaskEvent::Sealed(file) => {
                assert!(begun);
                assert_eq!(bytes, file.bytes, "progress tells of every byte");
                assert!(rows <= file.rows);
                assert!(events.next().await.is_none(), "sealed is the last word");
                return Ok(*file);
            }
            TaskEvent::Failed(fault) => return Err(fault),
        }
    }
    panic!("the task ended without a last word");
}

pub(crate) fn request(task: FileTask) -> TaskRequest {
    TaskRequest {
        task,
        attempt: AttemptId(Uuid::new_v4()),
    }
}

pub(crate) fn task(schema: Schema, slices: Vec<FileSlice>, encoding: OutputEncoding) -> FileTask {
    FileTask {
        delivery: DeliveryId(Uuid::nil()),
        index: 0,
        key: format!("part-00000{}", encoding.extension()),
        slices,
        schema,
        encoding,
        sink: SinkRef {
            kind: DestinationKind::LandingZone,
            tenant: Tenant {
                org: OrgId("org".to_owned()),
                sandbox: SandboxName("prod".to_owned()),
            },
            connection: ConnectionId(Uuid::nil()),
            container: None,
        },
    }
}

/// The batch as a Parquet file of row groups of that many rows.
pub(crate) fn parquet(batch: &RecordBatch, group_rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

pub(crate) fn schema_of(batch: &RecordBatch) -> Schema {
    from_arrow(&batch.schema()).unwrap()
}

/// The rows of a Parquet file.
pub(crate) fn rows_of(file: Bytes) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

pub(crate) fn lines_of(file: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(file).unwrap();
    text.lines().map(str::to_owned).collect()
}
