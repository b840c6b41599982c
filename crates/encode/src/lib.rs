//! Rows to bytes and back: JSON Lines and Parquet, gzip, digests.
//!
//! Synchronous push encoders: record batches in, bytes out. No runtime, no clock, no destination.
//!
//! The one law: what an encoder calls finished holds exactly the rows that were pushed.
#![doc = include_str!("../README.md")]

pub mod decode;
mod deflate;
pub mod encoder;
mod gzip;
pub mod json;
mod output;
pub mod pages;
pub mod parquet;
mod part;
pub mod schema;
mod spare;

pub use encoder::{Encoded, Encoder, RowEncoder, open, open_with};
pub use part::{Part, Parts, Rows};
pub use spare::{PageBuffers, Spares};
