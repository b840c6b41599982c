//! Converts a folder of Parquet files: `convert <from> <to> <form> <threads> [apart] [whole] [fast] [single]`.
//!
//! Files are divided and packed as the planner does it; with `whole` all rows become one file. With `apart` the files
//! are written by worker processes, as the service does it. `fast` and `single` are the wishes for gzip.

#[path = "shared/local.rs"]
mod local;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use offtake_core::plan::{Limits, divide};
use offtake_encode::schema::from_arrow;
use offtake_engine::{InProcessEngine, TaskRunner, WorkerCommand, WorkerEngine};
use offtake_model::change::RowGroup;
use offtake_model::{
    AttemptId, Compression, ConnectionId, DeliveryId, DestinationKind, FileSlice, FileTask,
    FileType, GzipLevel, GzipMembers, OrgId, OutputEncoding, SandboxName, SinkRef, SourceRef,
    Tenant,
};
use offtake_ports::{Engine, TaskEvent, TaskRequest};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use uuid::Uuid;

use local::{Files, Folder, NoMasks};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Files larger than this have their row groups known when a plan is made.
const SPLIT_BYTES_MIN: u64 = 64 << 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [from, to, format, threads, rest @ ..] = args.as_slice() else {
        bail!(
            "usage: convert <from> <to> <json|json.gz|parquet|gz.parquet> <threads> [apart] [whole] [fast] [single]"
        );
    };
    let (from, to) = (PathBuf::from(from), PathBuf::from(to));
    fs::create_dir_all(&to)?;
    let asked = |word: &str| rest.iter().any(|it| it == word);
    let mut encoding = encoding(format)?;
    if asked("fast") {
        encoding.gzip.level = GzipLevel::Fast;
    }
    if asked("single") {
        encoding.gzip.members = GzipMembers::Single;
    }
    let tasks = tasks(&from, encoding, asked("whole"))?;
    let engine = engine(&from, &to, threads.parse()?, asked("apart"))?;
    let running = tasks.into_iter().map(|task| finish(engine.as_ref(), task));
    let (mut rows, mut bytes) = (0, 0);
    for sealed in futures_util::future::try_join_all(running).await? {
        rows += sealed.0;
        bytes += sealed.1;
    }
    #[expect(
        clippy::print_stdout,
        reason = "the outcome is what the program is for"
    )]
    {
        println!("{rows} rows, {bytes} bytes");
    }
    Ok(())
}

fn engine(from: &Path, to: &Path, threads: usize, apart: bool) -> anyhow::Result<Box<dyn Engine>> {
    if apart {
        let program = env::current_exe()?.with_file_name("worker");
        let args = vec![from.into(), to.into(), "1024".into()];
        return Ok(Box::new(WorkerEngine::new(
            WorkerCommand { program, args },
            threads,
        )));
    }
    let runner = TaskRunner::new(
        Arc::new(Files(from.to_owned())),
        Arc::new(NoMasks),
        Arc::new(Folder(to.to_owned())),
        offtake_engine::Limits::default(),
    );
    Ok(Box::new(InProcessEngine::new(Arc::new(runner), threads)))
}

async fn finish(engine: &dyn Engine, task: FileTask) -> anyhow::Result<(u64, u64)> {
    let key = task.key.clone();
    let request = TaskRequest {
        task,
        attempt: AttemptId(Uuid::new_v4()),
    };
    let mut events = engine.run(request).await;
    while let Some(event) = events.next().await {
        match event {
            TaskEvent::Begun { .. } | TaskEvent::Progress { .. } => {}
            TaskEvent::Sealed(file) => return Ok((file.rows, file.bytes)),
            TaskEvent::Failed(fault) => bail!("{key}: {fault} ({:?})", fault.cause),
        }
    }
    bail!("{key}: no last word")
}

fn encoding(format: &str) -> anyhow::Result<OutputEncoding> {
    let (file_type, compression) = match format {
        "json" => (FileType::Json, Compression::None),
        "json.gz" => (FileType::Json, Compression::Gzip),
        "parquet" => (FileType::Parquet, Compression::None),
        "gz.parquet" => (FileType::Parquet, Compression::Gzip),
        other => bail!("{other} is no format"),
    };
    Ok(OutputEncoding::new(file_type, compression))
}

/// One task for each file to be written, as a plan of these files would have them.
fn tasks(from: &Path, encoding: OutputEncoding, whole: bool) -> anyhow::Result<Vec<FileTask>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let name = entry?
            .file_name()
            .into_string()
            .ok()
            .context("a name is no text")?;
        if name.ends_with(".parquet") {
            names.push(name);
        }
    }
    names.sort();
    let Some(first) = names.first() else {
        bail!("no file in {} ends with .parquet", from.display());
    };
    let schema = from_arrow(footer(&from.join(first))?.schema())?;
    let slices = names.iter().map(|name| slice(from, name));
    let slices = slices.collect::<anyhow::Result<_>>()?;
    let groups = if whole {
        vec![slices]
    } else {
        divide(slices, Limits::default())?
    };
    let tasks = groups.into_iter().zip(0..).map(|(slices, index)| FileTask {
        delivery: DeliveryId(Uuid::nil()),
        index,
        key: format!("part-{index:05}{}", encoding.extension()),
        slices,
        schema: schema.clone(),
        encoding,
        sink: nowhere(),
    });
    Ok(tasks.collect())
}

/// A whole file; of a large one the row groups are told, as the lake tells them.
fn slice(from: &Path, name: &str) -> anyhow::Result<FileSlice> {
    let path = from.join(name);
    let bytes = fs::metadata(&path)?.len();
    let mut known_row_groups = Vec::new();
    if bytes > SPLIT_BYTES_MIN {
        for group in footer(&path)?.metadata().row_groups() {
            known_row_groups.push(RowGroup {
                bytes: group.compressed_size().try_into()?,
                rows: group.num_rows().try_into()?,
            });
        }
    }
    Ok(FileSlice {
        source: SourceRef {
            root: "folder".to_owned(),
            path: name.to_owned(),
        },
        bytes,
        etag: None,
        rows: None,
        row_groups: None,
        row_range: None,
        known_row_groups,
        constants: Vec::new(),
        mask: None,
    })
}

fn footer(path: &Path) -> anyhow::Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    Ok(ArrowReaderMetadata::load(&File::open(path)?, options)?)
}

/// The folder ignores which sink it is.
fn nowhere() -> SinkRef {
    SinkRef {
        kind: DestinationKind::LandingZone,
        tenant: Tenant {
            org: OrgId("local".to_owned()),
            sandbox: SandboxName("prod".to_owned()),
        },
        connection: ConnectionId(Uuid::nil()),
        container: None,
    }
}
