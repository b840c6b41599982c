//! The store in a directory of its own, as the program uses it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a failure to prepare is a failure"
)]

mod batches;
mod bed;
mod identity;
mod journal;
mod opening;
mod plans;
mod quotas;
mod recovery;
mod resources;
mod rotation;
mod runs;
mod secrets;
mod zone;
