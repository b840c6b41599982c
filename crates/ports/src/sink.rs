//! Where bytes land. A staged file is invisible until it is published, and a discarded one never becomes visible.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, Fault, SinkRef, StageHandle, StageToken};

use crate::credentials::Access;

/// Opens sinks by reference; the only place where a sink's credentials are revealed.
#[async_trait]
pub trait Sinks: Send + Sync {
    /// Opens the sink. Opening twice gives two views of one destination.
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault>;

    /// Judges the form of what a base connection says before it is kept, as far as the text alone tells. It asks nobody:
    /// what has its form and is wrong, [`StagedSink::probe`] finds.
    ///
    /// # Errors
    /// As those of [`Sinks::open`] for the same text.
    fn judge(&self, access: &Access) -> Result<(), Fault> {
        let _ = access;
        Ok(())
    }
}

/// A destination that keeps the promises of the delivery protocol:
///
/// 1. staged is invisible: before `publish`, `look` and readers of the destination see nothing at the key;
/// 2. `publish` is idempotent: repeated with the same token it answers [`Published::Done`];
/// 3. after `discard` answers [`Discarded::Gone`], a `publish` of that token can never succeed, not even one that is under way;
/// 4. `look` sees a publish that has answered;
/// 5. an upload that is dropped, or whose stream ended early, never becomes visible.
#[async_trait]
pub trait StagedSink: Send + Sync {
    /// Starts staging a file for `key`, a `/`-separated path relative to the sink's root.
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault>;

    /// Makes exactly the token's bytes visible at its key, durably. Never replaces a file of another tag.
    async fn publish(&self, token: &StageToken) -> Result<Published, Fault>;

    /// Removes what was staged, so that it can never be published. A missing file counts as removed.
    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault>;

    /// Removes the visible file at the handle's key if, and only if, it is the one of the handle's tag.
    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault>;

    /// What is visible at the token's key.
    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault>;

    /// Puts a small file at its final name at once and durably (a manifest). Repeating it with the same bytes is
    /// harmless; different bytes at that name are a [`DestinationConflict`](offtake_model::ErrorCode::DestinationConflict).
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault>;

    /// Names of the files that lie directly in a folder, in any order; staged ones may be among them, hidden. Empty for
    /// a folder that does not exist, nothing where this kind of destination cannot be listed.
    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        let _ = folder;
        Ok(None)
    }

    /// Reads a small visible file (a manifest) whole, if there is one. Only asked of sinks that can be listed.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let _ = key;
        Ok(None)
    }

    /// Proves, by doing it in a scratch folder, that the sink's promises hold with these credentials.
    async fn probe(&self) -> Result<(), Fault>;
}

/// An upload that is being written. Dropping it leaves at most an invisible staged file.
#[async_trait]
pub trait StagedUpload: Send {
    /// What is needed to discard this upload later, also from another process.
    fn handle(&self) -> &StageHandle;

    /// Appends bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault>;

    /// Makes the staged bytes durable, still invisible. Fails when the proof does not match what was written.
    async fn seal(self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault>;
}

/// The writer's word that the stream is complete. A short source can't produce one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndOfStream {
    /// Bytes written in all.
    pub bytes: u64,
}

/// The outcome of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// The token's bytes are visible.
    Done {
        /// The destination's tag for the file, when it has one.
        etag: Option<String>,
    },
    /// The staged file is gone for good and nothing of it is visible; the task must be run again.
    Lost,
    /// Another writer's file lies at the key.
    Conflict,
    /// It cannot be told.
    Ambiguous,
}

/// The outcome of a discard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Discarded {
    /// Nothing staged remains, and nothing was published.
    Gone,
    /// The file had been published before; it is visible.
    WasPublished,
}

/// What a look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether the file is the token's own.
    pub ours: bool,
    /// Its size in bytes.
    pub bytes: u64,
    /// The destination's tag for it, when it has one.
    pub etag: Option<String>,
}
