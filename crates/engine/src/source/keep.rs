//! Row masks and row ranges, cut to row groups.

use std::ops::Range;

use offtake_model::{ErrorCode, Fault, RowRange};
use parquet::arrow::arrow_reader::RowSelection;

use crate::source::group::RowGroup;

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

/// A slice's row range, taken from its row groups one after the other.
pub(crate) struct Cut {
    /// Rows to pass over before the first.
    before: u64,
    /// Rows still to take.
    left: u64,
}

impl Cut {
    pub(crate) const fn new(range: RowRange) -> Self {
        Self {
            before: range.first,
            left: range.count,
        }
    }

    /// What of the kept rows of the next row group (all of its rows when absent) belongs to the range.
    pub(crate) fn take(&mut self, keep: Option<Vec<Range<u64>>>, rows: u64) -> Vec<Range<u64>> {
        let whole = || std::iter::once(0..rows).collect();
        let mut taken = Vec::new();
        for range in keep.unwrap_or_else(whole) {
            let length = range.end - range.start;
            let passed = self.before.min(length);
            let count = self.left.min(length - passed);
            self.before -= passed;
            self.left -= count;
            if count > 0 {
                let start = range.start + passed;
                taken.push(start..start + count);
            }
        }
        taken
    }

    /// Refuses a file that had fewer rows than the range.
    pub(crate) fn check(&self, name: &str) -> Result<(), Fault> {
        if self.left == 0 {
            return Ok(());
        }
        let message = format!(
            "read {name}: it ends {} rows before the plan does",
            self.left
        );
        Err(Fault::new(ErrorCode::SourceCorrupt, message))
    }
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
            decoded_bytes: 0,
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
    fn a_row_range_is_taken_across_row_groups_and_masks() {
        let mut cut = Cut::new(RowRange { first: 7, count: 6 });
        assert_eq!(cut.take(None, 5), []);
        assert_eq!(cut.take(Some(vec![1..2, 4..6, 6..8]), 10), [5..6, 6..8]);
        assert!(cut.check("f").is_err());
        assert_eq!(cut.take(Some(vec![0..1, 2..10]), 10), [0..1, 2..4]);
        assert_eq!(cut.take(None, 10), []);
        assert!(cut.check("f").is_ok());
    }

    #[test]
    fn ranges_out_of_order_are_refused() {
        assert!(kept("f", &[5..6, 2..3], &group(0, 10)).is_err());
    }
}
