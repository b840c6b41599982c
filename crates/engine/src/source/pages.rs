//! The pages of one row group, as its decoder asks for them.

use std::sync::Arc;

use offtake_encode::PageBuffers;
use offtake_encode::pages::Pages;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::source::window::Window;

/// A row group whose pages are decompressed into those buffers.
pub(super) struct GroupPages {
    pub(super) window: Arc<Window>,
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) index: usize,
    pub(super) buffers: PageBuffers,
}

/// The one chunk that a row group has of a column.
struct OneChunk(Option<Result<Box<dyn PageReader>>>);

impl GroupPages {
    fn pages(&self, column: usize) -> Result<Pages<Window>> {
        let group = self.metadata.row_group(self.index);
        Pages::open(
            Arc::clone(&self.window),
            group.column(column),
            self.num_rows(),
            self.buffers.clone(),
        )
    }
}

impl RowGroups for GroupPages {
    fn num_rows(&self) -> usize {
        let rows = self.metadata.row_group(self.index).num_rows();
        usize::try_from(rows).unwrap_or_default()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let pages = self.pages(column).map(|it| Box::new(it) as _);
        Ok(Box::new(OneChunk(Some(pages))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.index)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take()
    }
}

impl PageIterator for OneChunk {}
