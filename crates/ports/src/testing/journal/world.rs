//! The store under test in its small world, with the steps that many checks share.
//!
//! The one law: a step here must succeed; checks try for themselves what must not.

use std::sync::Arc;

use offtake_model::resource::Flow;
use offtake_model::{
    AttemptId, DeliveryRecord, FlowId, Lease, ResourceBody, ResourceKind, Revision, Run, RunKind,
    Transition, Winner,
};

use super::fixture::{
    DATASETS, START, TTL, actor, attempt, flow_id, flow_resource, point_of_no_return, run_of,
    save_plan, tenant, winner,
};
use super::{Adapters, JournalBed, Place};
use crate::journal::{Applied, Enqueued, Recorded, Tick};
use crate::testing::ManualClock;

/// A store under test with its clock.
pub(super) struct World {
    bed: Box<dyn JournalBed>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Adapters,
}

impl World {
    /// Opens a store over an empty place.
    pub(super) async fn new(place: Place<'_>) -> Self {
        let bed = place();
        let clock = Arc::new(ManualClock::new(START));
        let store = bed.open(Arc::clone(&clock)).await;
        Self { bed, clock, store }
    }

    /// Drops the store and opens it again.
    pub(super) async fn killed(self) -> Self {
        let Self { bed, clock, store } = self;
        drop(store);
        let store = bed.open(Arc::clone(&clock)).await;
        Self { bed, clock, store }
    }

    /// Inserts a flow.
    pub(super) async fn add_flow(&self, number: u32) -> FlowId {
        let flow = flow_id(number);
        self.store
            .resources
            .insert(&flow_resource(flow), &actor())
            .await
            .unwrap();
        flow
    }

    /// Enqueues a run that moves no schedule.
    pub(super) async fn enqueue(&self, run: &Run) -> Enqueued {
        let tick = Tick {
            run: run.clone(),
            schedule: None,
            by: None,
        };
        self.store.queue.enqueue(&tick).await.unwrap()
    }

    /// Claims a delivery for the suite's usual time.
    pub(super) async fn claim(&self) -> Option<Lease> {
        self.store.queue.claim("holder", TTL).await.unwrap()
    }

    /// Adds a flow with one run of one dataset and claims its delivery.
    pub(super) async fn claimed(&self, kind: RunKind) -> Lease {
        let flow = self.add_flow(1).await;
        let run = run_of(flow, kind, "first", &DATASETS[..1]);
        assert_eq!(self.enqueue(&run).await, Enqueued::Inserted);
        self.claim().await.unwrap()
    }

    /// Reads a delivery under a lease that must hold.
    pub(super) async fn load(&self, lease: &Lease) -> DeliveryRecord {
        self.store.journal.load(lease).await.unwrap().unwrap()
    }

    /// Applies a transition.
    pub(super) async fn apply(&self, lease: &Lease, transition: &Transition) -> Applied {
        self.store.journal.apply(lease, transition).await.unwrap()
    }

    /// Applies a transition that must not be fenced.
    pub(super) async fn done(&self, lease: &Lease, transition: &Transition) {
        let applied = self.apply(lease, transition).await;
        assert_eq!(applied, Applied::Done, "{transition:?} was refused");
    }

    /// Journals an attempt.
    pub(super) async fn begin(&self, lease: &Lease, task: u32, number: u32) -> AttemptId {
        let attempt = attempt(lease, task, number);
        let applied = self
            .store
            .journal
            .begin_attempt(lease, &attempt)
            .await
            .unwrap();
        assert_eq!(applied, Applied::Done);
        attempt.id
    }

    /// Journals an attempt at the task and records it as the winner.
    pub(super) async fn win(&self, lease: &Lease, task: u32, number: u32) -> Winner {
        let id = self.begin(lease, task, number).await;
        let winner = winner(lease.delivery, task, id);
        let recorded = self.store.journal.record(lease, &winner).await.unwrap();
        assert_eq!(recorded, Recorded::Won);
        winner
    }

    /// Brings a claimed delivery to the state just before its commit.
    pub(super) async fn up_to_manifest(&self, lease: &Lease) {
        self.done(lease, &save_plan(lease)).await;
        self.win(lease, 0, 900).await;
        self.win(lease, 1, 901).await;
        self.done(lease, &Transition::Freeze).await;
        self.done(lease, &point_of_no_return(1)).await;
    }
}

/// The flow as the store has it.
pub(super) async fn stored_flow(world: &World, flow: FlowId) -> (Revision, Flow) {
    let resource = world
        .store
        .resources
        .get(&tenant(), ResourceKind::Flow, &flow.into())
        .await
        .unwrap()
        .unwrap();
    let revision = resource.revision;
    match resource.body {
        ResourceBody::Flow(flow) => (revision, *flow),
        ResourceBody::Connection(_)
        | ResourceBody::Source(_)
        | ResourceBody::Target(_)
        | ResourceBody::Dataset(_) => panic!("a flow came back as something else"),
    }
}
