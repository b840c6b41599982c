//! Counts rows and remembers the first ones that could not be read.
//!
//! The one law: the list is bounded, the count is not.

use std::fmt::Display;

use offtake_model::batch::BadRow;

/// Most bad rows remembered.
const BAD_ROWS_MAX: usize = 1_000;

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 300;

/// What a look at the files found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Rows, bad ones included.
    pub(crate) rows: u64,
    /// Bad rows.
    pub(crate) failed: u64,
    /// The first of them.
    pub(crate) bad_rows: Vec<BadRow>,
}

impl Report {
    pub(crate) fn bad(&mut self, file: &str, line: u64, reason: impl Display) {
        self.failed += 1;
        if self.bad_rows.len() < BAD_ROWS_MAX {
            self.bad_rows.push(BadRow {
                file: file.to_owned(),
                line,
                reason: reason.to_string().chars().take(REASON_CHARS_MAX).collect(),
            });
        }
    }
}
