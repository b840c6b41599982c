//! The lake against tables on disk: demo tables, crafted logs, hostile ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::needless_pass_by_value,
    reason = "these are tests: a failed step ends them, and measured times are shown"
)]

mod changes;
mod checkpoints;
mod craft;
mod folders;
mod hostile;
mod intake;
mod masks;
mod scale;
mod snapshot;
mod stores;
mod support;
