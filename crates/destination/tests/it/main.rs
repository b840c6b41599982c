//! The sinks against the public conformance suite, after crashes, against hostile names and unreliable stores.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop where it stands"
)]

use offtake_destination::FolderSinks;

mod bench;
mod crashes;
mod full;
mod hostile;
mod model;
mod promises;
mod script;
mod stores;
mod unreliable;
