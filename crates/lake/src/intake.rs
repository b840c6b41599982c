//! Managed datasets: Delta tables that only offtake writes, a commit per batch.
//!
//! A batch is looked through once, for its columns and its bad rows, and then converted, file by file and in bounded
//! memory. Its data files lie in a folder of the batch's name; they are part of the table when the commit is there.
//! Tables that others write are not touched.
//!
//! The one law: a batch's commit carries the batch's id, and is made once.
//!
//! budget: the whole way of a batch, from its parts to its commit, is read as one; each step is a module below.

mod csv;
mod json;
mod names;
mod pack;
mod parquet;
mod parts;
mod preview;
mod records;
mod report;
mod shape;
mod uploads;

pub(crate) mod commit;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::datatypes::{Fields, Schema as ArrowSchema, SchemaRef};
use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use offtake_model::batch::{
    Batch, BatchFile, BatchMetrics, InputFormat, Promoted, Row, UploadPreview,
};
use offtake_model::{BatchId, DatasetId, ErrorCode, Fault, SourceRef, Tenant};
use offtake_ports::Intake;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::fault::blocking;
use crate::lakes::Lakes;
use crate::log::{Commit, LogListing, read_commit};
use crate::path;
use crate::root::{LakeRoot, Roots, TableDir};
use crate::table::TableVersion;

use commit::{DataFile, Put};
use pack::{Packer, unwritten};
use parts::Upload;
use report::Report;

pub use uploads::UploadFolder;

/// Name of the root that managed tables lie in. No organisation may place a dataset there.
const MANAGED_ROOT: &str = "managed";

/// What commits call their writer.
const ENGINE: &str = "offtake";

/// One kind of file, over all files of a batch.
trait Format {
    /// Looks through a file: its columns are added to those known, its bad rows to the report.
    fn survey(&mut self, file: &Upload, report: &mut Report) -> Result<(), Fault>;

    /// The table's columns with those that the files brought.
    fn columns(&self) -> Fields;

    /// Reads a file without bad rows into the packer.
    fn convert(
        &self,
        file: &Upload,
        schema: &SchemaRef,
        packer: &mut Packer<'_>,
    ) -> Result<(), Fault>;

    /// Adds the first rows of a file to the preview, up to so many in all. Those that cannot be read are left out.
    fn look(&self, file: &Upload, rows: usize, preview: &mut UploadPreview) -> Result<(), Fault>;
}

/// Managed datasets in local folders.
#[derive(Clone, Debug)]
pub struct LocalIntake {
    folder: PathBuf,
    roots: Arc<Roots>,
    uploads: UploadFolder,
    /// One commit at a time: batches wait for each other, never fail for each other.
    writing: Arc<Mutex<()>>,
}

/// A managed table: as everybody reads it, and the folder that only its writer has.
pub(crate) struct Managed {
    pub(crate) table: TableDir,
    pub(crate) dir: Dir,
}

impl LocalIntake {
    /// The root of managed tables in that folder, to be known to the lake that reads them too.
    pub fn root(folder: PathBuf) -> LakeRoot {
        LakeRoot::folder(MANAGED_ROOT, folder).for_organisations(Some(Vec::new()))
    }

    /// Managed tables in that folder, which the lake has as its [root](Self::root), made of those uploads.
    pub fn new(folder: PathBuf, lake: &Lakes, uploads: UploadFolder) -> Self {
        Self {
            folder,
            roots: lake.roots(),
            uploads,
            writing: Arc::new(Mutex::new(())),
        }
    }

    async fn on_table<T, F>(&self, location: &SourceRef, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&TableDir, &Roots) -> Result<T, Fault> + Send + 'static,
    {
        let (roots, location) = (Arc::clone(&self.roots), location.clone());
        let what = format!("table `lake://{}/{}`", location.root, location.path);
        blocking(what, move || {
            let table = TableDir::open(&roots, &location)?;
            work(&table, &roots)
        })
        .await
    }

    async fn on_managed<T, F>(&self, location: &SourceRef, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Managed) -> Result<T, Fault> + Send + 'static,
    {
        let (folder, path) = (self.folder.clone(), location.path.clone());
        self.on_table(location, move |table, _| {
            let dir = Dir::open_ambient_dir(folder, ambient_authority())
                .and_then(|root| root.open_dir(&path))
                .map_err(|error| unwritten(table, &error))?;
            work(&Managed {
                table: table.clone(),
                dir,
            })
        })
        .await
    }
}

#[async_trait]
impl Intake for LocalIntake {
    fn place(&self, tenant: &Tenant, dataset: &DatasetId) -> SourceRef {
        SourceRef {
            root: MANAGED_ROOT.to_owned(),
            path: format!("{}/{}/{dataset}", tenant.org, tenant.sandbox),
        }
    }

    fn manages(&self, location: &SourceRef) -> bool {
        location.root == MANAGED_ROOT
    }

    async fn create(&self, location: &SourceRef) -> Result<(), Fault> {
        let _turn = self.writing.lock().await;
        let (folder, path) = (self.folder.clone(), location.path.clone());
        blocking("a managed table".to_owned(), move || create(&folder, &path)).await
    }

    async fn promote(&self, location: &SourceRef, batch: &Batch) -> Result<Promoted, Fault> {
        let _turn = self.writing.lock().await;
        let (uploads, batch) = (self.uploads.clone(), batch.clone());
        self.on_managed(location, move |table| promote(table, &uploads, &batch))
            .await
    }

    async fn revert(
        &self,
        location: &SourceRef,
        batch: &BatchId,
        version: u64,
    ) -> Result<(), Fault> {
        let _turn = self.writing.lock().await;
        let batch = batch.clone();
        self.on_managed(location, move |table| revert(table, &batch, version))
            .await
    }

    async fn files(&self, location: &SourceRef, version: u64) -> Result<Vec<BatchFile>, Fault> {
        self.on_table(location, move |table, _| {
            read_commit(table, version)?
                .adds
                .iter()
                .map(|add| {
                    Ok(BatchFile {
                        source: table.file(&path::of_log(&add.path).map_err(|reason| {
                            Fault::new(ErrorCode::SourceOutsideRoot, reason.to_string())
                        })?),
                        bytes: add.size,
                        rows: add.rows().unwrap_or_default(),
                    })
                })
                .collect()
        })
        .await
    }

    async fn preview_uploads(&self, batch: &Batch, rows: usize) -> Result<UploadPreview, Fault> {
        let (uploads, batch) = (self.uploads.clone(), batch.clone());
        blocking("uploads".to_owned(), move || {
            let format = format_of(&batch.details.format, &Fields::empty());
            let mut preview = UploadPreview::default();
            for file in opened(&uploads, &batch)? {
                if preview.rows.len() < rows {
                    format.look(&file, rows, &mut preview)?;
                }
            }
            Ok(preview)
        })
        .await
    }

    async fn preview(&self, location: &SourceRef, rows: usize) -> Result<Vec<Row>, Fault> {
        self.on_table(location, move |table, roots| {
            preview::rows(table, roots, rows)
        })
        .await
    }
}

fn create(folder: &Path, path: &str) -> Result<(), Fault> {
    let unmade = |error: &(dyn Error + 'static)| {
        Fault::new(
            ErrorCode::StoreUnavailable,
            "a managed table could not be made",
        )
        .because(error)
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority())
        .and_then(|root| {
            root.create_dir_all(path)?;
            root.open_dir(path)
        })
        .map_err(|error| unmade(&error))?;
    let at = now();
    let id = Uuid::new_v4().to_string();
    let none = ArrowSchema::empty();
    let metadata =
        commit::metadata(&id, "managed", &none, &[], at).map_err(|error| unmade(error.as_ref()))?;
    let actions = [
        commit::info("CREATE TABLE", ENGINE, at),
        commit::protocol(),
        metadata,
    ];
    match commit::put(&dir, 0, &actions).map_err(|error| unmade(&error))? {
        Put::Done | Put::Taken => Ok(()),
    }
}

/// What came in, as far as it can be counted before it is read.
fn sent(files: &[Upload]) -> BatchMetrics {
    BatchMetrics {
        input_bytes: files.iter().map(Upload::bytes).sum(),
        input_files: files.len() as u64,
        ..BatchMetrics::default()
    }
}

fn promote(managed: &Managed, uploads: &UploadFolder, batch: &Batch) -> Result<Promoted, Fault> {
    let table = &managed.table;
    let mark = format!("offtake-batch-{}", batch.id);
    let listing = LogListing::read(table)?;
    let latest = listing.latest().unwrap_or_default();
    // Only a try that went before can have left a commit; in a restored data directory its uploads may be gone.
    if batch.details.attempts > 1
        && let Some((version, found)) = find(table, latest, 0, &mark)?
    {
        let written: Vec<DataFile> = found.adds.iter().map(data_file).collect();
        let metrics = BatchMetrics {
            input_rows: written.iter().map(|file| file.rows).sum(),
            ..sent(&opened(uploads, batch).unwrap_or_default())
        };
        return Ok(committed(version, metrics, &written));
    }
    let files = opened(uploads, batch)?;
    let mut metrics = sent(&files);
    let before = TableVersion::load(table, &listing, latest)?;
    let columns = offtake_encode::schema::to_arrow(&before.schema);
    let mut format = format_of(&batch.details.format, columns.fields());
    let mut report = Report::default();
    for file in &files {
        format.survey(file, &mut report)?;
    }
    metrics.input_rows = report.rows;
    metrics.failed_rows = report.failed;
    let schema = Arc::new(ArrowSchema::new(format.columns()));
    if report.failed == 0 && report.rows > 0 && schema.fields().is_empty() {
        report.bad("", 1, "no row has a column");
    }
    if report.failed > 0 {
        pack::discard(managed, batch.id.as_str())?;
        return Ok(Promoted::Refused {
            metrics,
            bad_rows: report.bad_rows,
        });
    }
    let mut packer = Packer::new(managed, batch.id.as_str(), Arc::clone(&schema))?;
    for file in &files {
        format.convert(file, &schema, &mut packer)?;
    }
    let written = packer.finish()?;
    let at = now();
    let mut actions = vec![
        commit::info("WRITE", ENGINE, at),
        commit::transaction(&mark, at),
    ];
    if schema.fields() != columns.fields() {
        let metadata = commit::metadata(&before.id, "managed", &schema, &[], at)
            .map_err(|error| unwritten(table, error.as_ref()))?;
        actions.push(metadata);
    }
    actions.extend(written.iter().map(|file| commit::add(file, at)));
    let version = latest + 1;
    match commit::put(&managed.dir, version, &actions).map_err(|error| unwritten(table, &error))? {
        Put::Done => Ok(committed(version, metrics, &written)),
        Put::Taken => Err(taken(table)),
    }
}

fn revert(managed: &Managed, batch: &BatchId, version: u64) -> Result<(), Fault> {
    let table = &managed.table;
    let mark = format!("offtake-revert-{batch}");
    let latest = LogListing::read(table)?.latest().unwrap_or_default();
    if find(table, latest, version, &mark)?.is_some() {
        return Ok(());
    }
    let at = now();
    let mut actions = vec![
        commit::info("DELETE", ENGINE, at),
        commit::transaction(&mark, at),
    ];
    let brought = read_commit(table, version)?;
    actions.extend(
        brought
            .adds
            .iter()
            .map(|add| commit::remove(&add.path, add.size, at)),
    );
    match commit::put(&managed.dir, latest + 1, &actions)
        .map_err(|error| unwritten(table, &error))?
    {
        Put::Done => Ok(()),
        Put::Taken => Err(taken(table)),
    }
}

/// The commit with that mark, looked for from the newest one back.
fn find(
    table: &TableDir,
    latest: u64,
    after: u64,
    mark: &str,
) -> Result<Option<(u64, Commit)>, Fault> {
    for version in (after + 1..=latest).rev() {
        let commit = read_commit(table, version)?;
        if commit.transaction.as_deref() == Some(mark) {
            return Ok(Some((version, commit)));
        }
    }
    Ok(None)
}

fn committed(version: u64, metrics: BatchMetrics, written: &[DataFile]) -> Promoted {
    Promoted::Committed {
        version,
        metrics: BatchMetrics {
            output_bytes: written.iter().map(|file| file.bytes).sum(),
            output_rows: written.iter().map(|file| file.rows).sum(),
            output_files: written.len() as u64,
            ..metrics
        },
    }
}

fn data_file(add: &crate::log::Add) -> DataFile {
    DataFile {
        path: add.path.clone(),
        bytes: add.size,
        rows: add.rows().unwrap_or_default(),
    }
}

fn opened(uploads: &UploadFolder, batch: &Batch) -> Result<Vec<Upload>, Fault> {
    let files = uploads.parts(&batch.tenant, &batch.id)?;
    files
        .into_iter()
        .map(|(file, parts)| {
            Upload::open(&file.name, parts).map_err(|error| {
                Fault::new(
                    ErrorCode::StoreUnavailable,
                    format!("uploaded file `{}` could not be opened", file.name),
                )
                .because(&error)
            })
        })
        .collect()
}

fn format_of(format: &InputFormat, table: &Fields) -> Box<dyn Format> {
    match format {
        InputFormat::Json { multi_line } => Box::new(json::Json::new(table, *multi_line)),
        InputFormat::Parquet => Box::new(parquet::ParquetFiles::new(table)),
        InputFormat::Csv(format) => Box::new(csv::Csv::new(table, format.clone())),
    }
}

/// For people only: nothing is decided by it.
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn taken(table: &TableDir) -> Fault {
    Fault::new(
        ErrorCode::SourceUnreachable,
        format!("another writer committed to table `{}`", table.name()),
    )
}

/// An uploaded file that could not be read from disk.
fn unread(file: &Upload, error: &(dyn Error + 'static)) -> Fault {
    if let Some(error) = error.downcast_ref::<io::Error>()
        && error.kind() == io::ErrorKind::InvalidData
    {
        return unconvertible(file, error);
    }
    Fault::new(
        ErrorCode::StoreUnavailable,
        format!("uploaded file `{}` could not be read", file.name),
    )
    .because(error)
}

/// An uploaded file whose values could not be taken over. The cause could quote them, so it is for the log.
fn unconvertible(file: &Upload, error: &(dyn Error + 'static)) -> Fault {
    Fault::new(
        ErrorCode::BatchRowsInvalid,
        format!("file `{}` has values that cannot be kept", file.name),
    )
    .because(error)
}
