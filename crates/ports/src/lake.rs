//! Which files and rows a dataset has, and their bytes.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::change::MaskRef;
use offtake_model::resource::TableFormat;
use offtake_model::{
    ChangeSet, Changes, Fault, FileSlice, FolderFile, FolderListing, OrgId, Position, Schema,
    SourceRef,
};

/// Answers what a dataset holds. The same positions always give the same answer; a gap in history is refused, not guessed.
#[async_trait]
pub trait Lake: Send + Sync {
    /// The whole dataset, at `at` or at its latest position.
    async fn snapshot(
        &self,
        location: &SourceRef,
        format: TableFormat,
        at: Option<&Position>,
    ) -> Result<ChangeSet, Fault>;

    /// What was committed after `from`, up to `to` or the latest position.
    async fn changes(
        &self,
        location: &SourceRef,
        format: TableFormat,
        from: &Position,
        to: Option<&Position>,
    ) -> Result<Changes, Fault>;

    /// The data files that lie in a Parquet folder now. Such a dataset has no log to ask for changes: what is new is
    /// what the flow has not seen.
    async fn files(&self, location: &SourceRef) -> Result<FolderListing, Fault>;

    /// Those of the folder's files that are in `chosen`, read as one schema that only adds to `known`, what was
    /// delivered before. Files whose types cannot be brought together are refused by name.
    async fn slices(
        &self,
        location: &SourceRef,
        listing: &FolderListing,
        chosen: &[FolderFile],
        known: Option<&Schema>,
    ) -> Result<ChangeSet, Fault>;
}

/// Looks at places in the lake before they become datasets.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Reads what table lies at the location.
    async fn describe(&self, location: &SourceRef) -> Result<TableInfo, Fault>;
}

/// What table lies at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// How it is kept.
    pub format: TableFormat,
    /// Its schema now.
    pub schema: Schema,
    /// Its latest position.
    pub position: Position,
}

/// Turns locations into references under the operator's lake roots (contract, D10).
pub trait LakeRoots: Send + Sync {
    /// Parses `lake://<root>/<path>`, or a path or URL that lies below a root the organisation may use.
    /// Refuses `..`, symbolic links that leave the root, and everything below no root.
    fn resolve(&self, org: &OrgId, location: &str) -> Result<SourceRef, Fault>;

    /// The location as `lake://<root>/<path>`.
    fn display(&self, source: &SourceRef) -> String {
        format!("lake://{}/{}", source.root, source.path)
    }
}

/// Opens source files.
#[async_trait]
pub trait Sources: Send + Sync {
    /// Opens the slice's file, pinned: other bytes than the planned ones are a
    /// [`SourceChanged`](offtake_model::ErrorCode::SourceChanged), a missing file a
    /// [`SourceVanished`](offtake_model::ErrorCode::SourceVanished).
    async fn open(&self, slice: &FileSlice) -> Result<Arc<dyn RangeReader>, Fault>;
}

/// Random access to one pinned file.
#[async_trait]
pub trait RangeReader: Send + Sync {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Exactly the bytes of the range; fewer is a fault.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault>;

    /// Several ranges at once, in order. Adapters that can coalesce do.
    async fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Fault> {
        let mut answers = Vec::with_capacity(ranges.len());
        for range in ranges {
            answers.push(self.read(range.clone()).await?);
        }
        Ok(answers)
    }
}

/// Reads row masks (deletion vectors), exactly.
#[async_trait]
pub trait RowMasks: Send + Sync {
    /// Ranges of row ordinals of the file that are to be kept, ascending and disjoint.
    async fn keep(&self, mask: &MaskRef, rows: u64) -> Result<Vec<Range<u64>>, Fault>;
}
