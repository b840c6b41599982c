//! The sinks against the public conformance suite, over Azurite and the bed's Data Lake, and what wrong settings say.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop where it stands"
)]

mod adls;
mod bench;
mod blob;
mod zone;
