//! Azure Blob Storage: the staged sink over block blobs.
//!
//! A file is staged as blocks that no block list names: readers see nothing of them. Committing the list makes the
//! file visible at once, with the tag of its attempt as metadata. Blocks are named after their attempt, so a list
//! commits one attempt's bytes or nothing.
//!
//! The one law: an answer that may be lost is never taken for a failure, and a refusal is never taken for success.

mod blocks;
mod calls;
mod listing;
mod sink;
mod stage;
mod visible;
mod zone;

pub(crate) use calls::Blobs;
pub(crate) use sink::BlobSink;
pub use zone::{ContainerZoneSettings, ContainerZones};
