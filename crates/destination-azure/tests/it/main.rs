//! The sinks against the public conformance suite, over Azurite, and what wrong settings say.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop where it stands"
)]

mod bench;
mod blob;
