//! Learns which columns deserve a search of what no mark covers.
//!
//! The first sixteenth of a part is searched throughout; behind it only columns that took matches then, while those
//! that gave them are remembered.

/// Text of a phase, of which the first rows are for learning.
const PHASE_BYTES: usize = 2 << 20;
const LEARN_BYTES: usize = 128 << 10;

/// Matches in so many rows that make a search worth its time.
const WORTH: u64 = 300;
const WORTH_ROWS: u64 = 1 << 10;

/// Columns told apart; others share.
const COLUMNS: usize = 256;

pub(super) struct Adaptation {
    rows: u32,
    bytes: usize,
    learning: bool,
    takes: [bool; COLUMNS],
    gives: [bool; COLUMNS],
    /// Matches found in the column, and found there from elsewhere.
    found: [u32; COLUMNS],
    given: [u32; COLUMNS],
}

impl Adaptation {
    pub(super) const fn new() -> Self {
        Self {
            rows: 0,
            bytes: 0,
            learning: true,
            takes: [true; COLUMNS],
            gives: [true; COLUMNS],
            found: [0; COLUMNS],
            given: [0; COLUMNS],
        }
    }

    /// Whether the column is to be searched.
    #[inline]
    pub(super) const fn takes(&self, column: u8) -> bool {
        self.takes[column as usize]
    }

    /// Whether others find in the column what they repeat.
    #[inline]
    pub(super) const fn gives(&self, column: u8) -> bool {
        self.gives[column as usize]
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

    /// Ends a row of so many bytes.
    pub(super) fn end_row(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
        if self.learning && self.bytes >= LEARN_BYTES {
            self.learning = false;
            let least = WORTH * u64::from(self.rows);
            // One row may be so long that its matches times the rows need more than 32 bits.
            let worth = |count| u64::from(count) * WORTH_ROWS > least;
            self.takes = self.found.map(worth);
            self.gives = self.given.map(worth);
        } else if self.bytes >= PHASE_BYTES {
            *self = Self::new();
        }
    }
}
