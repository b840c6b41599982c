//! All lake roots behind the lake's ports.
//!
//! The one law: every access goes through a lake root, and blocking work never runs on the runtime's own threads.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use offtake_model::change::MaskRef;
use offtake_model::resource::TableFormat;
use offtake_model::{
    ChangeSet, Changes, ErrorCode, Fault, FileSlice, FolderFile, FolderListing, OrgId, Position,
    Schema, SourceRef,
};
use offtake_ports::{Catalog, Lake, LakeRoots, RangeReader, RowMasks, Sources, TableInfo};
use tokio::sync::Semaphore;

use crate::changes;
use crate::fault::blocking;
use crate::file::SourceFile;
use crate::folder;
use crate::log::LogListing;
use crate::mask;
use crate::root::{LakeRoot, Roots, TableDir};
use crate::table::TableVersion;

/// Tables that are read at the same time; each holds its log's files in memory.
const TABLE_READS_MAX: usize = 4;

/// What lies below the lake roots. Clones share one configuration.
#[derive(Clone, Debug)]
pub struct Lakes {
    roots: Arc<Roots>,
    reads: Arc<Semaphore>,
}

impl Lakes {
    /// A lake of these roots. Fails on a root whose name or folder can't be used; a folder may be missing still.
    pub fn new(roots: Vec<LakeRoot>) -> Result<Self, Fault> {
        Ok(Self {
            roots: Arc::new(Roots::new(roots)?),
            reads: Arc::new(Semaphore::new(TABLE_READS_MAX)),
        })
    }

    pub(crate) fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.roots)
    }

    async fn read_table<T, F>(&self, location: &SourceRef, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&TableDir, &Roots) -> Result<T, Fault> + Send + 'static,
    {
        let _permit = self.reads.acquire().await.map_err(|error| {
            Fault::new(ErrorCode::SourceUnreachable, "offtake is stopping").because(&error)
        })?;
        let roots = Arc::clone(&self.roots);
        let location = location.clone();
        let what = format!("table `{}`", self.display(&location));
        blocking(what, move || {
            let table = TableDir::open(&roots, &location)?;
            work(&table, &roots)
        })
        .await
    }
}

#[async_trait]
impl Lake for Lakes {
    async fn snapshot(
        &self,
        location: &SourceRef,
        format: TableFormat,
        at: Option<&Position>,
    ) -> Result<ChangeSet, Fault> {
        let at = at.cloned();
        self.read_table(location, move |table, roots| match format {
            TableFormat::Delta => snapshot(table, roots, at.as_ref()),
            TableFormat::ParquetFolder => folder::snapshot(table, roots, at.as_ref()),
        })
        .await
    }

    async fn changes(
        &self,
        location: &SourceRef,
        format: TableFormat,
        from: &Position,
        to: Option<&Position>,
    ) -> Result<Changes, Fault> {
        if format == TableFormat::ParquetFolder {
            return Err(Fault::new(
                ErrorCode::Internal,
                format!(
                    "asked for the changes of folder `{}`, which keeps none",
                    self.display(location)
                ),
            ));
        }
        let (from, to) = (from.clone(), to.cloned());
        self.read_table(location, move |table, roots| {
            changes::between(table, roots, &from, to.as_ref())
        })
        .await
    }

    async fn files(&self, location: &SourceRef) -> Result<FolderListing, Fault> {
        self.read_table(location, |table, _| folder::listing(table))
            .await
    }

    async fn slices(
        &self,
        location: &SourceRef,
        listing: &FolderListing,
        chosen: &[FolderFile],
        known: Option<&Schema>,
    ) -> Result<ChangeSet, Fault> {
        let (listing, chosen, known) = (listing.clone(), chosen.to_vec(), known.cloned());
        self.read_table(location, move |table, roots| {
            folder::read(table, roots, &listing, &chosen, known.as_ref())
        })
        .await
    }
}

#[async_trait]
impl Catalog for Lakes {
    async fn describe(&self, location: &SourceRef) -> Result<TableInfo, Fault> {
        self.read_table(location, describe).await
    }
}

impl LakeRoots for Lakes {
    fn resolve(&self, org: &OrgId, location: &str) -> Result<SourceRef, Fault> {
        self.roots.resolve(org, location)
    }
}

#[async_trait]
impl Sources for Lakes {
    async fn open(&self, slice: &FileSlice) -> Result<Arc<dyn RangeReader>, Fault> {
        let roots = Arc::clone(&self.roots);
        let slice = slice.clone();
        let what = format!("source file `{}`", slice.source.path);
        let file = blocking(what, move || SourceFile::open(&roots, &slice)).await?;
        Ok(file.into_reader())
    }
}

#[async_trait]
impl RowMasks for Lakes {
    async fn keep(&self, mask: &MaskRef, rows: u64) -> Result<Vec<Range<u64>>, Fault> {
        let roots = Arc::clone(&self.roots);
        let mask = mask.clone();
        blocking("a deletion vector".to_owned(), move || {
            mask::keep(&roots, &mask, rows)
        })
        .await
    }
}

/// Tells by looking what lies there: a table's log, or else Parquet files.
fn describe(table: &TableDir, roots: &Roots) -> Result<TableInfo, Fault> {
    if !LogListing::lies_in(table)? {
        return folder::describe(table, roots);
    }
    let listing = LogListing::read(table)?;
    let version = load(table, &listing, None)?;
    Ok(TableInfo {
        format: TableFormat::Delta,
        position: version.position(),
        schema: version.schema,
    })
}

fn snapshot(table: &TableDir, roots: &Roots, at: Option<&Position>) -> Result<ChangeSet, Fault> {
    let listing = LogListing::read(table)?;
    let version = load(table, &listing, at)?;
    version.files(table, &listing, roots)
}

/// The version that a position of a Delta table stands for.
pub(crate) const fn version_of(position: &Position) -> Option<u64> {
    match position {
        Position::Delta { version, .. } => Some(*version),
        Position::Folder { .. } => None,
    }
}

/// Loads the version asked for, or the latest.
fn load(
    table: &TableDir,
    listing: &LogListing,
    at: Option<&Position>,
) -> Result<TableVersion, Fault> {
    let latest = listing.latest().unwrap_or_default();
    let wanted = at.and_then(version_of).unwrap_or(latest);
    if let Some(missing) = listing.first_gap(wanted) {
        // A reader of a past version is late; a table that can't tell its present is broken.
        let code = match at {
            Some(_) => ErrorCode::SourceHistoryLost,
            None => ErrorCode::SourceCorrupt,
        };
        return Err(Fault::new(
            code,
            format!(
                "version {wanted} of table `{}` cannot be read: its log does not have version {missing}",
                table.name()
            ),
        ));
    }
    let version = TableVersion::load(table, listing, wanted)?;
    match at {
        Some(Position::Delta { table: id, .. }) if *id != version.id => Err(Fault::new(
            ErrorCode::SourceHistoryLost,
            format!("table `{}` was made anew", table.name()),
        )),
        Some(_) | None => Ok(version),
    }
}
