//! What encoders write, read back by others.
#![expect(
    clippy::unwrap_used,
    reason = "what a test builds on must hold; the lint spares test functions only"
)]

mod columns;
mod golden_table;
mod round_trip;
mod support;
