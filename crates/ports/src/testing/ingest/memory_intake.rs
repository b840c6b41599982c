//! Managed datasets in memory, made of JSON lines.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use offtake_model::batch::{BadRow, Batch, BatchFile, BatchMetrics, Promoted, Row, UploadPreview};
use offtake_model::{BatchId, DatasetId, ErrorCode, Fault, SourceRef, Tenant};

use super::MemoryUploads;
use crate::intake::Intake;

/// Name of the root that tables in memory lie in.
const ROOT: &str = "memory";

/// Keeps managed datasets while it lives. It reads one format, lines of JSON objects.
#[derive(Debug)]
pub struct MemoryIntake {
    uploads: MemoryUploads,
    tables: Mutex<BTreeMap<String, Table>>,
}

/// The commits of a table; version 0 is its making.
#[derive(Debug, Default)]
struct Table {
    commits: Vec<Commit>,
}

#[derive(Debug)]
enum Commit {
    Brought {
        batch: BatchId,
        bytes: u64,
        rows: Vec<Row>,
    },
    TookBack {
        batch: BatchId,
    },
}

impl Table {
    fn version_of(&self, id: &BatchId) -> Option<u64> {
        let mut commits = (1_u64..).zip(&self.commits);
        let found = commits
            .find(|(_, commit)| matches!(commit, Commit::Brought { batch, .. } if batch == id));
        found.map(|(version, _)| version)
    }

    fn took_back(&self, id: &BatchId) -> bool {
        let mut commits = self.commits.iter();
        commits.any(|commit| matches!(commit, Commit::TookBack { batch } if batch == id))
    }

    fn brought(&self, version: u64) -> Option<(u64, &[Row])> {
        let at = usize::try_from(version.checked_sub(1)?).ok()?;
        match self.commits.get(at)? {
            Commit::Brought { bytes, rows, .. } => Some((*bytes, rows)),
            Commit::TookBack { .. } => None,
        }
    }
}

impl MemoryIntake {
    /// Makes rows of those uploads.
    pub const fn new(uploads: MemoryUploads) -> Self {
        Self {
            uploads,
            tables: Mutex::new(BTreeMap::new()),
        }
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(location: &SourceRef) -> Fault {
    Fault::new(
        ErrorCode::SourceNotFound,
        format!("there is no table at `{}`", location.path),
    )
}

/// The rows of the files, or what of them is none.
fn read(files: &[(String, Vec<u8>)]) -> Result<Vec<Row>, Vec<BadRow>> {
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let lines = bytes.split(|byte| *byte == b'\n');
        for (line, text) in (1_u64..).zip(lines).filter(|(_, text)| !text.is_empty()) {
            match serde_json::from_slice(text) {
                Ok(row) => rows.push(row),
                Err(error) => bad.push(BadRow {
                    file: name.clone(),
                    line,
                    reason: error.to_string(),
                }),
            }
        }
    }
    if bad.is_empty() { Ok(rows) } else { Err(bad) }
}

#[async_trait]
impl Intake for MemoryIntake {
    fn place(&self, tenant: &Tenant, dataset: &DatasetId) -> SourceRef {
        SourceRef {
            root: ROOT.to_owned(),
            path: format!("{}/{}/{dataset}", tenant.org, tenant.sandbox),
        }
    }

    fn manages(&self, location: &SourceRef) -> bool {
        location.root == ROOT
    }

    async fn create(&self, location: &SourceRef) -> Result<(), Fault> {
        self.tables().entry(location.path.clone()).or_default();
        Ok(())
    }

    async fn promote(&self, location: &SourceRef, batch: &Batch) -> Result<Promoted, Fault> {
        let files = self.uploads.bytes(&batch.tenant, &batch.id);
        let mut tables = self.tables();
        let table = tables
            .get_mut(&location.path)
            .ok_or_else(|| missing(location))?;
        let mut metrics = BatchMetrics {
            input_files: files.len() as u64,
            input_bytes: files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
            ..BatchMetrics::default()
        };
        let version = match table.version_of(&batch.id) {
            Some(version) => version,
            None => match read(&files) {
                Err(bad_rows) => {
                    metrics.failed_rows = bad_rows.len() as u64;
                    return Ok(Promoted::Refused { metrics, bad_rows });
                }
                Ok(rows) => {
                    table.commits.push(Commit::Brought {
                        batch: batch.id.clone(),
                        bytes: metrics.input_bytes,
                        rows,
                    });
                    table.commits.len() as u64
                }
            },
        };
        let (bytes, rows) = table.brought(version).unwrap_or_default();
        metrics.input_rows = rows.len() as u64;
        metrics.output_rows = rows.len() as u64;
        metrics.output_bytes = bytes;
        metrics.output_files = 1;
        Ok(Promoted::Committed { version, metrics })
    }

    async fn revert(
        &self,
        location: &SourceRef,
        batch: &BatchId,
        _version: u64,
    ) -> Result<(), Fault> {
        let mut tables = self.tables();
        let table = tables
            .get_mut(&location.path)
            .ok_or_else(|| missing(location))?;
        if !table.took_back(batch) {
            table.commits.push(Commit::TookBack {
                batch: batch.clone(),
            });
        }
        Ok(())
    }

    async fn files(&self, location: &SourceRef, version: u64) -> Result<Vec<BatchFile>, Fault> {
        let tables = self.tables();
        let table = tables
            .get(&location.path)
            .ok_or_else(|| missing(location))?;
        let brought = table.brought(version).into_iter();
        let file = |(bytes, rows): (u64, &[Row])| BatchFile {
            source: SourceRef {
                root: ROOT.to_owned(),
                path: format!("{}/{version}", location.path),
            },
            bytes,
            rows: rows.len() as u64,
        };
        Ok(brought.map(file).collect())
    }

    async fn preview_uploads(&self, batch: &Batch, rows: usize) -> Result<UploadPreview, Fault> {
        let mut preview = UploadPreview::default();
        let files = self.uploads.bytes(&batch.tenant, &batch.id);
        let lines = files
            .iter()
            .flat_map(|(_, bytes)| bytes.split(|byte| *byte == b'\n'));
        let read = lines.filter_map(|line| serde_json::from_slice::<Row>(line).ok());
        for row in read.take(rows) {
            preview.push(row.into_iter().collect());
        }
        Ok(preview)
    }

    async fn preview(&self, location: &SourceRef, rows: usize) -> Result<Vec<Row>, Fault> {
        let tables = self.tables();
        let table = tables
            .get(&location.path)
            .ok_or_else(|| missing(location))?;
        let brought = table.commits.iter().filter_map(|commit| match commit {
            Commit::Brought { batch, rows, .. } if !table.took_back(batch) => Some(rows),
            Commit::Brought { .. } | Commit::TookBack { .. } => None,
        });
        Ok(brought.flatten().take(rows).cloned().collect())
    }
}
