//! The deliveries' queue and journal: who works on what, and what is decided.

use std::time::Duration;

use async_trait::async_trait;
use offtake_model::delivery::{Cursor, Leftover};
use offtake_model::{
    Actor, Attempt, AttemptId, DatasetId, DeliveryId, DeliveryRecord, ExportPlan, Fault, FlowId,
    Lease, Millis, Resource, Revision, Run, RunId, SeenFolder, StageHandle, Tenant, Transition,
    Winner,
};

/// Hands out work. One run per flow and trigger, one delivery per run and dataset, however often enqueued;
/// at most one active delivery per flow and dataset; at most one live lease per delivery; every lease of a
/// delivery has a larger epoch than the one before.
#[async_trait]
pub trait DeliveryQueue: Send + Sync {
    /// Enabled flows whose next occurrence is not after `now`, of all tenants, earliest first.
    async fn due(&self, now: Millis, limit: u32) -> Result<Vec<Resource>, Fault>;

    /// In one transaction: inserts the run with its deliveries, each `queued`, unless its id exists; sets the
    /// flow's next occurrence if the flow's revision or generation is still the tick's.
    ///
    /// A delivery for a flow and dataset that already has a *queued* one is inserted as `skipped` with the
    /// fault `OVERLAPPED` (coalescing, DELIVERY 2.12), unless the run is a full re-sync, which is always queued.
    /// Only runs that move the cursor stand in for one another.
    async fn enqueue(&self, tick: &Tick) -> Result<Enqueued, Fault>;

    /// Claims one delivery that is queued, whose wait is over, or whose lease has expired by the store's clock.
    /// A queued one only while no other delivery of its flow and dataset is active; older ones first.
    /// Moves `queued` to `planning` and `retry_wait` to its `resume`; other states stay.
    async fn claim(&self, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault>;

    /// Extends the lease and tells whether somebody asked to cancel.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Renewed, Fault>;

    /// Ends the lease now, so that the next claim need not wait.
    async fn release(&self, lease: &Lease) -> Result<Applied, Fault>;

    /// Asks every unfinished delivery of the run to cancel. Honoured only before the point of no return: a queued
    /// one ends at once, a waiting one can be claimed at once. False when there was none left to ask.
    async fn request_cancel(&self, tenant: &Tenant, run: RunId) -> Result<bool, Fault>;

    /// Voids every lease: called once at start by the process that holds the data directory.
    async fn void_leases(&self) -> Result<u64, Fault>;

    /// The earliest instant at which a flow is due or a wait is over, when there is one.
    async fn next_wake(&self) -> Result<Option<Millis>, Fault>;
}

/// One occurrence to enqueue.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// The run.
    pub run: Run,
    /// Set on ticks of the scheduler: the flow's revision as read, and its next occurrence.
    pub schedule: Option<ScheduleMove>,
    /// The client that asked for the run; none on ticks of the scheduler.
    pub by: Option<Actor>,
}

/// The scheduler's move of a flow's next occurrence. Changes neither the flow's revision nor its etag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleMove {
    /// The revision the scheduler decided on.
    pub expected: Revision,
    /// The next occurrence, or none.
    pub next_due_at: Option<Millis>,
}

/// The outcome of enqueueing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Enqueued {
    /// The run is new.
    Inserted,
    /// A run of this flow and trigger was there already; its deliveries were left alone.
    Exists,
    /// The flow changed in between; nothing was inserted.
    Stale,
}

/// The outcome of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Renewed {
    /// Extended.
    Done {
        /// The lease with its new expiry.
        lease: Lease,
        /// Whether somebody asked to cancel.
        cancel_requested: bool,
    },
    /// Somebody else holds the delivery.
    Fenced,
}

/// The journal of one delivery. Every write is one transaction guarded by the lease's epoch and the expected
/// state; when the guard fails, nothing changes and the answer is `Fenced`.
#[async_trait]
pub trait DeliveryJournal: Send + Sync {
    /// Reads the delivery under its lease; `None` when fenced.
    async fn load(&self, lease: &Lease) -> Result<Option<DeliveryRecord>, Fault>;

    /// The cursor of a flow and dataset. Read at plan time.
    async fn cursor(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<Cursor>, Fault>;

    /// The plan of a delivery that succeeded.
    async fn plan(&self, delivery: DeliveryId) -> Result<Option<ExportPlan>, Fault>;

    /// What the flow has delivered of a dataset that is a Parquet folder; nothing before its first delivery.
    async fn seen(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<SeenFolder>, Fault>;

    /// Journals an attempt, before its upload is created. Guard: executing.
    async fn begin_attempt(&self, lease: &Lease, attempt: &Attempt) -> Result<Applied, Fault>;

    /// Adds the handle, right after the upload is created. Guard: epoch only.
    async fn save_handle(
        &self,
        lease: &Lease,
        attempt: AttemptId,
        handle: &StageHandle,
    ) -> Result<Applied, Fault>;

    /// Records the winner of a task. Guard: executing, no winner yet.
    async fn record(&self, lease: &Lease, winner: &Winner) -> Result<Recorded, Fault>;

    /// Notes that nothing staged of the attempt remains. Guard: epoch only.
    async fn discarded(&self, lease: &Lease, attempt: AttemptId) -> Result<Applied, Fault>;

    /// Applies a transition. Guard: the transition's own from-states.
    async fn apply(&self, lease: &Lease, transition: &Transition) -> Result<Applied, Fault>;

    /// Ended deliveries with attempts whose staged files may remain, ended before `before`.
    async fn leftovers(&self, before: Millis, limit: u32) -> Result<Vec<Leftover>, Fault>;

    /// Notes that nothing staged of an ended delivery's attempt remains.
    async fn swept(&self, delivery: DeliveryId, attempt: AttemptId) -> Result<(), Fault>;
}

/// The outcome of a guarded write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// Done.
    Done,
    /// The lease or the state is not what it was; nothing changed. Drop everything, touch nothing outside.
    Fenced,
}

/// The outcome of recording a winner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// This attempt is the task's winner.
    Won,
    /// Another attempt was recorded before; discard one's own.
    Lost,
    /// As [`Applied::Fenced`].
    Fenced,
}
