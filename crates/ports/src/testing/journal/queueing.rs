//! Runs, claims, leases and cancellation.
//!
//! The one law: whoever asks, and however often, each delivery has one holder at a time and each trigger one run.
//!
//! budget: one suite, read as one list of behaviours.

use std::collections::BTreeSet;
use std::time::Duration;

use offtake_model::delivery::AbortThen;
use offtake_model::{DeliveryState, ErrorCode, Millis, ResourceKind, Revision, Run, RunKind};

use super::Place;
use super::fixture::{
    DATASETS, START, TTL, abort, actor, commit, cursor_to, run_of, save_plan, tenant, wait_until,
};
use super::world::{World, stored_flow};
use crate::journal::{Applied, Enqueued, Renewed, ScheduleMove, Tick};
use crate::resources::PageRequest;
use crate::runs::RunQuery;

pub(super) async fn check(place: Place<'_>) {
    one_run_per_trigger(place).await;
    a_tick_moves_the_schedule_but_not_the_revision(place).await;
    a_stale_tick_inserts_nothing(place).await;
    a_run_of_a_missing_flow_is_stale(place).await;
    due_flows_come_earliest_first(place).await;
    waiting_occurrences_coalesce(place).await;
    a_full_resync_and_an_adhoc_run_never_coalesce(place).await;
    one_delivery_of_a_flow_and_dataset_is_active(place).await;
    epochs_grow_with_every_claim(place).await;
    eight_claimers_get_each_delivery_once(place).await;
    a_stale_lease_cannot_be_renewed_or_released(place).await;
    a_wait_returns_to_where_it_was(place).await;
    cancelling_ends_what_is_queued_and_marks_what_runs(place).await;
    a_deleted_flow_is_hidden_until_its_deliveries_end(place).await;
    a_flow_without_deliveries_is_gone_at_once(place).await;
    the_next_wake_is_the_earliest(place).await;
}

async fn one_run_per_trigger(place: Place<'_>) {
    let world = World::new(place).await;
    let flow = world.add_flow(1).await;
    let run = run_of(flow, RunKind::Scheduled, "sched:1", &DATASETS);
    assert_eq!(world.enqueue(&run).await, Enqueued::Inserted);
    assert_eq!(world.enqueue(&run).await, Enqueued::Exists);
    let world = world.killed().await;
    assert_eq!(world.enqueue(&run).await, Enqueued::Exists);
    let view = world
        .store
        .runs
        .get(&tenant(), run.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.run, run);
    let datasets: Vec<&str> = view
        .deliveries
        .iter()
        .map(|it| it.dataset.as_str())
        .collect();
    assert_eq!(
        datasets, DATASETS,
        "one delivery per dataset, in their order"
    );
    let count = world
        .store
        .runs
        .count(&tenant(), &RunQuery::default())
        .await;
    assert_eq!(count, Ok(1));
}

fn tick(run: &Run, expected: u64, next_due_at: Option<Millis>) -> Tick {
    Tick {
        run: run.clone(),
        schedule: Some(ScheduleMove {
            expected: Revision(expected),
            next_due_at,
        }),
        by: None,
    }
}

async fn a_tick_moves_the_schedule_but_not_the_revision(place: Place<'_>) {
    let world = World::new(place).await;
    let flow = world.add_flow(1).await;
    let run = run_of(flow, RunKind::Scheduled, "sched:1", &DATASETS);
    let next = START.plus_millis(1_000);
    let enqueued = world.store.queue.enqueue(&tick(&run, 1, Some(next))).await;
    assert_eq!(enqueued, Ok(Enqueued::Inserted));
    let (revision, stored) = stored_flow(&world, flow).await;
    assert_eq!((revision, stored.next_due_at), (Revision(1), Some(next)));
    let again = world.store.queue.enqueue(&tick(&run, 1, None)).await;
    assert_eq!(again, Ok(Enqueued::Exists));
    let (_, stored) = stored_flow(&world, flow).await;
    assert_eq!(
        stored.next_due_at, None,
        "an occurrence that ran must not come back for ever"
    );
}

async fn a_stale_tick_inserts_nothing(place: Place<'_>) {
    let world = World::new(place).await;
    let flow = world.add_flow(1).await;
    let run = run_of(flow, RunKind::Scheduled, "sched:1", &DATASETS);
    let enqueued = world.store.queue.enqueue(&tick(&run, 2, None)).await;
    assert_eq!(enqueued, Ok(Enqueued::Stale));
    assert_eq!(world.store.runs.get(&tenant(), run.id).await, Ok(None));
    let (_, stored) = stored_flow(&world, flow).await;
    assert_eq!(stored.next_due_at, Some(START));
}

async fn a_run_of_a_missing_flow_is_stale(place: Place<'_>) {
    let world = World::new(place).await;
    let run = run_of(super::fixture::flow_id(9), RunKind::Now, "now:1", &DATASETS);
    assert_eq!(world.enqueue(&run).await, Enqueued::Stale);
    assert_eq!(world.claim().await, None);
}

async fn due_flows_come_earliest_first(place: Place<'_>) {
    let world = World::new(place).await;
    let late = world.add_flow(1).await;
    let early = world.add_flow(2).await;
    let run = run_of(late, RunKind::Scheduled, "sched:1", &DATASETS);
    let later = START.plus_millis(10);
    let enqueued = world.store.queue.enqueue(&tick(&run, 1, Some(later))).await;
    assert_eq!(enqueued, Ok(Enqueued::Inserted));
    let due = |now, limit| {
        let queue = &world.store.queue;
        async move {
            let flows = queue.due(now, limit).await.unwrap();
            flows.into_iter().map(|flow| flow.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(due(START.plus_millis(-1), 9).await, []);
    assert_eq!(due(START, 9).await, [early.into()]);
    assert_eq!(due(later, 9).await, [early.into(), late.into()]);
    assert_eq!(due(later, 1).await, [early.into()]);
}

async fn waiting_occurrences_coalesce(place: Place<'_>) {
    let world = World::new(place).await;
    let flow = world.add_flow(1).await;
    let first = run_of(flow, RunKind::Scheduled, "sched:1", &DATASETS[..1]);
    let second = run_of(flow, RunKind::Scheduled, "sched:2", &DATASETS);
    assert_eq!(world.enqueue(&first).await, Enqueued::Inserted);
    assert_eq!(world.enqueue(&second).await, Enqueued::Inserted);
    let view = world
        .store
        .runs
        .get(&tenant(), second.id)
        .await
        .unwrap()
        .unwrap();
    let skipped = &view.deliveries[0];
    assert_eq!(skipped.state, DeliveryState::Skipped);
    assert_eq!(
        skipped.fault.as_ref().map(|it| it.code),
        Some(ErrorCode::Overlapped)
    );
    assert_eq!(skipped.completed_at, Some(START));
    assert_eq!(
        view.deliveries[1].state,
        DeliveryState::Queued,
        "the other dataset waits for nobody"
    );
    let lease = world.claim().await.unwrap();
    assert_eq!(world.load(&lease).await.run, first);
    let mut edited = run_of(flow, RunKind::Scheduled, "sched:4", &DATASETS[1..]);
    "elsewhere".clone_into(&mut edited.spec.path);
    assert_eq!(world.enqueue(&edited).await, Enqueued::Inserted);
    let view = world
        .store
        .runs
        .get(&tenant(), edited.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        view.deliveries[0].state,
        DeliveryState::Queued,
        "what waits goes to another place"
    );
    let third = run_of(flow, RunKind::Scheduled, "sched:3", &DATASETS[..1]);
    assert_eq!(world.enqueue(&third).await, Enqueued::Inserted);
    let view = world
        .store
        .runs
        .get(&tenant(), third.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        view.deliveries[0].state,
        DeliveryState::Queued,
        "an active delivery covers nothing later"
    );
}

async fn a_full_resync_and_an_adhoc_run_never_coalesce(place: Place<'_>) {
    let world = World::new(place).await;
    let flow = world.add_flow(1).await;
    let adhoc = run_of(flow, RunKind::Adhoc, "adhoc:1", &DATASETS[..1]);
    let first = run_of(flow, RunKind::Scheduled, "sched:1", &DATASETS[..1]);
    let more = run_of(flow, RunKind::Adhoc, "adhoc:2", &DATASETS[..1]);
    let full = Run {
        full: true,
        ..run_of(flow, RunKind::Now, "now:1", &DATASETS[..1])
    };
    for run in [&adhoc, &first, &more, &full] {
        assert_eq!(world.enqueue(run).await, Enqueued::Inserted);
        let view = world
            .store
            .runs
            .get(&tenant(), run.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            view.deliveries[0].state,
            DeliveryState::Queued,
            "{}",
            run.trigger_key
        );
    }
}

async fn one_delivery_of_a_flow_and_dataset_is_active(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    let flow = super::fixture::flow_id(1);
    let next = run_of(flow, RunKind::Now, "second", &DATASETS[..1]);
    assert_eq!(world.enqueue(&next).await, Enqueued::Inserted);
    assert_eq!(world.claim().await, None);
    world
        .done(&lease, &wait_until(START.plus_millis(1_000)))
        .await;
    assert_eq!(
        world.claim().await,
        None,
        "a waiting delivery keeps its place"
    );
    world.clock.advance(Duration::from_secs(1));
    let lease = world.claim().await.unwrap();
    world.up_to_manifest(&lease).await;
    assert_eq!(world.claim().await, None);
    world.done(&lease, &commit(Some(cursor_to(3, 1)))).await;
    let lease = world.claim().await.unwrap();
    assert_eq!(world.load(&lease).await.run, next);
}

async fn epochs_grow_with_every_claim(place: Place<'_>) {
    let world = World::new(place).await;
    let first = world.claimed(RunKind::Now).await;
    assert_eq!(world.claim().await, None, "a live lease is respected");
    world.clock.advance(TTL);
    let second = world.claim().await.unwrap();
    assert!(second.epoch > first.epoch, "after expiry");
    assert_eq!(world.store.queue.release(&second).await, Ok(Applied::Done));
    let third = world.claim().await.unwrap();
    assert!(third.epoch > second.epoch, "after release");
    assert_eq!(world.store.queue.void_leases().await, Ok(1));
    let fourth = world.claim().await.unwrap();
    assert!(fourth.epoch > third.epoch, "after all leases were voided");
    let world = world.killed().await;
    assert_eq!(world.claim().await, None, "leases outlive the process");
    assert_eq!(world.load(&fourth).await.state, DeliveryState::Planning);
}

async fn eight_claimers_get_each_delivery_once(place: Place<'_>) {
    let world = World::new(place).await;
    for number in 0..20 {
        let flow = world.add_flow(number).await;
        let run = run_of(flow, RunKind::Now, "first", &DATASETS);
        assert_eq!(world.enqueue(&run).await, Enqueued::Inserted);
    }
    let claimers = (0..8).map(|_| async {
        let mut leases = Vec::new();
        while let Some(lease) = world.claim().await {
            leases.push(lease.delivery);
        }
        leases
    });
    let claimed = futures_util::future::join_all(claimers).await.concat();
    let different: BTreeSet<_> = claimed.iter().collect();
    assert_eq!((claimed.len(), different.len()), (40, 40));
}

async fn a_stale_lease_cannot_be_renewed_or_released(place: Place<'_>) {
    let world = World::new(place).await;
    let first = world.claimed(RunKind::Now).await;
    world.clock.advance(Duration::from_secs(30));
    let Renewed::Done { lease, .. } = world.store.queue.renew(&first, TTL).await.unwrap() else {
        panic!("a live lease can be renewed")
    };
    assert_eq!(lease.expires_at, START.plus_millis(90_000));
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(world.claim().await, None, "a renewed lease lasts");
    world.clock.advance(Duration::from_secs(29));
    let second = world.claim().await.unwrap();
    assert_eq!(
        world.store.queue.renew(&lease, TTL).await,
        Ok(Renewed::Fenced)
    );
    assert_eq!(world.store.queue.release(&lease).await, Ok(Applied::Fenced));
    assert_eq!(world.store.journal.load(&lease).await, Ok(None));
    let record = world.load(&second).await;
    assert_eq!(record.state, DeliveryState::Planning);
    assert_eq!(
        record.claims_lost, 1,
        "the first claim ended without a word"
    );
    world.done(&second, &save_plan(&second)).await;
    assert_eq!(world.load(&second).await.claims_lost, 0, "progress");
}

async fn a_wait_returns_to_where_it_was(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.done(&lease, &save_plan(&lease)).await;
    let winner = world.win(&lease, 0, 1).await;
    world
        .done(&lease, &wait_until(START.plus_millis(500)))
        .await;
    assert_eq!(
        world.store.queue.next_wake().await,
        Ok(Some(START)),
        "the flow is due first"
    );
    let world = world.killed().await;
    assert_eq!(world.claim().await, None);
    world.clock.advance(Duration::from_millis(500));
    let lease = world.claim().await.unwrap();
    let record = world.load(&lease).await;
    assert_eq!(record.state, DeliveryState::Executing);
    assert_eq!((record.attempt, record.credential_waits), (1, 0));
    assert_eq!(record.winners, [winner], "what was sealed stays sealed");
    assert_eq!(
        record.fault.map(|it| it.code),
        Some(ErrorCode::DestinationUnreachable)
    );
}

async fn cancelling_ends_what_is_queued_and_marks_what_runs(place: Place<'_>) {
    let world = World::new(place).await;
    let flow = world.add_flow(1).await;
    let run = run_of(flow, RunKind::Now, "first", &DATASETS);
    assert_eq!(world.enqueue(&run).await, Enqueued::Inserted);
    let lease = world.claim().await.unwrap();
    let queue = &world.store.queue;
    assert_eq!(queue.request_cancel(&tenant(), run.id).await, Ok(true));
    let view = world
        .store
        .runs
        .get(&tenant(), run.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.deliveries[1].state, DeliveryState::Cancelled);
    assert!(world.load(&lease).await.cancel_requested);
    let renewed = queue.renew(&lease, TTL).await.unwrap();
    assert!(matches!(
        renewed,
        Renewed::Done {
            cancel_requested: true,
            ..
        }
    ));
    world
        .done(&lease, &wait_until(START.plus_millis(1_000_000)))
        .await;
    assert_eq!(queue.request_cancel(&tenant(), run.id).await, Ok(true));
    let lease = world.claim().await.unwrap();
    world.done(&lease, &abort(AbortThen::Cancelled)).await;
    world
        .done(&lease, &offtake_model::Transition::FinishAbort)
        .await;
    assert_eq!(queue.request_cancel(&tenant(), run.id).await, Ok(false));
    assert_eq!(world.claim().await, None);
    let mut other = tenant();
    other.sandbox.0.push('2');
    assert_eq!(queue.request_cancel(&other, run.id).await, Ok(false));
}

async fn a_deleted_flow_is_hidden_until_its_deliveries_end(place: Place<'_>) {
    let world = World::new(place).await;
    let flow = world.add_flow(1).await;
    let run = run_of(flow, RunKind::Now, "first", &DATASETS);
    assert_eq!(world.enqueue(&run).await, Enqueued::Inserted);
    let lease = world.claim().await.unwrap();
    let (tenant, id) = (tenant(), flow.into());
    let resources = &world.store.resources;
    assert_eq!(
        resources
            .delete(&tenant, ResourceKind::Flow, &id, &actor())
            .await,
        Ok(true)
    );
    assert_eq!(
        resources
            .delete(&tenant, ResourceKind::Flow, &id, &actor())
            .await,
        Ok(false)
    );
    let gone = resources.get(&tenant, ResourceKind::Flow, &id).await;
    assert_eq!(gone, Ok(None));
    assert_eq!(world.store.queue.due(START, 9).await, Ok(Vec::new()));
    let later = run_of(flow, RunKind::Now, "second", &DATASETS);
    assert_eq!(world.enqueue(&later).await, Enqueued::Stale);
    assert!(world.load(&lease).await.cancel_requested);
    world.done(&lease, &abort(AbortThen::Cancelled)).await;
    world
        .done(&lease, &offtake_model::Transition::FinishAbort)
        .await;
    let page = PageRequest {
        limit: 9,
        after: None,
        offset: 0,
    };
    let runs = world
        .store
        .runs
        .list(&tenant, &RunQuery::default(), &page)
        .await
        .unwrap();
    let states: Vec<_> = runs.items[0].deliveries.iter().map(|it| it.state).collect();
    assert_eq!(
        states,
        [DeliveryState::Cancelled; 2],
        "the runs outlive their flow"
    );
    assert_eq!(world.add_flow(1).await, flow, "nothing of the flow is left");
}

async fn a_flow_without_deliveries_is_gone_at_once(place: Place<'_>) {
    let world = World::new(place).await;
    let id = world.add_flow(1).await.into();
    let resources = &world.store.resources;
    let deleted = resources
        .delete(&tenant(), ResourceKind::Flow, &id, &actor())
        .await;
    assert_eq!(deleted, Ok(true));
    world.add_flow(1).await;
}

async fn the_next_wake_is_the_earliest(place: Place<'_>) {
    let world = World::new(place).await;
    assert_eq!(world.store.queue.next_wake().await, Ok(None));
    let lease = world.claimed(RunKind::Now).await;
    assert_eq!(world.store.queue.next_wake().await, Ok(Some(START)));
    world.done(&lease, &wait_until(START.plus_millis(-5))).await;
    assert_eq!(
        world.store.queue.next_wake().await,
        Ok(Some(START.plus_millis(-5)))
    );
}
