//! Fakes and conformance suites, for the tests of whoever implements or uses a port.
//!
//! A suite is a public function that takes the adapter under test; it panics where a promise is broken, or answers
//! which one was.
//! Nothing here is part of the shipped program.
//!
//! The one law: what a port promises in words is checked here for every adapter alike.

pub mod broken_sinks;
pub mod clock;
pub mod explore_suite;
pub mod faulty_sink;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these suites say what is broken by panicking"
)]
pub mod ingest;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this suite says what is broken by panicking"
)]
pub mod journal;
pub mod memory_sink;
pub mod retention_suite;
pub mod sink_suite;

pub use broken_sinks::{Broken, BrokenSinks};
pub use clock::ManualClock;
pub use faulty_sink::{FaultySinks, SinkCall, Trouble};
pub use ingest::{MemoryBatches, MemoryIntake, MemoryUploads};
pub use journal::JournalBed;
pub use memory_sink::MemorySinks;
pub use sink_suite::SinkBench;
