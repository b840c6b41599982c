//! The delivery service: one value that runs scheduler, drivers and janitor until it is told to stop.
//!
//! The one law: what was claimed is either finished, or let go in a way that the next claim can resume.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use offtake_model::Lease;
use offtake_ports::{
    Clock, DeliveryJournal, DeliveryQueue, Engine, Ids, Lake, ResourceStore, Sinks,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::driver;
use crate::janitor;
use crate::scheduler;
use crate::settings::Settings;

/// Deliveries that may be kept while they wait for a destination, besides those under way.
const PAUSED_MAX: usize = 64;

/// What the service works with.
#[derive(Clone)]
pub struct Deps {
    /// Hands out work.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Keeps what was decided.
    pub journal: Arc<dyn DeliveryJournal>,
    /// Flows' connections and datasets.
    pub resources: Arc<dyn ResourceStore>,
    /// What datasets hold.
    pub lake: Arc<dyn Lake>,
    /// Where files go.
    pub sinks: Arc<dyn Sinks>,
    /// Runs file tasks.
    pub engine: Arc<dyn Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for attempt ids and the owner's name.
    pub ids: Arc<dyn Ids>,
}

/// Everything that scheduler, drivers and janitor share.
pub(crate) struct Context {
    pub(crate) deps: Deps,
    pub(crate) settings: Settings,
    /// New for every process start, so that a restarted process never passes for the one before.
    pub(crate) owner: String,
    /// One permit per delivery under way.
    pub(crate) slots: Arc<Semaphore>,
    /// One permit per task the engine can run.
    pub(crate) tasks: Arc<Semaphore>,
    /// Wakes the scheduler.
    pub(crate) nudge: Notify,
    /// Wakes whoever claims.
    pub(crate) work: Notify,
}

/// Runs deliveries. Cheap to clone; clones are one service.
#[derive(Clone)]
pub struct DeliveryService {
    context: Arc<Context>,
}

impl DeliveryService {
    /// Builds the service; nothing runs before [`run`](Self::run).
    pub fn new(deps: Deps, settings: Settings) -> Self {
        let mut owner = String::new();
        for byte in deps.ids.bytes16() {
            let _ = write!(owner, "{byte:02x}");
        }
        let slots = Arc::new(Semaphore::new(settings.parallel.max(1)));
        let tasks = Arc::new(Semaphore::new(deps.engine.slots().max(1)));
        Self {
            context: Arc::new(Context {
                deps,
                settings,
                owner,
                slots,
                tasks,
                nudge: Notify::new(),
                work: Notify::new(),
            }),
        }
    }

    /// Wakes the scheduler and the queue at once, for instance after a flow was made or a run asked for.
    pub fn nudge(&self) {
        self.context.nudge.notify_one();
        self.context.work.notify_one();
    }

    /// Runs until `stop` is cancelled, then drains: deliveries may go on for `Settings::drain`; what is not
    /// finished by then is dropped and its lease released.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(
            scheduler::run(&self.context, &stop),
            janitor::run(&self.context, &stop),
            dispatch(&self.context, &stop),
        );
    }
}

/// Claims deliveries and has them driven, as many at the same time as there are slots.
async fn dispatch(context: &Arc<Context>, stop: &CancellationToken) {
    let mut drivers = JoinSet::new();
    while let Some(slot) = free_slot(context, &mut drivers, stop).await {
        if let Some(lease) = claim(context).await {
            drivers.spawn(driver::drive(
                Arc::clone(context),
                lease,
                slot,
                stop.clone(),
            ));
            continue;
        }
        drop(slot);
        tokio::select! {
            () = stop.cancelled() => break,
            () = context.work.notified() => {}
            () = context.deps.clock.sleep(context.settings.tick) => {}
            Some(ended) = drivers.join_next() => report(ended),
        }
    }
    while let Some(ended) = drivers.join_next().await {
        report(ended);
    }
}

/// Waits until another delivery may be claimed; none when the service is to stop.
async fn free_slot(
    context: &Context,
    drivers: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Option<OwnedSemaphorePermit> {
    while let Some(ended) = drivers.try_join_next() {
        report(ended);
    }
    let kept_max = context.settings.parallel.saturating_add(PAUSED_MAX);
    while drivers.len() >= kept_max {
        tokio::select! {
            () = stop.cancelled() => return None,
            Some(ended) = drivers.join_next() => report(ended),
        }
    }
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        slot = Arc::clone(&context.slots).acquire_owned() => slot.ok(),
    }
}

async fn claim(context: &Context) -> Option<Lease> {
    match context
        .deps
        .queue
        .claim(&context.owner, context.settings.lease_ttl)
        .await
    {
        Ok(lease) => lease,
        Err(fault) => {
            tracing::warn!(%fault, "no delivery claimed");
            None
        }
    }
}

/// A driver that panicked leaves its lease to expire; the next claim resumes.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a delivery driver ended in panic");
    }
}

/// Sleeps for `duration`, or less when the service is to stop. Says whether to go on.
pub(crate) async fn sleep(context: &Context, stop: &CancellationToken, duration: Duration) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = context.deps.clock.sleep(duration) => true,
    }
}
