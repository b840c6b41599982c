//! Learns which columns deserve a search of what no mark covers.
//!
//! One row in eight is searched throughout; in the others only columns that gave or took matches then.

/// Rows of a phase, of which the first are for learning.
const PHASE_ROWS: u32 = 8 << 10;
const LEARN_ROWS: u32 = 1 << 10;

/// Matches in the learning rows that make a search worth its time.
const WORTH: u32 = 300;

/// Columns told apart; others share.
const COLUMNS: usize = 256;

pub(super) struct Adaptation {
    row: u32,
    learning: bool,
    worth: [bool; COLUMNS],
    /// Matches found in the column, and found there from elsewhere.
    found: [u32; COLUMNS],
    given: [u32; COLUMNS],
}

impl Adaptation {
    pub(super) const fn new() -> Self {
        Self {
            row: 0,
            learning: true,
            worth: [true; COLUMNS],
            found: [0; COLUMNS],
            given: [0; COLUMNS],
        }
    }

    /// Whether the column is to be searched.
    #[inline]
    pub(super) const fn worth(&self, column: u8) -> bool {
        self.worth[column as usize]
    }

    /// Whether the open row is for learning.
    #[inline]
    pub(super) const fn learning(&self) -> bool {
        self.learning
    }

    /// Notes a match in one column of what stood in another.
    #[inline]
    pub(super) const fn note(&mut self, found: u8, given: u8) {
        if self.learning {
            self.found[found as usize] += 1;
            self.given[given as usize] += 1;
        }
    }

    pub(super) fn end_row(&mut self) {
        self.row += 1;
        if self.learning && self.row == LEARN_ROWS {
            self.learning = false;
            for ((worth, found), given) in self.worth.iter_mut().zip(self.found).zip(self.given) {
                *worth = found > WORTH || given > WORTH;
            }
        } else if self.row == PHASE_ROWS {
            *self = Self::new();
        }
    }
}
