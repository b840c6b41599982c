//! The guard and the door against tiny servers on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop where it stands"
)]

mod bed;
mod door;
mod guard;
mod read;
mod roles;
mod tls;
