//! Quotas: what they refuse, and what they put off.

use std::sync::Arc;
use std::time::Duration;

use offtake_model::delivery::AbortThen;
use offtake_model::{ErrorCode, Fault, Lease, OrgId, Quotas, RunKind, SandboxName, Transition};
use offtake_ports::testing::ManualClock;
use offtake_ports::testing::journal::fixture::{flow_id, flow_resource, run_of};
use offtake_ports::{
    Applied, DeliveryJournal, DeliveryQueue, Enqueued, IdentityStore, Organisation, ResourceStore,
    Sandbox, Tick,
};
use offtake_store::Store;

use crate::bed::{Bed, START, actor, tenant};
use crate::identity::client;

const TTL: Duration = Duration::from_mins(1);

struct World {
    _bed: Bed,
    clock: Arc<ManualClock>,
    store: Store,
}

impl World {
    async fn new(quotas: Quotas) -> Self {
        let bed = Bed::new();
        let clock = Arc::new(ManualClock::new(START));
        let store = Store::open(bed.path(), Arc::<ManualClock>::clone(&clock))
            .await
            .unwrap();
        let mut org = Organisation {
            id: tenant("prod").org,
            name: "Org".to_owned(),
            created_at: START,
            quotas: Quotas::default(),
        };
        let sandbox = Sandbox {
            id: "s".to_owned(),
            org: org.id.clone(),
            name: SandboxName("prod".to_owned()),
            title: "Prod".to_owned(),
            is_default: true,
            created_at: START,
        };
        let first = client(&org.id, "one");
        assert_eq!(
            store.bootstrap(&org, &sandbox, &first, &actor()).await,
            Ok(true)
        );
        org.quotas = quotas;
        store.replace_organisation(&org, &actor()).await.unwrap();
        assert_eq!(store.organisation(&org.id).await.unwrap(), Some(org));
        Self {
            _bed: bed,
            clock,
            store,
        }
    }

    /// A run of a flow of its own.
    async fn run(&self, number: u32, by_client: bool) -> Result<Enqueued, Fault> {
        let flow = flow_id(number);
        self.store
            .insert(&flow_resource(flow), &actor())
            .await
            .unwrap();
        let tick = Tick {
            run: run_of(flow, RunKind::Now, "first", &["a"]),
            schedule: None,
            by: by_client.then(actor),
        };
        self.store.enqueue(&tick).await
    }

    async fn claim(&self) -> Option<Lease> {
        self.store.claim("owner", TTL).await.unwrap()
    }

    async fn fail(&self, lease: &Lease) {
        let fault = Fault::new(ErrorCode::DestinationFull, "full");
        let then = AbortThen::Failed;
        for transition in [
            Transition::StartAbort { then, fault },
            Transition::FinishAbort,
        ] {
            let applied = self.store.apply(lease, &transition).await;
            assert_eq!(applied, Ok(Applied::Done));
        }
    }

    fn org() -> OrgId {
        tenant("prod").org
    }
}

#[tokio::test]
async fn one_flow_too_many_is_refused_and_leaves_nothing() {
    let world = World::new(Quotas {
        flows: Some(2),
        ..Quotas::default()
    })
    .await;
    for number in 1..=2 {
        world
            .store
            .insert(&flow_resource(flow_id(number)), &actor())
            .await
            .unwrap();
    }
    let third = flow_resource(flow_id(3));
    let refused = world.store.insert(&third, &actor()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
    assert!(
        refused.message.contains("has 2 flows and may have 2"),
        "{}",
        refused.message
    );
    assert_eq!(world.store.usage(&World::org()).await.unwrap().flows, 2);
    let (kind, id) = (third.kind(), flow_resource(flow_id(1)).id);
    assert_eq!(
        world
            .store
            .delete(&tenant("prod"), kind, &id, &actor())
            .await,
        Ok(true)
    );
    world.store.insert(&third, &actor()).await.unwrap();
}

#[tokio::test]
async fn no_flow_at_all_is_a_quota_too() {
    let world = World::new(Quotas {
        flows: Some(0),
        ..Quotas::default()
    })
    .await;
    let refused = world
        .store
        .insert(&flow_resource(flow_id(1)), &actor())
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
}

#[tokio::test]
async fn runs_beyond_the_quota_wait_for_one_to_end() {
    let world = World::new(Quotas {
        concurrent_runs: Some(1),
        ..Quotas::default()
    })
    .await;
    for number in 1..=2 {
        assert_eq!(world.run(number, true).await, Ok(Enqueued::Inserted));
    }
    let first = world.claim().await.unwrap();
    assert_eq!(world.claim().await, None, "the second run waits");
    assert_eq!(world.store.usage(&World::org()).await.unwrap().running, 1);
    world.fail(&first).await;
    let second = world.claim().await.unwrap();
    assert_ne!(first.delivery, second.delivery);
}

#[tokio::test]
async fn a_run_that_waits_for_its_retry_lets_another_begin() {
    let world = World::new(Quotas {
        concurrent_runs: Some(1),
        ..Quotas::default()
    })
    .await;
    for number in 1..=2 {
        assert_eq!(world.run(number, false).await, Ok(Enqueued::Inserted));
    }
    let first = world.claim().await.unwrap();
    let wait = Transition::Wait {
        fault: Fault::new(ErrorCode::DestinationFull, "full"),
        not_before: START.plus_millis(1),
    };
    assert_eq!(world.store.apply(&first, &wait).await, Ok(Applied::Done));
    let second = world.claim().await.unwrap();
    assert_ne!(first.delivery, second.delivery);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.claim().await, None, "the retry waits in its turn");
    world.fail(&second).await;
    assert_eq!(world.claim().await.unwrap().delivery, first.delivery);
}

#[tokio::test]
async fn a_lease_that_ran_out_counts_no_more() {
    let world = World::new(Quotas {
        concurrent_runs: Some(1),
        ..Quotas::default()
    })
    .await;
    for number in 1..=2 {
        assert_eq!(world.run(number, false).await, Ok(Enqueued::Inserted));
    }
    let first = world.claim().await.unwrap();
    world.clock.advance(TTL + Duration::from_secs(1));
    let resumed = world.claim().await.unwrap();
    assert_eq!(
        resumed.delivery, first.delivery,
        "what has begun is resumed first"
    );
}

#[tokio::test]
async fn without_bytes_left_nothing_begins_before_the_next_day() {
    let world = World::new(Quotas {
        bytes_per_day: Some(0),
        ..Quotas::default()
    })
    .await;
    let refused = world.run(1, true).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
    assert_eq!(
        world.run(2, false).await,
        Ok(Enqueued::Inserted),
        "the schedule is kept"
    );
    assert_eq!(world.claim().await, None);
    let mut org = world
        .store
        .organisation(&World::org())
        .await
        .unwrap()
        .unwrap();
    org.quotas.bytes_per_day = Some(1);
    world
        .store
        .replace_organisation(&org, &actor())
        .await
        .unwrap();
    assert!(
        world.claim().await.is_some(),
        "a higher quota holds at once"
    );
}
