//! Converts a folder of Parquet files: `convert <from> <to> <json|json.gz|parquet|gz.parquet> <threads> [apart]`.
//!
//! One file becomes one file. With `apart` the files are written by worker processes, as the service does it.

#[path = "shared/local.rs"]
mod local;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use offtake_encode::schema::from_arrow;
use offtake_engine::{InProcessEngine, Limits, TaskRunner, WorkerCommand, WorkerEngine};
use offtake_model::{
    AttemptId, Compression, ConnectionId, DeliveryId, DestinationKind, FileSlice, FileTask,
    FileType, OrgId, OutputEncoding, SandboxName, Schema, SinkRef, SourceRef, Tenant,
};
use offtake_ports::{Engine, TaskEvent, TaskRequest};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use uuid::Uuid;

use local::{Files, Folder, NoMasks};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [from, to, format, threads, rest @ ..] = args.as_slice() else {
        bail!("usage: convert <from> <to> <json|json.gz|parquet|gz.parquet> <threads> [apart]");
    };
    let (from, to) = (PathBuf::from(from), PathBuf::from(to));
    fs::create_dir_all(&to)?;
    let tasks = tasks(&from, encoding(format)?)?;
    let engine = engine(&from, &to, threads.parse()?, !rest.is_empty())?;
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
        Limits::default(),
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
    Ok(OutputEncoding {
        file_type,
        compression,
    })
}

fn tasks(from: &Path, encoding: OutputEncoding) -> anyhow::Result<Vec<FileTask>> {
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
    let tasks = names.iter().zip(0..).map(|(name, index)| {
        let (schema, bytes) = describe(&from.join(name))?;
        let stem = name.trim_end_matches(".parquet");
        Ok(FileTask {
            delivery: DeliveryId(Uuid::nil()),
            index,
            key: format!("{stem}{}", encoding.extension()),
            slices: vec![FileSlice {
                source: SourceRef {
                    root: "folder".to_owned(),
                    path: name.clone(),
                },
                bytes,
                etag: None,
                rows: None,
                row_groups: None,
                row_range: None,
                known_row_groups: Vec::new(),
                constants: Vec::new(),
                mask: None,
            }],
            schema,
            encoding,
            sink: nowhere(),
        })
    });
    tasks.collect()
}

fn describe(path: &Path) -> anyhow::Result<(Schema, u64)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&file, options)?;
    Ok((from_arrow(metadata.schema())?, bytes))
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
