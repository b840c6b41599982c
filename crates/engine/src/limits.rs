//! Bounds on what a source file may ask for.
//!
//! Source files come from others: a small hostile one must not make a task allocate, recurse or loop without bound.

/// Bounds on reading. `Limits::default()` is what production uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a Parquet footer at most. Default 64 MiB.
    pub footer_bytes_max: u64,
    /// Leaf columns of a file at most. Default 20,000.
    pub columns_max: usize,
    /// Levels of nesting at most, as Parquet counts them. Default 64.
    pub nesting_max: usize,
    /// Rows decoded at once at most. Default 8,192.
    pub batch_rows_max: usize,
    /// Bytes decoded at once, as far as the footer tells. Default 512 KiB.
    pub batch_bytes: u64,
    /// Row groups whose wanted columns are larger are read piece by piece instead of whole. Default 64 MiB.
    pub fetch_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            footer_bytes_max: 64 << 20,
            columns_max: 20_000,
            nesting_max: 64,
            batch_rows_max: 8_192,
            batch_bytes: 512 << 10,
            fetch_bytes_max: 64 << 20,
        }
    }
}
