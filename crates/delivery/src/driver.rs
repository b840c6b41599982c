//! The driver: performs what the delivery machine orders and tells it what came of it, from one claim to its end.
//!
//! Orders to the journal are performed one after the other; calls to lake, engine and destination run beside
//! them, and their answers are taken as they come. Nothing is decided here.
//!
//! The one law: after a fence everything in memory is dropped and nothing outside is touched.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use offtake_core::delivery::{DeliveryCommand, DeliveryEvent, DeliveryMachine, StopReason};
use offtake_model::{DeliveryRecord, DeliveryState, ErrorCode, Fault, Lease};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::failpoint::failpoint;
use crate::hands::{Done, Hands};
use crate::meter;
use crate::pulse::{Pulse, beat};
use crate::service::Context;

/// Words of the heartbeat that may wait to be heard.
const HEART_CAPACITY: usize = 4;

type Pending = FuturesUnordered<BoxFuture<'static, DeliveryEvent>>;

/// Drives one claimed delivery until this claim ends.
pub(crate) async fn drive(
    context: Arc<Context>,
    lease: Lease,
    slot: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    let span =
        tracing::info_span!("delivery", delivery.id = %lease.delivery, lease.epoch = lease.epoch);
    async {
        let reason = match claimed(&context, &lease).await {
            Ok(Some(record)) => {
                Driver::new(&context, &lease, stop, slot, record)
                    .run()
                    .await
            }
            Ok(None) => StopReason::Fenced,
            Err(fault) => StopReason::Journal(fault),
        };
        end(&context, &lease, reason).await;
    }
    .instrument(span)
    .await;
}

async fn claimed(context: &Context, lease: &Lease) -> Result<Option<DeliveryRecord>, Fault> {
    failpoint!("after-claim");
    context.deps.journal.load(lease).await
}

/// Says how the claim ended, and lets the lease go where the next claim need not wait for its end. After a
/// failure of the journal it is left to run out, which is the pause that the journal needs.
async fn end(context: &Context, lease: &Lease, reason: StopReason) {
    match &reason {
        StopReason::Ended(state) => {
            meter::ended(*state);
            tracing::info!(state = state.name(), "delivery ended");
        }
        StopReason::Quarantined => {
            meter::ended(DeliveryState::Quarantined);
            tracing::error!("delivery quarantined: a person decides");
        }
        StopReason::Fenced => tracing::warn!("lease lost: dropped"),
        StopReason::Journal(fault) => {
            tracing::warn!(%fault, "journal failed: dropped until the lease ends");
        }
        StopReason::NothingToDo => tracing::debug!("nothing to do"),
        StopReason::Waiting | StopReason::Shutdown => {
            if matches!(reason, StopReason::Waiting) {
                meter::waits();
            }
            if let Err(fault) = release(context, lease).await {
                tracing::warn!(%fault, "lease not released: it will run out");
            }
        }
    }
}

async fn release(context: &Context, lease: &Lease) -> Result<(), Fault> {
    failpoint!("during-lease-release");
    let _either = context.deps.queue.release(lease).await?;
    Ok(())
}

struct Driver {
    context: Arc<Context>,
    hands: Arc<Hands>,
    machine: DeliveryMachine,
    orders: VecDeque<DeliveryCommand>,
    /// Running tasks.
    tasks: Pending,
    /// Everything else that runs beside the journal.
    calls: Pending,
    heart: mpsc::Receiver<DeliveryEvent>,
    _beat: AbortOnDropHandle<()>,
}

impl Driver {
    fn new(
        context: &Arc<Context>,
        lease: &Lease,
        stop: CancellationToken,
        slot: OwnedSemaphorePermit,
        record: DeliveryRecord,
    ) -> Self {
        let pulse = Pulse::new(context.deps.clock.now(), context.settings.lease_ttl);
        let (sender, heart) = mpsc::channel(HEART_CAPACITY);
        let beat = beat(
            Arc::clone(context),
            lease.clone(),
            Arc::clone(&pulse),
            sender,
        );
        Self {
            context: Arc::clone(context),
            hands: Hands::new(context, lease, pulse, stop, slot),
            machine: DeliveryMachine::new(record, context.settings.policy.clone()),
            orders: VecDeque::new(),
            tasks: Pending::new(),
            calls: Pending::new(),
            heart,
            _beat: AbortOnDropHandle::new(tokio::spawn(beat)),
        }
    }

    async fn run(mut self) -> StopReason {
        let stop = self.hands.stop.clone();
        let clock = Arc::clone(&self.context.deps.clock);
        let drain = self.context.settings.drain;
        let drained = async {
            stop.cancelled().await;
            clock.sleep(drain).await;
        };
        tokio::pin!(drained);
        let mut told = false;
        self.take(DeliveryEvent::Claimed);
        loop {
            if let Some(reason) = self.perform_all().await {
                return reason;
            }
            let event = tokio::select! {
                biased;
                Some(event) = self.heart.recv() => event,
                () = stop.cancelled(), if !told => {
                    told = true;
                    DeliveryEvent::ShutdownRequested
                }
                () = &mut drained => return StopReason::Shutdown,
                Some(event) = self.calls.next() => event,
                Some(event) = self.tasks.next() => event,
            };
            self.take(event);
        }
    }

    fn take(&mut self, event: DeliveryEvent) {
        let now = self.context.deps.clock.now();
        self.hands.pulse.moved(now);
        self.orders.extend(self.machine.handle(now, event));
    }

    async fn perform_all(&mut self) -> Option<StopReason> {
        while let Some(order) = self.orders.pop_front() {
            match self.hands.perform(self.machine.record(), order).await {
                Done::Now(event) => self.take(event),
                Done::Call(call) => self.calls.push(apart(call)),
                Done::Task(task) => self.tasks.push(apart(task)),
                Done::DropTasks => self.tasks.clear(),
                Done::End(reason) => return Some(reason),
            }
        }
        None
    }
}

/// Runs the work as a task of the runtime. Polled by the driver alone, it would stand still while the driver waits
/// for the journal, and could hold the very connection that the driver waits for.
fn apart(work: BoxFuture<'static, DeliveryEvent>) -> BoxFuture<'static, DeliveryEvent> {
    let running = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
    Box::pin(async move {
        running.await.unwrap_or_else(|error| {
            let what = "go on with a delivery: a part of it broke off";
            DeliveryEvent::JournalFailed(Fault::new(ErrorCode::Internal, what).because(&error))
        })
    })
}
