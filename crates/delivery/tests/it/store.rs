//! A store in memory with the guards of the real one. It can be told to die at its nth write.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use offtake_core::delivery::target;
use offtake_model::delivery::{Cursor, Leftover};
use offtake_model::{
    Actor, Attempt, AttemptId, DatasetId, DeliveryId, DeliveryRecord, DeliveryState, ErrorCode,
    ExportPlan, Fault, FlowId, Lease, Millis, Resource, ResourceBody, ResourceId, ResourceKind,
    Retry, Revision, Run, RunId, RunMetrics, SeenFolder, StageHandle, Tenant, Transition, Winner,
};
use offtake_ports::journal::Renewed;
use offtake_ports::testing::ManualClock;
use offtake_ports::{
    Applied, Clock, DeliveryJournal, DeliveryQueue, Enqueued, Page, PageRequest, Recorded,
    Replaced, ResourceQuery, ResourceStore, Tick,
};

/// What happens at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dies {
    /// The process dies before it.
    BeforeWrite,
    /// The process dies after it.
    AfterWrite,
    /// It fails, once; the process lives.
    Fails,
    /// It is done, but its reply is lost, once; the process lives.
    ReplyLost,
}

/// Clones share one place.
#[derive(Clone)]
pub(crate) struct MemoryStore {
    clock: ManualClock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) resources: HashMap<(ResourceKind, ResourceId), Resource>,
    pub(crate) runs: HashMap<RunId, Run>,
    pub(crate) rows: BTreeMap<DeliveryId, Row>,
    pub(crate) cursors: HashMap<(FlowId, DatasetId), Cursor>,
    pub(crate) seen: HashMap<(FlowId, DatasetId), SeenFolder>,
    /// States every delivery went through, in order.
    pub(crate) history: Vec<(DeliveryId, DeliveryState)>,
    writes: usize,
    death: Option<(Dies, usize)>,
    pub(crate) dead: bool,
}

pub(crate) struct Row {
    pub(crate) record: DeliveryRecord,
    pub(crate) epoch: u64,
    pub(crate) lease: Option<(String, Millis)>,
    pub(crate) not_before: Millis,
    pub(crate) metrics: Option<RunMetrics>,
    pub(crate) ended_at: Option<Millis>,
}

impl MemoryStore {
    pub(crate) fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            inner: Arc::default(),
        }
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Dies at the nth write from now, counted from 0.
    pub(crate) fn die(&self, dies: Dies, nth: usize) {
        let mut inner = self.inner();
        inner.writes = 0;
        inner.death = Some((dies, nth));
    }

    /// Comes back to life, with every lease void.
    pub(crate) fn revive(&self) {
        let mut inner = self.inner();
        inner.dead = false;
        inner.death = None;
        for row in inner.rows.values_mut() {
            row.lease = None;
            row.epoch += 1;
        }
    }

    /// Does a write, unless the process dies or the write is to fail.
    async fn write<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> Result<T, Fault> {
        let done = {
            let mut inner = self.inner();
            let due = inner
                .death
                .filter(|(_, nth)| *nth == inner.writes)
                .map(|(dies, _)| dies);
            inner.writes += 1;
            match due {
                None if !inner.dead => Some(Ok(work(&mut inner))),
                Some(Dies::Fails) => Some(Err(unavailable())),
                Some(Dies::ReplyLost) => {
                    let _ = work(&mut inner);
                    Some(Err(unavailable()))
                }
                Some(Dies::AfterWrite) => {
                    let _ = work(&mut inner);
                    inner.dead = true;
                    None
                }
                Some(Dies::BeforeWrite) | None => {
                    inner.dead = true;
                    None
                }
            }
        };
        match done {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    fn expiry(&self, ttl: Duration) -> Millis {
        self.clock
            .now()
            .plus_millis(i64::try_from(ttl.as_millis()).unwrap())
    }
}

impl Inner {
    fn guarded(&mut self, lease: &Lease) -> Option<&mut Row> {
        self.rows.get_mut(&lease.delivery).filter(|row| {
            row.epoch == lease.epoch && row.lease.as_ref().is_some_and(|it| it.0 == lease.owner)
        })
    }

    fn active(&self, flow: FlowId, dataset: &DatasetId) -> bool {
        self.rows.values().any(|row| {
            let state = row.record.state;
            row.record.run.flow == flow
                && &row.record.dataset == dataset
                && !state.terminal()
                && state != DeliveryState::Queued
        })
    }

    fn claimable(&self, now: Millis) -> Option<DeliveryId> {
        let free = |row: &Row| row.lease.as_ref().is_none_or(|(_, until)| *until <= now);
        self.rows.values().find_map(|row| {
            let record = &row.record;
            let may = match record.state {
                DeliveryState::Queued => !self.active(record.run.flow, &record.dataset),
                DeliveryState::RetryWait => row.not_before <= now && free(row),
                DeliveryState::Planning
                | DeliveryState::Executing
                | DeliveryState::Publishing
                | DeliveryState::Manifesting
                | DeliveryState::Aborting => free(row),
                _ => false,
            };
            may.then_some(record.id)
        })
    }

    fn apply(&mut self, lease: &Lease, transition: &Transition, now: Millis) -> Applied {
        let Some(row) = self.guarded(lease) else {
            return Applied::Fenced;
        };
        let record = &mut row.record;
        let Some(to) = target(record.state, transition, record.abort_then) else {
            return Applied::Fenced;
        };
        let mut moved = None;
        match transition {
            Transition::SavePlan(plan) => record.plan = Some((**plan).clone()),
            Transition::Freeze => record.rev += 1,
            Transition::Restage { task } => record.winners.retain(|it| it.task != *task),
            Transition::PointOfNoReturn { rev, manifest, .. } => {
                assert_eq!(*rev, record.rev);
                record.manifest = Some(manifest.clone());
            }
            Transition::Commit { metrics, cursor } => {
                row.metrics = Some(*metrics);
                moved.clone_from(cursor);
            }
            Transition::Wait { fault, not_before } => {
                record.resume = Some(record.state);
                record.attempt += 1;
                record.credential_waits += u32::from(fault.retry() == Retry::Credentials);
                record.fault = Some(fault.clone());
                row.not_before = *not_before;
            }
            Transition::StartAbort { then, fault } => {
                record.abort_then = Some(*then);
                record.fault = Some(fault.clone());
            }
            Transition::FinishAbort => {}
            Transition::Quarantine { fault } => record.fault = Some(fault.clone()),
        }
        record.state = to;
        record.claims_lost = 0;
        let id = record.id;
        if to.terminal() {
            row.ended_at = Some(now);
        }
        if let Some(step) = moved {
            let key = (step.flow, step.dataset);
            if let Some(seen) = step.seen {
                let delivered = seen.delivered;
                let known = self.seen.entry(key.clone()).or_insert_with(|| SeenFolder {
                    files: Vec::new(),
                    schema: delivered.schema.clone(),
                });
                if seen.whole {
                    known.files.clear();
                }
                known.files.extend(delivered.files);
                known.files.sort_by(|a, b| a.path.cmp(&b.path));
                known.schema = delivered.schema;
            }
            let before = self.cursors.get(&key).map_or(0, |cursor| cursor.seq);
            assert_eq!(step.seq, before + 1, "the cursor skipped");
            self.cursors.insert(
                key,
                Cursor {
                    position: step.to,
                    seq: step.seq,
                },
            );
        }
        self.history.push((id, to));
        Applied::Done
    }
}

fn unavailable() -> Fault {
    Fault::new(ErrorCode::StoreUnavailable, "write: told to fail")
}

fn blank(run: &Run, dataset: &DatasetId) -> DeliveryRecord {
    DeliveryRecord {
        id: DeliveryId::derive(run.id, dataset),
        run: run.clone(),
        dataset: dataset.clone(),
        state: DeliveryState::Queued,
        rev: 0,
        resume: None,
        abort_then: None,
        attempt: 0,
        credential_waits: 0,
        claims_lost: 0,
        cancel_requested: false,
        plan: None,
        attempts: Vec::new(),
        winners: Vec::new(),
        manifest: None,
        fault: None,
    }
}

#[async_trait]
impl DeliveryQueue for MemoryStore {
    async fn due(&self, now: Millis, limit: u32) -> Result<Vec<Resource>, Fault> {
        let inner = self.inner();
        let due = inner
            .resources
            .values()
            .filter(|resource| match &resource.body {
                ResourceBody::Flow(flow) => flow.next_due_at.is_some_and(|at| at <= now),
                _ => false,
            });
        Ok(due.take(usize::try_from(limit).unwrap()).cloned().collect())
    }

    async fn enqueue(&self, tick: &Tick) -> Result<Enqueued, Fault> {
        self.write(|inner| {
            let run = &tick.run;
            if let Some(step) = tick.schedule {
                let key = (ResourceKind::Flow, ResourceId::from(run.flow));
                let flow = inner.resources.get_mut(&key).unwrap();
                if flow.revision != step.expected {
                    return Enqueued::Stale;
                }
                if let ResourceBody::Flow(flow) = &mut flow.body {
                    flow.next_due_at = step.next_due_at;
                }
            }
            if inner.runs.insert(run.id, run.clone()).is_some() {
                return Enqueued::Exists;
            }
            for dataset in &run.spec.datasets {
                let record = blank(run, dataset);
                let row = Row {
                    record,
                    epoch: 0,
                    lease: None,
                    not_before: Millis(0),
                    metrics: None,
                    ended_at: None,
                };
                inner.rows.insert(row.record.id, row);
            }
            Enqueued::Inserted
        })
        .await
    }

    async fn claim(&self, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let now = self.clock.now();
        let Some(id) = self.inner().claimable(now) else {
            return Ok(None);
        };
        let expires_at = self.expiry(ttl);
        self.write(|inner| {
            let row = inner.rows.get_mut(&id).unwrap();
            let state = &mut row.record.state;
            *state = match *state {
                DeliveryState::Queued => DeliveryState::Planning,
                DeliveryState::RetryWait => row.record.resume.take().unwrap(),
                other => other,
            };
            row.epoch += 1;
            row.record.claims_lost += u32::from(row.lease.is_some());
            row.lease = Some((owner.to_owned(), expires_at));
            Some(Lease {
                delivery: id,
                epoch: row.epoch,
                owner: owner.to_owned(),
                expires_at,
            })
        })
        .await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Renewed, Fault> {
        let expires_at = self.expiry(ttl);
        let mut inner = self.inner();
        let Some(row) = inner.guarded(lease) else {
            return Ok(Renewed::Fenced);
        };
        row.lease = Some((lease.owner.clone(), expires_at));
        Ok(Renewed::Done {
            lease: Lease {
                expires_at,
                ..lease.clone()
            },
            cancel_requested: row.record.cancel_requested,
        })
    }

    async fn release(&self, lease: &Lease) -> Result<Applied, Fault> {
        let mut inner = self.inner();
        let Some(row) = inner.guarded(lease) else {
            return Ok(Applied::Fenced);
        };
        row.lease = None;
        Ok(Applied::Done)
    }

    async fn request_cancel(&self, _tenant: &Tenant, run: RunId) -> Result<bool, Fault> {
        let mut inner = self.inner();
        for row in inner
            .rows
            .values_mut()
            .filter(|row| row.record.run.id == run)
        {
            row.record.cancel_requested = true;
        }
        Ok(true)
    }

    async fn void_leases(&self) -> Result<u64, Fault> {
        self.revive();
        Ok(0)
    }

    async fn next_wake(&self) -> Result<Option<Millis>, Fault> {
        Ok(None)
    }
}

#[async_trait]
impl DeliveryJournal for MemoryStore {
    async fn load(&self, lease: &Lease) -> Result<Option<DeliveryRecord>, Fault> {
        Ok(self.inner().guarded(lease).map(|row| row.record.clone()))
    }

    async fn cursor(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<Cursor>, Fault> {
        Ok(self.inner().cursors.get(&(flow, dataset.clone())).cloned())
    }

    async fn plan(&self, delivery: DeliveryId) -> Result<Option<ExportPlan>, Fault> {
        let inner = self.inner();
        let row = inner
            .rows
            .values()
            .find(|row| row.record.id == delivery && row.record.state == DeliveryState::Succeeded);
        Ok(row.and_then(|row| row.record.plan.clone()))
    }

    async fn seen(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<SeenFolder>, Fault> {
        Ok(self.inner().seen.get(&(flow, dataset.clone())).cloned())
    }

    async fn begin_attempt(&self, lease: &Lease, attempt: &Attempt) -> Result<Applied, Fault> {
        self.write(|inner| {
            let row = inner.guarded(lease);
            let row = row.filter(|row| row.record.state == DeliveryState::Executing);
            row.map_or(Applied::Fenced, |row| {
                row.record.attempts.push(attempt.clone());
                Applied::Done
            })
        })
        .await
    }

    async fn save_handle(
        &self,
        lease: &Lease,
        attempt: AttemptId,
        handle: &StageHandle,
    ) -> Result<Applied, Fault> {
        self.write(|inner| {
            inner.guarded(lease).map_or(Applied::Fenced, |row| {
                let known = row
                    .record
                    .attempts
                    .iter_mut()
                    .find(|it| it.id == attempt)
                    .unwrap();
                known.handle = Some(handle.clone());
                Applied::Done
            })
        })
        .await
    }

    async fn record(&self, lease: &Lease, winner: &Winner) -> Result<Recorded, Fault> {
        self.write(|inner| {
            let row = inner.guarded(lease);
            let row = row.filter(|row| row.record.state == DeliveryState::Executing);
            let Some(row) = row else {
                return Recorded::Fenced;
            };
            if row.record.winners.iter().any(|it| it.task == winner.task) {
                return Recorded::Lost;
            }
            row.record.winners.push(winner.clone());
            Recorded::Won
        })
        .await
    }

    async fn discarded(&self, lease: &Lease, attempt: AttemptId) -> Result<Applied, Fault> {
        self.write(|inner| {
            inner.guarded(lease).map_or(Applied::Fenced, |row| {
                let known = row
                    .record
                    .attempts
                    .iter_mut()
                    .find(|it| it.id == attempt)
                    .unwrap();
                known.discarded = true;
                Applied::Done
            })
        })
        .await
    }

    async fn apply(&self, lease: &Lease, transition: &Transition) -> Result<Applied, Fault> {
        let now = self.clock.now();
        self.write(|inner| inner.apply(lease, transition, now))
            .await
    }

    async fn leftovers(&self, before: Millis, limit: u32) -> Result<Vec<Leftover>, Fault> {
        let inner = self.inner();
        let ended = inner
            .rows
            .values()
            .filter(|row| row.ended_at.is_some_and(|at| at < before));
        let left = ended.map(|row| {
            let record = &row.record;
            let won = |id| record.winners.iter().any(|it| it.attempt == id);
            let delivered = record.state == DeliveryState::Succeeded;
            let kept = record
                .attempts
                .iter()
                .filter(|it| !(it.discarded || (delivered && won(it.id))));
            Leftover {
                delivery: record.id,
                run: record.run.id,
                sink: record.run.spec.sink.clone(),
                attempts: kept.cloned().collect(),
            }
        });
        let left = left.filter(|it| !it.attempts.is_empty());
        Ok(left.take(usize::try_from(limit).unwrap()).collect())
    }

    async fn swept(&self, delivery: DeliveryId, attempt: AttemptId) -> Result<(), Fault> {
        self.write(|inner| {
            let row = inner.rows.get_mut(&delivery).unwrap();
            row.record
                .attempts
                .iter_mut()
                .find(|it| it.id == attempt)
                .unwrap()
                .discarded = true;
        })
        .await
    }
}

fn not_faked<T>() -> Result<T, Fault> {
    Err(Fault::new(ErrorCode::Internal, "this fake only gets"))
}

#[async_trait]
impl ResourceStore for MemoryStore {
    async fn get(
        &self,
        _tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
    ) -> Result<Option<Resource>, Fault> {
        Ok(self.inner().resources.get(&(kind, id.clone())).cloned())
    }

    async fn list(
        &self,
        _tenant: &Tenant,
        _kind: ResourceKind,
        _query: &ResourceQuery,
        _page: &PageRequest,
    ) -> Result<Page<Resource>, Fault> {
        not_faked()
    }

    async fn count(
        &self,
        _tenant: &Tenant,
        _kind: ResourceKind,
        _query: &ResourceQuery,
    ) -> Result<u64, Fault> {
        not_faked()
    }

    async fn insert(&self, resource: &Resource, _by: &Actor) -> Result<(), Fault> {
        let key = (resource.kind(), resource.id.clone());
        self.inner().resources.insert(key, resource.clone());
        Ok(())
    }

    async fn replace(
        &self,
        _resource: &Resource,
        _expected: Revision,
        _by: &Actor,
    ) -> Result<Replaced, Fault> {
        not_faked()
    }

    async fn delete(
        &self,
        _tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
        _by: &Actor,
    ) -> Result<bool, Fault> {
        Ok(self.inner().resources.remove(&(kind, id.clone())).is_some())
    }

    async fn flows_using(
        &self,
        _tenant: &Tenant,
        _kind: ResourceKind,
        _id: &ResourceId,
    ) -> Result<Vec<ResourceId>, Fault> {
        not_faked()
    }
}
