//! A lake over a temporary folder, and ways to look at what it answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use delta_kernel::Snapshot;
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use object_store::local::LocalFileSystem;
use offtake_lake::{LakeRoot, Lakes};
use offtake_model::resource::TableFormat;
use offtake_model::{ChangeSet, Changes, ErrorCode, Fault, FileSlice, OrgId, Position, SourceRef};
use offtake_ports::{Lake, LakeRoots, Sources};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

/// A lake with one root, `main`. What it answers is also asked of a lake that reads the same folder as an object store.
pub(crate) struct TestLake {
    pub(crate) folder: TempDir,
    pub(crate) lake: Lakes,
    stored: Lakes,
}

pub(crate) fn org() -> OrgId {
    OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned())
}

impl TestLake {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let root = LakeRoot::folder("main", folder.path().join("root"));
        let lake = Lakes::new(vec![root]).unwrap();
        let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let root = LakeRoot::store("main", "s3://lake/root", Arc::new(store), "root".into());
        let stored = Lakes::new(vec![root]).unwrap();
        Self {
            folder,
            lake,
            stored,
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn path(&self, table: &str) -> PathBuf {
        self.root().join(table)
    }

    pub(crate) fn source(&self, table: &str) -> SourceRef {
        self.lake
            .resolve(&org(), &format!("lake://main/{table}"))
            .unwrap()
    }

    pub(crate) async fn snapshot(&self, table: &str) -> Result<ChangeSet, Fault> {
        self.snapshot_at(table, None).await
    }

    pub(crate) async fn snapshot_at(
        &self,
        table: &str,
        at: Option<&Position>,
    ) -> Result<ChangeSet, Fault> {
        let source = self.source(table);
        let answer = self.lake.snapshot(&source, TableFormat::Delta, at).await;
        if answer.is_ok() {
            let stored = self.stored.snapshot(&source, TableFormat::Delta, at).await;
            assert_eq!(stored, answer, "an object store answers alike");
        }
        answer
    }

    pub(crate) async fn changes(&self, table: &str, from: &Position) -> Result<Changes, Fault> {
        let source = self.source(table);
        let ask = |lake: Lakes| {
            let (source, from) = (source.clone(), from.clone());
            async move { lake.changes(&source, TableFormat::Delta, &from, None).await }
        };
        let answer = ask(self.lake.clone()).await;
        if answer.is_ok() {
            let stored = ask(self.stored.clone()).await;
            assert_eq!(stored, answer, "an object store answers alike");
        }
        answer
    }

    /// The increment, which must be one of added rows only.
    pub(crate) async fn appended(&self, table: &str, from: &Position) -> ChangeSet {
        match self.changes(table, from).await.unwrap() {
            Changes::Appended(set) => set,
            Changes::Rewritten { at, .. } => panic!("rewritten at {at}"),
        }
    }

    /// Numbers and versions of the rows of a demo table's slices, sorted.
    pub(crate) async fn rows(&self, slices: &[FileSlice]) -> Vec<(i64, i64)> {
        let mut rows = Vec::new();
        for slice in slices {
            let bytes = self.read(slice).await.unwrap();
            let batches = ParquetRecordBatchReaderBuilder::try_new(bytes)
                .unwrap()
                .build()
                .unwrap();
            let before = rows.len();
            for batch in batches {
                let batch = batch.unwrap();
                let number = batch.column_by_name("row_id").unwrap();
                let version = batch.column_by_name("commit_version").unwrap();
                rows.extend(
                    number
                        .as_primitive::<Int64Type>()
                        .values()
                        .iter()
                        .zip(version.as_primitive::<Int64Type>().values())
                        .map(|(number, version)| (*number, *version)),
                );
            }
            assert_eq!(slice.rows, Some((rows.len() - before) as u64));
        }
        rows.sort_unstable();
        rows
    }

    pub(crate) async fn read(&self, slice: &FileSlice) -> Result<Bytes, Fault> {
        let reader = self.lake.open(slice).await?;
        let bytes = reader.read(0..reader.size()).await?;
        let stored = self.stored.open(slice).await?;
        assert_eq!(stored.read(0..stored.size()).await?, bytes);
        Ok(bytes)
    }
}

pub(crate) fn at(position: &Position, version: u64) -> Position {
    let Position::Delta { table, .. } = position else {
        panic!("a folder has no versions");
    };
    Position::Delta {
        table: table.clone(),
        version,
    }
}

pub(crate) fn version(position: &Position) -> u64 {
    let Position::Delta { version, .. } = position else {
        panic!("a folder has no versions");
    };
    *version
}

/// Row numbers as a demo table's version would bring them.
pub(crate) fn numbered(rows: std::ops::Range<i64>, version: i64) -> Vec<(i64, i64)> {
    rows.map(|row| (row, version)).collect()
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Fault>, code: ErrorCode, word: &str) {
    let fault = answer.unwrap_err();
    assert_eq!(fault.code, code, "{fault} / {:?}", fault.cause);
    assert!(fault.message.contains(word), "{word:?} not in {fault}");
}

pub(crate) fn commit_file(table: &Path, version: u64) -> PathBuf {
    table.join(format!("_delta_log/{version:020}.json"))
}

/// Lets the table library write a checkpoint of the latest version.
pub(crate) fn checkpoint(table: &Path) {
    let table = table.to_owned();
    std::thread::spawn(move || write_checkpoint(&table))
        .join()
        .unwrap();
}

fn write_checkpoint(table: &Path) {
    // Writing a checkpoint blocks inside the library's own tasks, so one thread would wait for itself.
    let threads = TokioMultiThreadExecutor::new_owned_runtime(Some(2), None).unwrap();
    let engine = DefaultEngineBuilder::new(Arc::new(LocalFileSystem::new()))
        .with_task_executor(Arc::new(threads))
        .build();
    let snapshot = Snapshot::builder_for(table.to_str().unwrap())
        .build(&engine)
        .unwrap();
    snapshot.checkpoint(&engine, None).unwrap();
}
