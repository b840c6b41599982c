//! The driver's hands: one function per order, each giving the one answer that the protocol names for it.
//!
//! The one law: an outcome that is not known is reported as a fault, never guessed.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use offtake_core::delivery::{
    DeliveryCommand, DeliveryEvent, DiscardAnswer, PublishAnswer, RecordAnswer, Sight, StopReason,
};
use offtake_model::{
    AttemptId, DeliveryRecord, Fault, Lease, SinkRef, StageHandle, StageToken, Transition, Winner,
};
use offtake_ports::sink::StagedSink;
use offtake_ports::{Applied, Discarded, Published, Recorded, Seen};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::failpoint::failpoint;
use crate::meter;
use crate::planner;
use crate::pulse::Pulse;
use crate::service::Context;
use crate::task;

/// What one driver works with. Shared with the calls that run beside it.
pub(crate) struct Hands {
    pub(crate) context: Arc<Context>,
    pub(crate) lease: Lease,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) stop: CancellationToken,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
}

/// What an order comes to.
pub(crate) enum Done {
    /// Its answer is here.
    Now(DeliveryEvent),
    /// Its answer comes when this ends.
    Call(BoxFuture<'static, DeliveryEvent>),
    /// A task runs; its answer comes when this ends.
    Task(BoxFuture<'static, DeliveryEvent>),
    /// The tasks are to be dropped.
    DropTasks,
    /// The claim ends.
    End(StopReason),
}

impl Hands {
    pub(crate) fn new(
        context: &Arc<Context>,
        lease: &Lease,
        pulse: Arc<Pulse>,
        stop: CancellationToken,
        slot: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        Arc::new(Self {
            context: Arc::clone(context),
            lease: lease.clone(),
            pulse,
            stop,
            slot: Mutex::new(Some(slot)),
        })
    }

    /// Performs an order, or starts what performs it.
    pub(crate) async fn perform(
        self: &Arc<Self>,
        record: &DeliveryRecord,
        order: DeliveryCommand,
    ) -> Done {
        let hands = Arc::clone(self);
        let sink = record.run.spec.sink.clone();
        if touches(&order) && !self.pulse.trusted(self.context.deps.clock.now()) {
            return Done::Now(DeliveryEvent::Fenced);
        }
        match order {
            DeliveryCommand::Stop(reason) => Done::End(reason),
            DeliveryCommand::StopTasks => Done::DropTasks,
            DeliveryCommand::Load => Done::Now(known(self.load().await)),
            DeliveryCommand::Apply(transition) => Done::Now(known(self.apply(&transition).await)),
            DeliveryCommand::Record(winner) => Done::Now(known(self.record(winner).await)),
            DeliveryCommand::BuildManifest { etags } => Done::Now(DeliveryEvent::ManifestBuilt(
                planner::manifest(record, &etags),
            )),
            DeliveryCommand::Plan => {
                let record = record.clone();
                call(async move { DeliveryEvent::Planned(planner::plan(&hands, &record).await) })
            }
            DeliveryCommand::RunTask(index) => {
                Done::Task(Box::pin(task::run(hands, index, task::find(record, index))))
            }
            DeliveryCommand::Publish { task, token } => call(async move {
                DeliveryEvent::Published {
                    task,
                    answer: hands.publish(&sink, &token).await,
                }
            }),
            DeliveryCommand::Look { task, token } => call(async move {
                DeliveryEvent::Looked {
                    task,
                    answer: hands.look(&sink, &token).await,
                }
            }),
            DeliveryCommand::Discard { attempt, handle } => {
                call(async move { known(hands.discard(&sink, attempt, &handle).await) })
            }
            DeliveryCommand::Retract { attempt, handle } => {
                call(async move { known(hands.retract(&sink, attempt, &handle).await) })
            }
            DeliveryCommand::PutFileManifest { key } => {
                let bytes = planner::file_manifest(record);
                call(async move { DeliveryEvent::ManifestPut(hands.put(&sink, &key, bytes).await) })
            }
            DeliveryCommand::PutManifest { key, bytes } => {
                call(
                    async move { DeliveryEvent::ManifestPut(hands.put(&sink, &key, Ok(bytes)).await) },
                )
            }
            DeliveryCommand::Pause { fault, delay } => call(async move {
                tracing::warn!(%fault, delay_s = delay.as_secs(), "delivery pauses");
                hands.pause(delay).await;
                DeliveryEvent::Woken
            }),
        }
    }

    async fn load(&self) -> Result<DeliveryEvent, Fault> {
        let record = self.context.deps.journal.load(&self.lease).await?;
        Ok(record.map_or(DeliveryEvent::Fenced, |record| {
            DeliveryEvent::Loaded(Box::new(record))
        }))
    }

    async fn apply(&self, transition: &Transition) -> Result<DeliveryEvent, Fault> {
        failpoint!(crate::failpoint::before(transition));
        let applied = self
            .context
            .deps
            .journal
            .apply(&self.lease, transition)
            .await?;
        failpoint!(crate::failpoint::after(transition));
        if let (Applied::Done, Transition::Commit { metrics, .. }) = (applied, transition) {
            meter::delivered(metrics);
        }
        Ok(match applied {
            Applied::Done => DeliveryEvent::Applied,
            Applied::Fenced => DeliveryEvent::Fenced,
        })
    }

    async fn record(&self, winner: Box<Winner>) -> Result<DeliveryEvent, Fault> {
        failpoint!("before-record");
        let recorded = self
            .context
            .deps
            .journal
            .record(&self.lease, &winner)
            .await?;
        failpoint!("after-record");
        let answer = match recorded {
            Recorded::Won => RecordAnswer::Won,
            Recorded::Lost => RecordAnswer::Lost,
            Recorded::Fenced => return Ok(DeliveryEvent::Fenced),
        };
        Ok(DeliveryEvent::Recorded { winner, answer })
    }

    async fn publish(&self, sink: &SinkRef, token: &StageToken) -> Result<PublishAnswer, Fault> {
        let sink = self.open(sink).await?;
        failpoint!("before-publish-send");
        let published = sink.publish(token).await?;
        failpoint!("after-publish-send");
        Ok(match published {
            Published::Done { .. } => PublishAnswer::Done,
            Published::Lost => PublishAnswer::Lost,
            Published::Conflict => PublishAnswer::Conflict,
            Published::Ambiguous => PublishAnswer::Ambiguous,
        })
    }

    async fn look(&self, sink: &SinkRef, token: &StageToken) -> Result<Sight, Fault> {
        failpoint!("between-publishes");
        let seen = self.open(sink).await?.look(token).await?;
        Ok(match seen {
            None => Sight::Absent,
            Some(Seen {
                ours: true,
                bytes,
                etag,
            }) => Sight::Ours { bytes, etag },
            Some(Seen { ours: false, .. }) => Sight::Foreign,
        })
    }

    async fn discard(
        &self,
        sink: &SinkRef,
        attempt: AttemptId,
        handle: &StageHandle,
    ) -> Result<DeliveryEvent, Fault> {
        let answer = match self.open(sink).await {
            Ok(sink) => sink.discard(handle).await,
            Err(fault) => Err(fault),
        };
        failpoint!("during-abort");
        let answer = match answer {
            Ok(Discarded::Gone) => match self.nothing_remains(attempt).await? {
                Applied::Done => Ok(DiscardAnswer::Gone),
                Applied::Fenced => return Ok(DeliveryEvent::Fenced),
            },
            Ok(Discarded::WasPublished) => Ok(DiscardAnswer::WasPublished),
            Err(fault) => Err(fault),
        };
        Ok(DeliveryEvent::Discarded { attempt, answer })
    }

    async fn retract(
        &self,
        sink: &SinkRef,
        attempt: AttemptId,
        handle: &StageHandle,
    ) -> Result<DeliveryEvent, Fault> {
        let answer = match self.open(sink).await {
            Ok(sink) => sink.retract(handle).await,
            Err(fault) => Err(fault),
        };
        failpoint!("during-final-delete");
        if answer.is_ok() && self.nothing_remains(attempt).await? == Applied::Fenced {
            return Ok(DeliveryEvent::Fenced);
        }
        Ok(DeliveryEvent::Retracted { attempt, answer })
    }

    async fn nothing_remains(&self, attempt: AttemptId) -> Result<Applied, Fault> {
        self.context
            .deps
            .journal
            .discarded(&self.lease, attempt)
            .await
    }

    async fn put(
        &self,
        sink: &SinkRef,
        key: &str,
        bytes: Result<Vec<u8>, Fault>,
    ) -> Result<(), Fault> {
        let bytes = Bytes::from(bytes?);
        let sink = self.open(sink).await?;
        failpoint!("before-manifest-put");
        sink.put(key, bytes).await?;
        failpoint!("after-manifest-put");
        Ok(())
    }

    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        self.context.deps.sinks.open(sink).await
    }

    /// Waits without holding a slot, so that a destination out of reach does not keep other deliveries back.
    async fn pause(&self, delay: Duration) {
        let _declared = self.pulse.wait();
        drop(self.swap_slot(None));
        self.context.deps.clock.sleep(delay).await;
        let slot = Arc::clone(&self.context.slots).acquire_owned().await;
        drop(self.swap_slot(slot.ok()));
    }

    fn swap_slot(&self, slot: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        let mut held = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut held, slot)
    }
}

/// Whether the order reaches something outside this process.
const fn touches(order: &DeliveryCommand) -> bool {
    !matches!(order, DeliveryCommand::Stop(_) | DeliveryCommand::StopTasks)
}

fn call(future: impl Future<Output = DeliveryEvent> + Send + 'static) -> Done {
    Done::Call(Box::pin(future))
}

/// A journal that fails leaves its outcome unknown.
fn known(answer: Result<DeliveryEvent, Fault>) -> DeliveryEvent {
    answer.unwrap_or_else(DeliveryEvent::JournalFailed)
}
