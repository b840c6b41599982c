//! The row groups of a file, as its footer tells of them.

use std::ops::Range;

use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::limits::Limits;

/// Rows decoded at once at least, however wide they are.
const BATCH_ROWS_MIN: u64 = 16;

/// One row group of a file.
#[derive(Clone, Debug)]
pub(crate) struct RowGroup {
    pub(crate) index: usize,
    /// Ordinal of its first row in the file.
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    /// Where the wanted columns lie.
    pub(crate) chunks: Vec<Range<u64>>,
    /// What the wanted columns take when they are decompressed, as the footer tells.
    pub(crate) decoded_bytes: u64,
    /// Rows to decode at once.
    pub(crate) batch_rows: usize,
}

impl RowGroup {
    /// Bytes of the wanted columns as they lie in the file.
    pub(crate) fn bytes(&self) -> u64 {
        let chunks = self.chunks.iter().map(|chunk| chunk.end - chunk.start);
        chunks.fold(0, u64::saturating_add)
    }
}

/// The row groups of a file, with what is wanted of them: the columns of these ordinals, ascending.
pub(super) fn row_groups(
    metadata: &ParquetMetaData,
    roots: &[usize],
    limits: Limits,
) -> Vec<RowGroup> {
    let schema = metadata.file_metadata().schema_descr();
    let wanted: Vec<usize> = (0..schema.num_columns())
        .filter(|leaf| {
            roots
                .binary_search(&schema.get_column_root_idx(*leaf))
                .is_ok()
        })
        .collect();
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    let mut first_row = 0_u64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or_default();
        groups.push(RowGroup {
            index,
            first_row,
            rows,
            chunks: wanted.iter().map(|leaf| chunk(group, *leaf)).collect(),
            decoded_bytes: decoded_bytes(group, &wanted),
            batch_rows: batch_rows(group, &wanted, rows, limits),
        });
        first_row = first_row.saturating_add(rows);
    }
    groups
}

fn chunk(group: &RowGroupMetaData, leaf: usize) -> Range<u64> {
    let (start, length) = group.column(leaf).byte_range();
    start..start.saturating_add(length)
}

fn decoded_bytes(group: &RowGroupMetaData, wanted: &[usize]) -> u64 {
    let columns = wanted.iter().map(|leaf| group.column(*leaf));
    let sizes = columns.map(|it| u64::try_from(it.uncompressed_size()).unwrap_or_default());
    sizes.fold(0, u64::saturating_add)
}

/// As many rows as the footer's sizes promise to fit a batch.
fn batch_rows(group: &RowGroupMetaData, wanted: &[usize], rows: u64, limits: Limits) -> usize {
    let bytes: u64 = wanted
        .iter()
        .map(|leaf| {
            let column = group.column(*leaf);
            let known = column.unencoded_byte_array_data_bytes();
            let bytes = known.unwrap_or_default().max(column.uncompressed_size());
            u64::try_from(bytes).unwrap_or_default()
        })
        .sum();
    let row_bytes = bytes.div_ceil(rows.max(1)).max(1);
    let fitting = (limits.batch_bytes / row_bytes).max(BATCH_ROWS_MIN);
    // The decoder makes room for as many, also where there are fewer.
    let fitting = fitting.min(rows.max(1));
    usize::try_from(fitting).map_or(limits.batch_rows_max, |it| it.min(limits.batch_rows_max))
}
