//! Backups of the database, and what a restored one holds back and lets go.

use std::path::Path;
use std::sync::Arc;

use offtake_model::delivery::AbortThen;
use offtake_model::plan::PlanMode;
use offtake_model::{
    CatchUp, DatasetId, DeliveryId, DeliveryState, ErrorCode, FoundManifest, HeldFlow, Lease,
    Manifest, Resolution, Run, RunKind, Schema, Transition,
};
use offtake_ports::testing::ManualClock;
use offtake_ports::testing::journal::fixture::{
    self, DATASETS, TTL, cursor_to, flow_id, flow_resource, plan, position, run_of, save_plan,
};
use offtake_ports::{
    Applied, DeliveryJournal, DeliveryQueue, Enqueued, Recorded, RecoveryStore, ResourceStore,
    RunLog, Tick,
};
use offtake_store::{Restoring, Store, check_copy, copy_database};
use tempfile::TempDir;

use crate::bed::{Bed, START, actor};

/// A store with a flow, its first run enqueued.
async fn filled(bed: &Bed) -> (Store, Run) {
    let store = bed.store().await;
    store
        .insert(&flow_resource(flow_id(1)), &actor())
        .await
        .unwrap();
    let run = run_of(flow_id(1), RunKind::Now, "first", &DATASETS[..1]);
    enqueue(&store, &run).await;
    (store, run)
}

async fn enqueue(store: &Store, run: &Run) {
    let tick = Tick {
        run: run.clone(),
        schedule: None,
        by: None,
    };
    assert_eq!(store.enqueue(&tick).await, Ok(Enqueued::Inserted));
}

async fn claim(store: &Store) -> Option<Lease> {
    store.claim("holder", TTL).await.unwrap()
}

/// The data directory restored of the bed's database, and its store.
async fn restored(bed: &Bed) -> (TempDir, Store) {
    let places = tempfile::tempdir().unwrap();
    let (copy, data) = (places.path().join("copy"), places.path().join("data"));
    copy_database(bed.path(), &copy).await.unwrap();
    assert_eq!(check_copy(&copy).await.unwrap().flows, 1);
    restore(&copy, &data).await;
    let clock = Arc::new(ManualClock::new(START.plus_millis(1_000)));
    let store = Store::open(&data, clock).await.unwrap();
    (places, store)
}

async fn restore(copy: &Path, data: &Path) {
    let restoring = Restoring::begin(data).unwrap();
    std::fs::copy(copy, restoring.database()).unwrap();
    let clock = Arc::new(ManualClock::new(START));
    assert_eq!(restoring.finish(clock).await.unwrap(), 1);
}

async fn the_held(store: &Store) -> HeldFlow {
    let mut held = store.held().await.unwrap();
    assert_eq!(held.len(), 1);
    held.remove(0)
}

/// A manifest of that run, as it would lie at the destination.
fn manifest(run: &Run, seq: u64) -> FoundManifest {
    let dataset = DatasetId(DATASETS[0].to_owned());
    let delivery = DeliveryId::derive(run.id, &dataset);
    FoundManifest {
        key: format!("exports/_offtake/{delivery}.manifest"),
        sha256: "ab".repeat(32),
        manifest: Manifest {
            checksum: String::new(),
            dataset,
            delivery,
            encoding: run.spec.encoding,
            files: Vec::new(),
            flow: run.flow,
            format_version: 1,
            from: None,
            kind: run.kind,
            mode: PlanMode::Full,
            occurrence: run.occurrence,
            producer: "offtake".to_owned(),
            run: run.id,
            schema: Schema::default(),
            schema_fingerprint: String::new(),
            seq,
            to: position(seq),
            total_bytes: 70,
            total_rows: 7,
        },
    }
}

fn step(stood: u64, delivered: Vec<FoundManifest>) -> CatchUp {
    let seq = delivered.last().map_or(stood, |it| it.manifest.seq);
    CatchUp {
        dataset: DatasetId(DATASETS[0].to_owned()),
        stood,
        cursor: (seq > stood).then(|| cursor_to(seq, seq)),
        delivered,
        superseded: Vec::new(),
    }
}

async fn state(store: &Store, run: &Run) -> DeliveryState {
    let view = RunLog::get(store, &fixture::tenant(), run.id).await;
    view.unwrap().unwrap().deliveries[0].state
}

#[tokio::test]
async fn a_copy_is_taken_beside_the_process_that_writes() {
    let bed = Bed::new();
    let (store, run) = filled(&bed).await;
    let lease = claim(&store).await.unwrap();
    let copy = bed.path().join("copy");
    copy_database(bed.path(), &copy).await.unwrap();
    let again = copy_database(bed.path(), &copy).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::StoreUnavailable);
    let applied = store.apply(&lease, &save_plan(&lease)).await;
    assert_eq!(applied, Ok(Applied::Done));
    assert_eq!(state(&store, &run).await, DeliveryState::Executing);
}

#[tokio::test]
async fn a_damaged_copy_is_no_backup() {
    let bed = Bed::new();
    let (_store, _run) = filled(&bed).await;
    let copy = bed.path().join("copy");
    copy_database(bed.path(), &copy).await.unwrap();
    let whole = std::fs::read(&copy).unwrap();
    for damaged in [
        Vec::new(),
        b"no database".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        [&whole[..5_000], &[255; 3_000][..], &whole[8_000..]].concat(),
    ] {
        std::fs::write(&copy, damaged).unwrap();
        let refused = check_copy(&copy).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::BackupUnusable, "{refused}");
    }
}

#[tokio::test]
async fn a_restore_wants_an_empty_directory_and_is_whole_or_nothing() {
    let bed = Bed::new();
    let (_store, _run) = filled(&bed).await;
    let copy = bed.path().join("copy");
    copy_database(bed.path(), &copy).await.unwrap();
    let refused = Restoring::begin(bed.path()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::DataDirInUse);
    let data = bed.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("something"), "").unwrap();
    let refused = Restoring::begin(&data).unwrap_err();
    assert_eq!(refused.code, ErrorCode::BackupUnusable);
    std::fs::remove_file(data.join("something")).unwrap();

    drop(Restoring::begin(&data).unwrap());
    let clock = Arc::new(ManualClock::new(START));
    let half = Store::open(&data, clock).await.unwrap_err();
    assert_eq!(half.code, ErrorCode::BackupUnusable);
    std::fs::remove_file(data.join("offtake.db.restoring")).unwrap();
    restore(&copy, &data).await;
}

#[tokio::test]
async fn a_restored_store_is_another_one_and_claims_nothing() {
    let bed = Bed::new();
    let (store, run) = filled(&bed).await;
    assert_eq!(store.held().await, Ok(Vec::new()));
    let copy = bed.path().join("copy");
    copy_database(bed.path(), &copy).await.unwrap();
    let (places, restored) = restored(&bed).await;
    let again = places.path().join("again");
    copy_database(&places.path().join("data"), &again)
        .await
        .unwrap();
    let (before, after) = (check_copy(&copy).await, check_copy(&again).await);
    assert_ne!(before.unwrap().incarnation, after.unwrap().incarnation);

    let held = the_held(&restored).await;
    assert_eq!(claim(&restored).await, None);
    assert_eq!(state(&restored, &run).await, DeliveryState::Queued);
    let released = restored
        .catch_up(&held, &run.spec, &[step(0, Vec::new())], &actor())
        .await;
    assert_eq!(released, Ok(true));
    let twice = restored
        .catch_up(
            &held,
            &run.spec,
            &[step(0, vec![manifest(&run, 1)])],
            &actor(),
        )
        .await;
    assert_eq!(twice, Ok(false));
    assert!(claim(&restored).await.is_some());
}

#[tokio::test]
async fn what_was_delivered_since_is_written_down_and_never_worked_on() {
    let bed = Bed::new();
    let (store, first) = filled(&bed).await;
    let lease = claim(&store).await.unwrap();
    let (_places, restored) = restored(&bed).await;
    let held = the_held(&restored).await;
    let known = restored.known(&held).await.unwrap();
    assert_eq!(known.datasets[0].open.len(), 1);
    assert_eq!(known.specs, std::slice::from_ref(&first.spec));
    let second = run_of(flow_id(1), RunKind::Now, "second", &DATASETS[..1]);

    let found = vec![manifest(&first, 1), manifest(&second, 2)];
    let released = restored
        .catch_up(&held, &first.spec, &[step(0, found)], &actor())
        .await;

    assert_eq!(released, Ok(true));
    assert_eq!(claim(&restored).await, None);
    let cursor = restored
        .cursor(flow_id(1), &lease_dataset())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((cursor.seq, cursor.position), (2, position(2)));
    for run in [&first, &second] {
        let view = RunLog::get(&restored, &fixture::tenant(), run.id).await;
        let view = view.unwrap().unwrap().deliveries.remove(0);
        assert_eq!(view.state, DeliveryState::Skipped);
        assert_eq!(view.fault.unwrap().code, ErrorCode::DeliveredBeforeRestore);
        assert_eq!(view.metrics.output_rows, 7);
    }
    // The same runs, asked for again, are known.
    let tick = Tick {
        run: second,
        schedule: None,
        by: None,
    };
    assert_eq!(restored.enqueue(&tick).await, Ok(Enqueued::Exists));
    let leftovers = restored.leftovers(START.plus_millis(1_000_000), 9).await;
    assert_eq!(leftovers, Ok(Vec::new()));
    assert_eq!(
        lease.delivery,
        DeliveryId::derive(first.id, &lease_dataset())
    );
    // A second restore finds the newest of them as the one to stand.
    let held = HeldFlow {
        refusal: None,
        ..held
    };
    let known = restored.known(&held).await.unwrap().datasets.remove(0);
    let newest = known.newest.unwrap();
    assert!(
        newest.key.contains(&known.delivered[1].to_string()),
        "{newest:?}"
    );
}

fn lease_dataset() -> DatasetId {
    DatasetId(DATASETS[0].to_owned())
}

#[tokio::test]
async fn an_open_delivery_whose_rows_were_sent_is_aborted() {
    let bed = Bed::new();
    let (store, first) = filled(&bed).await;
    let lease = claim(&store).await.unwrap();
    let applied = store.apply(&lease, &save_plan(&lease)).await;
    assert_eq!(applied, Ok(Applied::Done));
    let (_places, restored) = restored(&bed).await;
    let held = the_held(&restored).await;
    let known = restored.known(&held).await.unwrap().datasets.remove(0);
    assert_eq!(known.open[0].seq, Some(plan(&lease).seq));
    let other = run_of(flow_id(1), RunKind::Now, "other", &DATASETS[..1]);
    let mut step = step(0, vec![manifest(&other, 1)]);
    step.superseded.push(lease.delivery);

    assert_eq!(
        restored
            .catch_up(&held, &first.spec, &[step], &actor())
            .await,
        Ok(true)
    );

    let lease = claim(&restored).await.unwrap();
    assert_eq!(state(&restored, &first).await, DeliveryState::Aborting);
    let ended = restored.apply(&lease, &Transition::FinishAbort).await;
    assert_eq!(ended, Ok(Applied::Done));
    assert_eq!(state(&restored, &first).await, DeliveryState::Failed);
}

#[tokio::test]
async fn a_cursor_that_is_not_where_it_was_seen_refuses_the_release_as_a_whole() {
    let bed = Bed::new();
    let (_store, run) = filled(&bed).await;
    let (_places, restored) = restored(&bed).await;
    let held = the_held(&restored).await;
    let refused = restored
        .catch_up(
            &held,
            &run.spec,
            &[step(4, vec![manifest(&run, 5)])],
            &actor(),
        )
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::Quarantined);
    assert_eq!(the_held(&restored).await, held);
    assert_eq!(state(&restored, &run).await, DeliveryState::Queued);
}

#[tokio::test]
async fn a_refusal_is_kept() {
    let bed = Bed::new();
    let (_store, _run) = filled(&bed).await;
    let (_places, restored) = restored(&bed).await;
    restored
        .refuse(flow_id(1), &fixture::trouble())
        .await
        .unwrap();
    assert_eq!(the_held(&restored).await.refusal, Some(fixture::trouble()));
}

/// A delivery that was quarantined in that state, with attempts that won.
async fn quarantined(store: &Store, up_to: DeliveryState) {
    let lease = claim(store).await.unwrap();
    if up_to != DeliveryState::Planning {
        let planned = store.apply(&lease, &save_plan(&lease)).await;
        assert_eq!(planned, Ok(Applied::Done));
    }
    if matches!(
        up_to,
        DeliveryState::Publishing | DeliveryState::Manifesting
    ) {
        for task in 0..2 {
            let attempt = fixture::attempt(&lease, task, task);
            assert_eq!(
                store.begin_attempt(&lease, &attempt).await,
                Ok(Applied::Done)
            );
            let winner = fixture::winner(lease.delivery, task, attempt.id);
            assert_eq!(store.record(&lease, &winner).await, Ok(Recorded::Won));
        }
        assert_eq!(
            store.apply(&lease, &Transition::Freeze).await,
            Ok(Applied::Done)
        );
    }
    if up_to == DeliveryState::Manifesting {
        let decided = store.apply(&lease, &fixture::point_of_no_return(1)).await;
        assert_eq!(decided, Ok(Applied::Done));
    }
    if up_to == DeliveryState::Aborting {
        let aborting = fixture::abort(AbortThen::Cancelled);
        assert_eq!(store.apply(&lease, &aborting).await, Ok(Applied::Done));
    }
    let fault = fixture::trouble();
    let applied = store.apply(&lease, &Transition::Quarantine { fault }).await;
    assert_eq!(applied, Ok(Applied::Done));
}

#[tokio::test]
async fn a_quarantined_delivery_goes_on_from_where_it_stood_or_ends() {
    use DeliveryState as S;
    for (stood, retried, given_up) in [
        (S::Planning, S::Planning, S::Aborting),
        (S::Executing, S::Executing, S::Aborting),
        (S::Publishing, S::Executing, S::Aborting),
        (S::Manifesting, S::Manifesting, S::Failed),
        (S::Aborting, S::Aborting, S::Cancelled),
    ] {
        for (resolution, then) in [(Resolution::Retry, retried), (Resolution::GiveUp, given_up)] {
            let bed = Bed::new();
            let (store, run) = filled(&bed).await;
            let tenant = fixture::tenant();
            let nothing = store
                .resolve(&tenant, run.id, None, resolution, &actor())
                .await;
            assert_eq!(nothing, Ok(0), "it is not quarantined");
            quarantined(&store, stood).await;
            assert_eq!(claim(&store).await, None);
            let other = DatasetId(DATASETS[1].to_owned());
            let nothing = store
                .resolve(&tenant, run.id, Some(&other), resolution, &actor())
                .await;
            assert_eq!(nothing, Ok(0), "it is another dataset's");
            let elsewhere = crate::bed::tenant("dev");
            let nothing = store
                .resolve(&elsewhere, run.id, None, resolution, &actor())
                .await;
            assert_eq!(nothing, Ok(0), "it is another sandbox's");

            let dataset = Some(lease_dataset());
            let resolved = store
                .resolve(&tenant, run.id, dataset.as_ref(), resolution, &actor())
                .await;

            assert_eq!(resolved, Ok(1), "{stood:?} {resolution:?}");
            assert_eq!(state(&store, &run).await, then, "{stood:?} {resolution:?}");
            let claimed = claim(&store).await;
            assert_eq!(
                claimed.is_some(),
                !then.terminal(),
                "{stood:?} {resolution:?}"
            );
            let leftovers = store.leftovers(START.plus_millis(1_000_000), 9).await;
            assert_eq!(
                leftovers,
                Ok(Vec::new()),
                "what may be delivered is never swept"
            );
        }
    }
}

#[tokio::test]
async fn a_held_flow_that_is_deleted_leaves_its_files_alone() {
    let bed = Bed::new();
    let (store, run) = filled(&bed).await;
    let lease = claim(&store).await.unwrap();
    let applied = store.apply(&lease, &save_plan(&lease)).await;
    assert_eq!(applied, Ok(Applied::Done));
    let attempt = fixture::attempt(&lease, 0, 1);
    assert_eq!(
        store.begin_attempt(&lease, &attempt).await,
        Ok(Applied::Done)
    );
    let (_places, restored) = restored(&bed).await;

    let kind = offtake_model::ResourceKind::Flow;
    let id = flow_id(1).into();
    assert_eq!(
        restored
            .delete(&fixture::tenant(), kind, &id, &actor())
            .await,
        Ok(true)
    );

    assert_eq!(restored.held().await, Ok(Vec::new()));
    assert_eq!(claim(&restored).await, None);
    assert_eq!(state(&restored, &run).await, DeliveryState::Cancelled);
    let leftovers = restored.leftovers(START.plus_millis(1_000_000), 9).await;
    assert_eq!(leftovers, Ok(Vec::new()));
}
