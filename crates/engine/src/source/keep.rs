//! Row masks, cut to row groups.

use std::ops::Range;

use offtake_model::{ErrorCode, Fault};
use parquet::arrow::arrow_reader::RowSelection;

use crate::source::file::RowGroup;

/// The kept rows of a row group, counted from its first row, out of those of its file.
pub(crate) fn kept(
    name: &str,
    ranges: &[Range<u64>],
    group: &RowGroup,
) -> Result<Vec<Range<u64>>, Fault> {
    let (start, end) = (group.first_row, group.first_row + group.rows);
    let mut last_end = 0;
    let mut inside = Vec::new();
    for range in ranges {
        if range.start < last_end || range.end < range.start {
            let message = format!("apply the row mask of {name}: its ranges do not ascend");
            return Err(Fault::new(ErrorCode::Internal, message));
        }
        last_end = range.end;
        let cut = range.start.max(start)..range.end.min(end);
        if cut.start < cut.end {
            inside.push(cut.start - start..cut.end - start);
        }
    }
    Ok(inside)
}

/// The ranges in the reader's form. They ascend and end within the row group.
pub(crate) fn selection(ranges: &[Range<u64>], rows: u64) -> RowSelection {
    let ordinal = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
    let ranges = ranges
        .iter()
        .map(|range| ordinal(range.start)..ordinal(range.end));
    RowSelection::from_consecutive_ranges(ranges, ordinal(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(first_row: u64, rows: u64) -> RowGroup {
        RowGroup {
            index: 0,
            first_row,
            rows,
            chunks: Vec::new(),
            batch_rows: 1,
        }
    }

    #[test]
    fn ranges_are_cut_to_the_row_group() {
        let ranges = [0..3, 5..12, 15..16, 19..40];
        assert_eq!(
            kept("f", &ranges, &group(10, 10)).unwrap(),
            [0..2, 5..6, 9..10]
        );
        assert_eq!(kept("f", &ranges, &group(16, 3)).unwrap(), []);
    }

    #[test]
    fn ranges_out_of_order_are_refused() {
        assert!(kept("f", &[5..6, 2..3], &group(0, 10)).is_err());
    }
}
