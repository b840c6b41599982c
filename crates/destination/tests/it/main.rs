//! The landing zone against the public conformance suite, after crashes, and against hostile names.

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
