#![doc = include_str!("../README.md")]

mod dir;
mod fault;
mod folder;
mod key;
mod mark;
mod s3;
mod sinks;
mod upload;
mod zone;

pub use folder::FolderSink;
pub use s3::{BucketZoneSettings, BucketZones, FixedKeys, KeyProvider, Receivers, S3Sinks};
pub use sinks::FolderSinks;
