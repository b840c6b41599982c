//! Behaviour of the delivery service against fakes: a store, a lake, an engine and a destination in memory, and a
//! clock that stands still until the test moves it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what a fake or a helper can't do fails the test"
)]

mod crashes;
mod engine;
mod faults;
mod lake;
mod lifecycle;
mod retention;
mod scenario;
mod schedules;
mod store;
