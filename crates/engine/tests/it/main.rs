//! File tasks from source bytes to sealed files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test builds on must hold; the lints spare test functions only"
)]

mod bench;
mod conversion;
mod damage;
#[path = "../../examples/shared/local.rs"]
mod local;
mod passing;
mod tasks;
mod workers;
