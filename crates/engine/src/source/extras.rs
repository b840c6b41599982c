//! What a file holds beside its rows and its footer: page index and bloom filters.
//!
//! They only help readers, so what is damaged or too large is left behind instead of ending the task.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use offtake_encode::pages::Piece;
use offtake_model::{ErrorCode, Fault};
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};

use crate::source::file::SourceFile;

/// Bytes of a file's page index at most.
const INDEX_BYTES_MAX: u64 = 16 << 20;

/// Bytes of a bloom filter at most.
const FILTER_BYTES_MAX: u64 = 4 << 20;

/// The footer with the page index, where there is a sound one.
pub(crate) async fn page_index(file: &SourceFile) -> Result<Arc<ParquetMetaData>, Fault> {
    let plain = Arc::clone(file.metadata());
    let file_bytes = file.bytes();
    let Some(range) = index_range(&plain) else {
        return Ok(plain);
    };
    if range.end >= file_bytes || range.end - range.start > INDEX_BYTES_MAX {
        return Ok(plain);
    }
    let piece = Piece {
        start: range.start,
        bytes: file.read(range).await?,
        file_bytes,
    };
    let decoding = tokio::task::spawn_blocking(move || {
        let metadata = ParquetMetaData::clone(&plain);
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
                .with_page_index_policy(PageIndexPolicy::Optional);
            reader.read_page_indexes_sized(&piece, file_bytes)?;
            reader.finish()
        }));
        match decoded {
            Ok(Ok(indexed)) => Arc::new(indexed),
            Ok(Err(_)) | Err(_) => plain,
        }
    });
    let decoded = decoding.await;
    decoded.map_err(|error| Fault::new(ErrorCode::Internal, "decode a page index").because(&error))
}

/// Where the row group's bloom filters lie, as far as that is known.
pub(crate) fn filters(group: &RowGroupMetaData, file_bytes: u64) -> Vec<Range<u64>> {
    let columns = group.columns().iter();
    let ranges = columns.filter_map(|column| {
        let range = range(column.bloom_filter_offset()?, column.bloom_filter_length()?)?;
        let sound = range.end <= file_bytes && range.end - range.start <= FILTER_BYTES_MAX;
        sound.then_some(range)
    });
    ranges.collect()
}

/// From the first byte of any index to the last.
fn index_range(metadata: &ParquetMetaData) -> Option<Range<u64>> {
    let columns = metadata
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns);
    let ranges = columns.flat_map(|column| [column_index(column), offset_index(column)]);
    ranges
        .flatten()
        .reduce(|all, range| all.start.min(range.start)..all.end.max(range.end))
}

fn column_index(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    range(column.column_index_offset()?, column.column_index_length()?)
}

fn offset_index(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    range(column.offset_index_offset()?, column.offset_index_length()?)
}

fn range(offset: i64, length: i32) -> Option<Range<u64>> {
    let start = u64::try_from(offset).ok()?;
    let length = u64::try_from(length).ok().filter(|length| *length > 0)?;
    Some(start..start.checked_add(length)?)
}
