//! Amazon S3, its compatibles and Google Cloud Storage: the staged sink over multipart uploads.
//!
//! A file is staged as a multipart upload that nobody completed, also an empty one: readers see nothing of it. Its
//! attempt's tag is object metadata given when the upload is created, so a look can tell whose object it sees.
//! Nothing here decides what is published; no answer is trusted where a look can be had.
//!
//! The one law: an answer that may be lost is never taken for a failure, and a refusal is never taken for success.

mod checksum;
mod client;
mod codes;
mod dialect;
mod explore;
mod keys;
mod location;
mod settings;
mod sink;
mod sinks;
mod upload;
mod xml;
mod zone;

pub use keys::{FixedKeys, KeyProvider};
pub use sinks::S3Sinks;
pub use zone::{BucketZoneSettings, BucketZones, Receivers};
