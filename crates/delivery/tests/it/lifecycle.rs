//! What happens when nothing goes wrong, and when people intervene.

use std::time::Duration;

use offtake_model::plan::PlanMode;
use offtake_model::{Actor, DeliveryState, ErrorCode, Manifest, ResourceKind, Run, RunId, RunKind};
use offtake_ports::{Clock, DeliveryJournal, DeliveryQueue, Enqueued, ResourceStore, Tick};

use crate::scenario::{START, World, dataset, tenant};

const THREE_HOURS: Duration = Duration::from_hours(3);

#[tokio::test]
async fn a_due_flow_is_delivered_with_both_manifests_and_its_cursor_moves() {
    let world = World::new(3).await;
    let _process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    world.exactly_once(3);
    let documented = world.place.keys(&world.sink());
    assert_eq!(
        documented
            .iter()
            .filter(|key| key.contains("/manifest-"))
            .count(),
        1
    );
    let metrics = world.row(|row| row.metrics).unwrap();
    assert_eq!((metrics.input_rows, metrics.output_rows), (30, 30));
    assert_eq!((metrics.input_files, metrics.output_files), (3, 3));
    assert_eq!(world.place.staged(), 0);
}

#[tokio::test]
async fn the_next_occurrence_delivers_only_what_was_appended() {
    let world = World::new(2).await;
    let _process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    world.lake.append(3);
    world.pass(THREE_HOURS).await;
    world
        .until("second delivery", |world| world.manifests().len() == 2)
        .await;
    world.exactly_once(5);
    let modes: Vec<PlanMode> = world.manifests().iter().map(|it| it.mode).collect();
    assert_eq!(modes, [PlanMode::Full, PlanMode::Incremental]);
}

#[tokio::test]
async fn a_nudge_starts_a_run_that_was_asked_for_without_waiting_for_the_tick() {
    let world = World::new(1).await;
    let process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    world.lake.append(1);
    let mut run = world.record().run;
    run.kind = RunKind::Now;
    run.trigger_key = "now:please".to_owned();
    run.id = RunId::derive(run.flow, &run.trigger_key);
    let asked = world
        .store
        .enqueue(&Tick {
            run,
            schedule: None,
            by: None,
        })
        .await
        .unwrap();
    assert_eq!(asked, Enqueued::Inserted);
    process.service.nudge();
    world.settle().await;
    world.settle().await;
    world.exactly_once(2);
}

#[tokio::test]
async fn a_replay_sends_the_past_range_again_and_moves_no_cursor() {
    let world = World::new(2).await;
    let process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    let first = world.record();
    world.lake.append(3);
    world.pass(THREE_HOURS).await;
    world
        .until("second delivery", |world| world.manifests().len() == 2)
        .await;
    let cursor = world
        .store
        .cursor(first.run.flow, &first.dataset)
        .await
        .unwrap();

    let mut run = first.run.clone();
    run.kind = RunKind::Replay;
    run.trigger_key = format!("{}k", Run::replay_trigger(first.run.id));
    run.id = RunId::derive(run.flow, &run.trigger_key);
    let tick = Tick {
        run: run.clone(),
        schedule: None,
        by: None,
    };
    let asked = world.store.enqueue(&tick).await.unwrap();
    assert_eq!(asked, Enqueued::Inserted);
    process.service.nudge();
    world
        .until("the replay", |world| world.manifests().len() == 3)
        .await;

    let manifests = world.manifests();
    let of = |id: RunId| manifests.iter().find(|it| it.run == id).unwrap();
    let (past, replay) = (of(first.run.id), of(run.id));
    let files = |manifest: &Manifest| -> Vec<(u64, u64, String)> {
        let files = manifest.files.iter();
        files
            .map(|it| (it.size, it.rows, it.sha256.clone()))
            .collect()
    };
    assert_eq!(files(past), files(replay), "byte-identical files");
    assert_eq!((past.seq, &past.to), (replay.seq, &replay.to));
    assert_eq!(replay.kind, RunKind::Replay);
    assert!(
        past.files
            .iter()
            .all(|it| !replay.files.iter().any(|other| other.key == it.key))
    );
    let after = world.store.cursor(run.flow, &first.dataset).await.unwrap();
    assert_eq!(after, cursor);
}

#[tokio::test]
async fn missed_occurrences_are_covered_by_one_run_of_the_latest() {
    let world = World::new(1).await;
    world
        .clock
        .advance(THREE_HOURS * 10 + Duration::from_mins(1));
    let _process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    let late = world.record().run.occurrence.since(START);
    assert_eq!(late, i64::try_from((THREE_HOURS * 10).as_millis()).unwrap());
    assert_eq!(world.store.inner().runs.len(), 1);
}

#[tokio::test]
async fn a_delivery_without_rows_has_manifests_and_no_files() {
    let world = World::new(0).await;
    let _process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    assert_eq!(world.manifests().len(), 1);
    assert_eq!(world.files(), Vec::<String>::new());
}

#[tokio::test]
async fn the_manifest_stands_before_the_delivery_succeeds() {
    let world = World::new(2).await;
    let _process = world.start();
    let mut seen_without_success = false;
    world
        .until("success", |world| {
            let succeeded = world.states() == [DeliveryState::Succeeded];
            if succeeded {
                assert_eq!(world.manifests().len(), 1);
            }
            succeeded
        })
        .await;
    for (_, state) in &world.store.inner().history {
        seen_without_success |= *state == DeliveryState::Manifesting;
    }
    assert!(seen_without_success);
}

#[tokio::test]
async fn cancel_leaves_nothing_visible_and_nothing_staged() {
    let world = World::new(3).await;
    world.engine.shut();
    let _process = world.start();
    world
        .until("tasks run", |world| {
            world.place.staged() > 0 && !world.engine.tried().is_empty()
        })
        .await;
    let run = world.record().run.id;
    assert!(world.store.request_cancel(&tenant(), run).await.unwrap());
    world.reaches(DeliveryState::Cancelled).await;
    assert_eq!(world.place.keys(&world.sink()), Vec::<String>::new());
    assert_eq!(world.place.staged(), 0);
    assert_eq!(world.record().fault.unwrap().code, ErrorCode::Cancelled);
}

#[tokio::test]
async fn a_dataset_that_was_deleted_fails_the_delivery_with_its_code() {
    let world = World::new(1).await;
    world
        .store
        .delete(
            &tenant(),
            ResourceKind::Dataset,
            &dataset().into(),
            &Actor::service(tenant(), "test"),
        )
        .await
        .unwrap();
    let _process = world.start();
    world.reaches(DeliveryState::Failed).await;
    assert_eq!(
        world.record().fault.unwrap().code,
        ErrorCode::DatasetDeleted
    );
}

#[tokio::test]
async fn shutdown_lets_tasks_finish_keeps_winners_and_releases_the_lease() {
    let world = World::new(4).await;
    world.engine.shut();
    let process = world.start();
    world
        .until("two tasks run", |world| world.place.staged() == 2)
        .await;
    process.stop();
    world.settle().await;
    assert!(!process.ended());
    world.engine.open();
    world.until("it ended", |_| process.ended()).await;
    let record = world.record();
    assert_eq!(
        (record.state, record.winners.len()),
        (DeliveryState::Executing, 2)
    );
    assert!(world.row(|row| row.lease.is_none()));
    let _next = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    world.exactly_once(4);
    assert!(world.engine.tried().values().all(|tried| *tried == 1));
}

#[tokio::test]
async fn shutdown_drops_what_does_not_finish_in_time() {
    let world = World::new(2).await;
    world.engine.shut();
    let process = world.start();
    world
        .until("tasks run", |world| world.place.staged() == 2)
        .await;
    process.stop();
    let asked_at = world.clock.now();
    world.until("it ended", |_| process.ended()).await;
    assert_eq!(world.clock.now().since(asked_at), 25_000);
    assert!(world.row(|row| row.lease.is_none()));
    assert_eq!(world.record().attempt, 0);
}

#[tokio::test]
async fn a_long_task_keeps_its_lease_while_it_waits_for_a_slot() {
    let world = World::new(4).await;
    world.engine.shut();
    let _process = world.start();
    world
        .until("two tasks run", |world| world.place.staged() == 2)
        .await;
    world.pass(Duration::from_secs(500)).await;
    assert_eq!(world.row(|row| row.epoch), 1);
    world.engine.open();
    world.reaches(DeliveryState::Succeeded).await;
    assert_eq!(world.row(|row| row.epoch), 1);
}
