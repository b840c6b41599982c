//! Sinks that each break one promise on purpose: the proof that the conformance suite can tell.
//!
//! Each is a thin layer over [`MemorySinks`]; none is of any other use.
//!
//! The one law: every one of them fails [`sink_suite::conforms`](super::sink_suite::conforms).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, Fault, SinkRef, StageHandle, StageToken};

use super::memory_sink::MemorySinks;
use crate::sink::{Discarded, EndOfStream, Published, Seen, Sinks, StagedSink, StagedUpload};

/// How a sink is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A sealed file is visible at once.
    VisibleBeforePublish,
    /// Publishing a second time fails.
    SecondPublishFails,
    /// A discarded file can still be published.
    PublishAfterDiscard,
    /// A proof that doesn't match what was written is accepted.
    TruncationAccepted,
    /// After a restart, a publish that had been done is taken for lost because nothing staged is left.
    LostReplyTakenAsFailure,
    /// Any file at the key is taken for one's own.
    LookWithoutTag,
    /// A chunk in the middle is dropped; all numbers are as they should be.
    PartDropped,
    /// Dropping an upload finishes it.
    AbortIgnored,
}

impl Broken {
    /// Every way.
    pub const ALL: [Self; 8] = [
        Self::VisibleBeforePublish,
        Self::SecondPublishFails,
        Self::PublishAfterDiscard,
        Self::TruncationAccepted,
        Self::LostReplyTakenAsFailure,
        Self::LookWithoutTag,
        Self::PartDropped,
        Self::AbortIgnored,
    ];
}

/// Sinks broken in one way. What one of them published is known to it alone, as to one process.
#[derive(Clone)]
pub struct BrokenSinks {
    how: Broken,
    inner: MemorySinks,
    published: Arc<Mutex<HashSet<StageToken>>>,
}

impl BrokenSinks {
    /// Breaks the sinks over `inner`.
    pub fn new(how: Broken, inner: MemorySinks) -> Self {
        Self {
            how,
            inner,
            published: Arc::default(),
        }
    }
}

#[async_trait]
impl Sinks for BrokenSinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        let inner = self.inner.open(sink).await?;
        Ok(Arc::new(BrokenSink {
            how: self.how,
            inner,
            published: Arc::clone(&self.published),
        }))
    }
}

struct BrokenSink {
    how: Broken,
    inner: Arc<dyn StagedSink>,
    published: Arc<Mutex<HashSet<StageToken>>>,
}

impl BrokenSink {
    /// Notes the publish; says whether this process had done it before.
    fn repeated(&self, token: &StageToken) -> bool {
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !published.insert(token.clone())
    }
}

#[async_trait]
impl StagedSink for BrokenSink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        let inner = self.inner.begin(key, tag).await?;
        Ok(Box::new(BrokenUpload {
            how: self.how,
            handle: inner.handle().clone(),
            sink: Arc::clone(&self.inner),
            inner: Some(inner),
            chunks: 0,
            written: 0,
        }))
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        let repeated = self.repeated(token);
        if self.how == Broken::SecondPublishFails && repeated {
            return Ok(Published::Lost);
        }
        if self.how == Broken::LostReplyTakenAsFailure && !repeated {
            let seen = self.inner.look(token).await?;
            if seen.is_some_and(|seen| seen.ours) {
                return Ok(Published::Lost);
            }
        }
        self.inner.publish(token).await
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        if self.how == Broken::PublishAfterDiscard {
            return Ok(Discarded::Gone);
        }
        self.inner.discard(handle).await
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        self.inner.retract(handle).await
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        let mut seen = self.inner.look(token).await?;
        if self.how == Broken::LookWithoutTag
            && let Some(seen) = &mut seen
        {
            seen.ours = true;
        }
        Ok(seen)
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        self.inner.put(key, bytes).await
    }

    async fn probe(&self) -> Result<(), Fault> {
        self.inner.probe().await
    }
}

/// The chunk that [`Broken::PartDropped`] replaces.
const DROPPED_CHUNK: u64 = 3;

struct BrokenUpload {
    how: Broken,
    handle: StageHandle,
    sink: Arc<dyn StagedSink>,
    inner: Option<Box<dyn StagedUpload>>,
    chunks: u64,
    written: u64,
}

#[async_trait]
impl StagedUpload for BrokenUpload {
    fn handle(&self) -> &StageHandle {
        &self.handle
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        self.chunks += 1;
        self.written += chunk.len() as u64;
        let Some(inner) = self.inner.as_mut() else {
            return Ok(());
        };
        if self.how == Broken::PartDropped && self.chunks == DROPPED_CHUNK {
            return inner.write(Bytes::from(vec![0; chunk.len()])).await;
        }
        inner.write(chunk).await
    }

    async fn seal(mut self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault> {
        let taken = self.inner.take();
        let Some(inner) = taken else {
            return Err(Fault::new(
                offtake_model::ErrorCode::Internal,
                "seal twice: a broken sink's upload",
            ));
        };
        let believed = if self.how == Broken::TruncationAccepted {
            EndOfStream {
                bytes: self.written,
            }
        } else {
            proof
        };
        let mut token = inner.seal(believed).await?;
        token.bytes = proof.bytes;
        if self.how == Broken::VisibleBeforePublish {
            let _done = self.sink.publish(&token).await?;
        }
        Ok(token)
    }
}

impl Drop for BrokenUpload {
    fn drop(&mut self) {
        if self.how != Broken::AbortIgnored {
            return;
        }
        let Some(inner) = self.inner.take() else {
            return;
        };
        let sink = Arc::clone(&self.sink);
        let proof = EndOfStream {
            bytes: self.written,
        };
        // The memory sink never waits, so one poll finishes what a real client would do in the background.
        let _done = futures_util::FutureExt::now_or_never(async move {
            let token = inner.seal(proof).await?;
            sink.publish(&token).await
        });
    }
}
