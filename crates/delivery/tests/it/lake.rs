//! A lake with one append-only table: version n holds n data files of ten rows each.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use offtake_model::resource::TableFormat;
use offtake_model::{
    ChangeSet, Changes, Fault, FileSlice, FolderFile, FolderListing, Position, Schema, SourceRef,
};
use offtake_ports::Lake;

/// Larger than the planner's packing, so that each data file becomes a task of its own.
const FILE_BYTES: u64 = 200 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct OneTable {
    version: AtomicU64,
}

impl OneTable {
    pub(crate) fn append(&self, files: u64) {
        self.version.fetch_add(files, Ordering::Relaxed);
    }

    fn range(&self, from: u64) -> ChangeSet {
        let version = self.version.load(Ordering::Relaxed);
        ChangeSet {
            to: Position::Delta {
                table: "t".to_owned(),
                version,
            },
            slices: (from..version).map(slice).collect(),
            schema: Schema::default(),
        }
    }
}

fn slice(file: u64) -> FileSlice {
    FileSlice {
        source: SourceRef {
            root: "lake".to_owned(),
            path: format!("orders/{file}.parquet"),
        },
        bytes: FILE_BYTES,
        etag: None,
        rows: Some(10),
        row_groups: None,
        row_range: None,
        known_row_groups: Vec::new(),
        constants: Vec::new(),
        mask: None,
    }
}

#[async_trait]
impl Lake for OneTable {
    async fn snapshot(
        &self,
        _location: &SourceRef,
        _format: TableFormat,
        _at: Option<&Position>,
    ) -> Result<ChangeSet, Fault> {
        Ok(self.range(0))
    }

    async fn changes(
        &self,
        _location: &SourceRef,
        _format: TableFormat,
        from: &Position,
        _to: Option<&Position>,
    ) -> Result<Changes, Fault> {
        let Position::Delta { version, .. } = from else {
            panic!("the table is no folder");
        };
        Ok(Changes::Appended(self.range(*version)))
    }

    async fn files(&self, _location: &SourceRef) -> Result<FolderListing, Fault> {
        panic!("the table is no folder");
    }

    async fn slices(
        &self,
        _location: &SourceRef,
        _listing: &FolderListing,
        _chosen: &[FolderFile],
        _known: Option<&Schema>,
    ) -> Result<ChangeSet, Fault> {
        panic!("the table is no folder");
    }
}
