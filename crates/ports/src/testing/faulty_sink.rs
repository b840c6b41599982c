//! A decorator that makes a good sink misbehave by script: failing calls, lost replies, staged files that vanish.
//!
//! It never breaks a sink's promises; it only makes happen what networks and stores really do.
//!
//! The one law: a script line strikes once, at the named occurrence of the named call, counted over all views.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, ErrorCode, Fault, SinkRef, StageHandle, StageToken};

use crate::sink::{Discarded, EndOfStream, Published, Seen, Sinks, StagedSink, StagedUpload};

/// A call that a script line can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SinkCall {
    /// [`Sinks::open`].
    Open,
    /// [`StagedSink::begin`].
    Begin,
    /// [`StagedUpload::write`].
    Write,
    /// [`StagedUpload::seal`].
    Seal,
    /// [`StagedSink::publish`].
    Publish,
    /// [`StagedSink::discard`].
    Discard,
    /// [`StagedSink::retract`].
    Retract,
    /// [`StagedSink::look`].
    Look,
    /// [`StagedSink::put`].
    Put,
}

/// What happens to the call that is struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It fails with this fault before it does anything.
    Fails(Fault),
    /// It does its work, but its caller gets a `DESTINATION_UNREACHABLE`.
    ReplyLost,
    /// It succeeds, then the staged file vanishes. On calls other than `seal` it does nothing.
    StagedVanishes,
}

/// Sinks over other sinks, with a script. Clones share script and counters.
#[derive(Clone)]
pub struct FaultySinks {
    inner: Arc<dyn Sinks>,
    script: Script,
}

impl FaultySinks {
    /// Decorates `inner` with an empty script.
    pub fn new(inner: Arc<dyn Sinks>) -> Self {
        Self {
            inner,
            script: Script::default(),
        }
    }

    /// Strikes the `nth` call of that kind, counted from 1 since the decorator was made.
    pub fn strike(&self, call: SinkCall, nth: u64, trouble: Trouble) {
        self.script.with(|lines| {
            lines.troubles.insert((call, nth), trouble);
        });
    }

    /// Strikes the next call of that kind.
    pub fn strike_next(&self, call: SinkCall, trouble: Trouble) {
        self.script.with(|lines| {
            let nth = lines.calls.get(&call).copied().unwrap_or_default() + 1;
            lines.troubles.insert((call, nth), trouble);
        });
    }

    /// How often the call was made, struck or not.
    pub fn calls(&self, call: SinkCall) -> u64 {
        self.script
            .with(|lines| lines.calls.get(&call).copied().unwrap_or_default())
    }
}

#[async_trait]
impl Sinks for FaultySinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        let trouble = self.script.meet(SinkCall::Open);
        before(trouble.as_ref())?;
        let inner = self.inner.open(sink).await?;
        let opened: Arc<dyn StagedSink> = Arc::new(FaultySink {
            inner,
            script: self.script.clone(),
        });
        after(SinkCall::Open, trouble.as_ref(), opened)
    }
}

#[derive(Clone, Default)]
struct Script(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    calls: HashMap<SinkCall, u64>,
    troubles: HashMap<(SinkCall, u64), Trouble>,
}

impl Script {
    fn with<T>(&self, work: impl FnOnce(&mut Lines) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts the call and takes the trouble meant for it.
    fn meet(&self, call: SinkCall) -> Option<Trouble> {
        self.with(|lines| {
            let count = lines.calls.entry(call).or_default();
            *count += 1;
            let nth = *count;
            lines.troubles.remove(&(call, nth))
        })
    }
}

struct FaultySink {
    inner: Arc<dyn StagedSink>,
    script: Script,
}

#[async_trait]
impl StagedSink for FaultySink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        let trouble = self.script.meet(SinkCall::Begin);
        before(trouble.as_ref())?;
        let inner = self.inner.begin(key, tag).await?;
        let upload: Box<dyn StagedUpload> = Box::new(FaultyUpload {
            inner,
            sink: Arc::clone(&self.inner),
            script: self.script.clone(),
        });
        after(SinkCall::Begin, trouble.as_ref(), upload)
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        let trouble = self.script.meet(SinkCall::Publish);
        before(trouble.as_ref())?;
        let answer = self.inner.publish(token).await?;
        after(SinkCall::Publish, trouble.as_ref(), answer)
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        let trouble = self.script.meet(SinkCall::Discard);
        before(trouble.as_ref())?;
        let answer = self.inner.discard(handle).await?;
        after(SinkCall::Discard, trouble.as_ref(), answer)
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        let trouble = self.script.meet(SinkCall::Retract);
        before(trouble.as_ref())?;
        self.inner.retract(handle).await?;
        after(SinkCall::Retract, trouble.as_ref(), ())
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        let trouble = self.script.meet(SinkCall::Look);
        before(trouble.as_ref())?;
        let answer = self.inner.look(token).await?;
        after(SinkCall::Look, trouble.as_ref(), answer)
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        let trouble = self.script.meet(SinkCall::Put);
        before(trouble.as_ref())?;
        self.inner.put(key, bytes).await?;
        after(SinkCall::Put, trouble.as_ref(), ())
    }

    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        self.inner.list(folder).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        self.inner.get(key).await
    }

    async fn probe(&self) -> Result<(), Fault> {
        self.inner.probe().await
    }
}

struct FaultyUpload {
    inner: Box<dyn StagedUpload>,
    sink: Arc<dyn StagedSink>,
    script: Script,
}

#[async_trait]
impl StagedUpload for FaultyUpload {
    fn handle(&self) -> &StageHandle {
        self.inner.handle()
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        let trouble = self.script.meet(SinkCall::Write);
        before(trouble.as_ref())?;
        self.inner.write(chunk).await?;
        after(SinkCall::Write, trouble.as_ref(), ())
    }

    async fn seal(self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault> {
        let Self {
            inner,
            sink,
            script,
        } = *self;
        let trouble = script.meet(SinkCall::Seal);
        before(trouble.as_ref())?;
        let token = inner.seal(proof).await?;
        if trouble == Some(Trouble::StagedVanishes) {
            let _gone = sink.discard(&token.handle).await?;
        }
        after(SinkCall::Seal, trouble.as_ref(), token)
    }
}

fn before(trouble: Option<&Trouble>) -> Result<(), Fault> {
    match trouble {
        Some(Trouble::Fails(fault)) => Err(fault.clone()),
        Some(Trouble::ReplyLost | Trouble::StagedVanishes) | None => Ok(()),
    }
}

fn after<T>(call: SinkCall, trouble: Option<&Trouble>, answer: T) -> Result<T, Fault> {
    if trouble == Some(&Trouble::ReplyLost) {
        return Err(Fault::new(
            ErrorCode::DestinationUnreachable,
            format!("the reply to {call:?} was lost by script"),
        ));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use offtake_model::plan::DestinationKind;
    use offtake_model::{AttemptId, AttemptTag, ConnectionId, DeliveryId, ErrorCode, Fault};
    use offtake_model::{OrgId, SandboxName, SinkRef, StageToken, Tenant};
    use uuid::Uuid;

    use super::{FaultySinks, SinkCall, Trouble};
    use crate::sink::{EndOfStream, Published, Sinks};
    use crate::testing::MemorySinks;

    fn sink() -> SinkRef {
        SinkRef {
            kind: DestinationKind::LandingZone,
            tenant: Tenant {
                org: OrgId("ABCDEF0123456789ABCDEF01@AdobeOrg".to_owned()),
                sandbox: SandboxName("prod".to_owned()),
            },
            connection: ConnectionId(Uuid::nil()),
            container: None,
        }
    }

    fn faulty() -> (MemorySinks, FaultySinks) {
        let memory = MemorySinks::new();
        let faulty = FaultySinks::new(Arc::new(memory.clone()));
        (memory, faulty)
    }

    async fn stage(sinks: &FaultySinks) -> Result<StageToken, Fault> {
        let tag = AttemptTag {
            delivery: DeliveryId(Uuid::nil()),
            task: 0,
            attempt: AttemptId(Uuid::nil()),
        };
        let mut upload = sinks.open(&sink()).await?.begin("file", &tag).await?;
        upload.write(Bytes::from_static(b"one")).await?;
        upload.write(Bytes::from_static(b"two")).await?;
        upload.seal(EndOfStream { bytes: 6 }).await
    }

    #[tokio::test]
    async fn a_lost_reply_hides_a_publish_that_was_done() {
        let (memory, faulty) = faulty();
        faulty.strike_next(SinkCall::Publish, Trouble::ReplyLost);
        let token = stage(&faulty).await.unwrap();
        let view = faulty.open(&sink()).await.unwrap();
        let lost = view.publish(&token).await.unwrap_err();
        assert_eq!(lost.code, ErrorCode::DestinationUnreachable);
        assert_eq!(memory.keys(&sink()), ["file"]);
        let again = view.publish(&token).await.unwrap();
        assert_eq!(again, Published::Done { etag: None });
        assert_eq!(faulty.calls(SinkCall::Publish), 2);
    }

    #[tokio::test]
    async fn a_failing_write_fails_as_scripted_and_once() {
        let (memory, faulty) = faulty();
        let full = Fault::new(ErrorCode::DestinationFull, "write");
        faulty.strike(SinkCall::Write, 2, Trouble::Fails(full.clone()));
        assert_eq!(stage(&faulty).await.unwrap_err(), full);
        assert_eq!(memory.staged(), 0);
        assert!(stage(&faulty).await.is_ok());
    }

    #[tokio::test]
    async fn a_vanished_staged_file_is_lost_at_publish() {
        let (_, faulty) = faulty();
        faulty.strike_next(SinkCall::Seal, Trouble::StagedVanishes);
        let token = stage(&faulty).await.unwrap();
        let view = faulty.open(&sink()).await.unwrap();
        assert_eq!(view.publish(&token).await.unwrap(), Published::Lost);
    }
}
