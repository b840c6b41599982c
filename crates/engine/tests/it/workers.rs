//! Worker processes: the program is this package's example `worker`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use futures_util::StreamExt;
use offtake_engine::worker::{ServeError, serve_on};
use offtake_engine::{InProcessEngine, Limits, TaskRunner, WorkerCommand, WorkerEngine};
use offtake_model::{ErrorCode, FileSlice, FileTask};
use offtake_ports::{Engine, TaskEvent};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::bench::{Bench, JSON_GZ, MemoryLake, finish, parquet, request, schema_of, task};
use crate::local::{Files, Folder, NoMasks};
use crate::tasks::events;

/// How long something outside this process may take to be seen.
const PATIENCE: u32 = 500;

struct Place {
    from: TempDir,
    to: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            from: TempDir::new().unwrap(),
            to: TempDir::new().unwrap(),
        }
    }

    fn put(&self, name: &str, rows: &RecordBatch) -> FileSlice {
        let file = parquet(rows, 10_000);
        fs::write(self.from.path().join(name), &file).unwrap();
        MemoryLake::default().put(name, file)
    }

    fn command(&self, memory_max_mib: u64) -> WorkerCommand {
        let args = vec![
            self.from.path().into(),
            self.to.path().into(),
            memory_max_mib.to_string().into(),
        ];
        WorkerCommand {
            program: program(),
            args,
        }
    }

    /// Ids of the worker processes of this place.
    fn workers(&self) -> Vec<Pid> {
        let mark = self.to.path().to_str().unwrap();
        let ours = |entry: &fs::DirEntry| {
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(mark)
        };
        fs::read_dir("/proc")
            .unwrap()
            .map(Result::unwrap)
            .filter(ours)
            .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
            .collect()
    }

    async fn no_worker_left(&self) -> bool {
        for _ in 0..PATIENCE {
            if self.workers().is_empty() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples/worker");
    assert!(
        program.exists(),
        "build the example `worker` of this package first"
    );
    program
}

fn large_task(place: &Place) -> FileTask {
    let rows = events(0, 300_000);
    let slice = place.put("large.parquet", &rows);
    task(schema_of(&rows), vec![slice], JSON_GZ)
}

fn small_task(place: &Place, name: &str) -> FileTask {
    let rows = events(0, 1_000);
    let slice = place.put(name, &rows);
    let mut task = task(schema_of(&rows), vec![slice], JSON_GZ);
    task.key = format!("{name}.json.gz");
    task
}

#[tokio::test]
async fn a_worker_makes_the_same_file_and_stays_for_the_next() {
    let place = Place::new();
    let apart = WorkerEngine::new(place.command(0), 1);
    let runner = TaskRunner::new(
        Arc::new(Files(place.from.path().to_owned())),
        Arc::new(NoMasks),
        Arc::new(Folder(place.to.path().to_owned())),
        Limits::default(),
    );
    let here = InProcessEngine::new(Arc::new(runner), 1);
    let first = finish(&apart, small_task(&place, "a")).await.unwrap();
    let workers = place.workers();
    let second = finish(&apart, small_task(&place, "b")).await.unwrap();
    let same = finish(&here, small_task(&place, "c")).await.unwrap();
    assert_eq!(first.sha256, same.sha256);
    assert_eq!(second.sha256, same.sha256);
    assert_eq!(place.workers(), workers);
    assert_eq!(workers.len(), 1);
    drop(apart);
    assert!(place.no_worker_left().await);
}

#[tokio::test]
async fn a_worker_killed_halfway_is_lost_and_replaced() {
    let place = Place::new();
    let engine = WorkerEngine::new(place.command(0), 1);
    let mut running = engine.run(request(large_task(&place))).await;
    assert!(matches!(
        running.next().await,
        Some(TaskEvent::Begun { .. })
    ));
    for worker in place.workers() {
        kill_process(worker, Signal::KILL).unwrap();
    }
    let mut last = None;
    while let Some(event) = running.next().await {
        last = Some(event);
    }
    let Some(TaskEvent::Failed(fault)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(fault.code, ErrorCode::WorkerLost);
    finish(&engine, small_task(&place, "after")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_needs_more_memory_than_allowed_ends_only_its_worker() {
    let place = Place::new();
    let engine = WorkerEngine::new(place.command(128), 1);
    let bomb = "x".repeat(300 << 20);
    let rows =
        RecordBatch::try_from_iter([("bomb", Arc::new(StringArray::from(vec![bomb])) as ArrayRef)])
            .unwrap();
    let slice = place.put("bomb.parquet", &rows);
    let fault = finish(&engine, task(schema_of(&rows), vec![slice], JSON_GZ))
        .await
        .unwrap_err();
    assert_eq!(fault.code, ErrorCode::MemoryExceeded, "{fault}");
    finish(&engine, small_task(&place, "after")).await.unwrap();
}

#[tokio::test]
async fn dropping_the_events_ends_the_worker() {
    let place = Place::new();
    let engine = WorkerEngine::new(place.command(0), 1);
    let mut running = engine.run(request(large_task(&place))).await;
    assert!(matches!(
        running.next().await,
        Some(TaskEvent::Begun { .. })
    ));
    drop(running);
    assert!(place.no_worker_left().await);
    finish(&engine, small_task(&place, "after")).await.unwrap();
}

#[tokio::test]
async fn a_program_that_does_not_start_is_a_lost_worker() {
    let place = Place::new();
    let command = WorkerCommand {
        program: place.from.path().join("nothing"),
        args: Vec::new(),
    };
    let fault = finish(&WorkerEngine::new(command, 1), small_task(&place, "a"))
        .await
        .unwrap_err();
    assert_eq!(fault.code, ErrorCode::WorkerLost);
}

#[test]
fn a_worker_ends_when_its_input_does() {
    let place = Place::new();
    let mut worker = Command::new(program())
        .args(place.command(0).args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(worker.stdin.take());
    assert!(worker.wait().unwrap().success());
}

#[tokio::test]
async fn a_parent_of_another_version_is_refused() {
    let bench = Bench::default();
    let runner = bench.runner(Arc::new(bench.sinks.clone()));
    let (mut parent, child) = tokio::io::duplex(1 << 10);
    let greeting = br#"{"kind":"hello","version":2}"#;
    parent.write_u32_le(28).await.unwrap();
    parent.write_all(greeting).await.unwrap();
    let (reader, writer) = tokio::io::split(child);
    let error = serve_on(runner, reader, writer).await.unwrap_err();
    assert!(matches!(error, ServeError::Greeting { .. }), "{error}");
}
