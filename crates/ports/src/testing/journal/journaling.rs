//! Attempts, winners, the cursor and what is left behind.
//!
//! The one law: a task has one winner, and a cursor moves once per delivery.
//!
//! budget: one suite, read as one list of behaviours.

use offtake_model::delivery::AbortThen;
use offtake_model::{
    Attempt, DatasetId, DeliveryState, ErrorCode, Lease, Run, RunKind, RunMetrics, Transition,
};

use super::Place;
use super::fixture::{
    DATASETS, START, TTL, abort, attempt, commit, cursor_to, cursor_with_files, flow_id, handle,
    metrics, plan, point_of_no_return, position, run_of, save_plan, seen, tenant, winner,
};
use super::world::World;
use crate::journal::{Applied, Enqueued, Recorded};

pub(super) async fn check(place: Place<'_>) {
    a_kill_between_any_two_steps_loses_nothing(place).await;
    the_first_recorded_attempt_wins(place).await;
    a_discarded_attempt_never_wins(place).await;
    a_stale_lease_changes_nothing(place).await;
    a_commit_moves_the_cursor_once(place).await;
    seen_files_follow_the_cursor(place).await;
    a_commit_with_a_gap_changes_nothing(place).await;
    a_kind_that_keeps_the_cursor_cannot_move_it(place).await;
    a_full_resync_replaces_the_position(place).await;
    views_count_what_is_sealed_and_list_what_is_delivered(place).await;
    leftovers_are_the_staged_files_of_ended_deliveries(place).await;
}

async fn a_kill_between_any_two_steps_loses_nothing(place: Place<'_>) {
    let mut world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    let mut wanted = world.load(&lease).await;
    assert_eq!(wanted.state, DeliveryState::Planning);

    world.done(&lease, &save_plan(&lease)).await;
    wanted.state = DeliveryState::Executing;
    wanted.plan = Some(plan(&lease));
    world = world.killed().await;
    assert_eq!(world.load(&lease).await, wanted);

    for task in 0..2 {
        let mut begun = attempt(&lease, task, task);
        assert_eq!(
            world.store.journal.begin_attempt(&lease, &begun).await,
            Ok(Applied::Done)
        );
        world = world.killed().await;
        let handle = handle(lease.delivery, task, begun.id);
        let saved = world
            .store
            .journal
            .save_handle(&lease, begun.id, &handle)
            .await;
        assert_eq!(saved, Ok(Applied::Done));
        begun.handle = Some(handle);
        world = world.killed().await;
        let won = winner(lease.delivery, task, begun.id);
        assert_eq!(
            world.store.journal.record(&lease, &won).await,
            Ok(Recorded::Won)
        );
        wanted.attempts.push(begun);
        wanted.winners.push(won);
        world = world.killed().await;
        assert_eq!(world.load(&lease).await, wanted);
    }

    world.done(&lease, &Transition::Freeze).await;
    wanted.state = DeliveryState::Publishing;
    wanted.rev = 1;
    world = world.killed().await;
    assert_eq!(world.load(&lease).await, wanted);

    world.done(&lease, &point_of_no_return(1)).await;
    wanted.state = DeliveryState::Manifesting;
    wanted.manifest = Some(b"{}".to_vec());
    world = world.killed().await;
    assert_eq!(world.load(&lease).await, wanted);

    let planned = world.store.journal.plan(lease.delivery).await;
    assert_eq!(planned, Ok(None), "only a finished delivery's plan is told");
    world.done(&lease, &commit(Some(cursor_to(3, 1)))).await;
    world = world.killed().await;
    let planned = world.store.journal.plan(lease.delivery).await;
    assert_eq!(planned, Ok(Some(plan(&lease))));
    let cursor = cursor(&world).await.unwrap();
    assert_eq!((cursor.position, cursor.seq), (position(3), 1));
    assert_eq!(world.claim().await, None);
}

async fn cursor(world: &World) -> Option<offtake_model::delivery::Cursor> {
    let dataset = DatasetId(DATASETS[0].to_owned());
    world
        .store
        .journal
        .cursor(flow_id(1), &dataset)
        .await
        .unwrap()
}

async fn the_first_recorded_attempt_wins(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    let early = attempt(&lease, 0, 1);
    let begun = world.store.journal.begin_attempt(&lease, &early).await;
    assert_eq!(begun, Ok(Applied::Fenced), "there is no plan yet");
    world.done(&lease, &save_plan(&lease)).await;
    let first = world.begin(&lease, 0, 1).await;
    let second = world.begin(&lease, 0, 2).await;
    let journal = &world.store.journal;
    let record = |attempt| {
        let winner = winner(lease.delivery, 0, attempt);
        let lease = &lease;
        async move { journal.record(lease, &winner).await.unwrap() }
    };
    assert_eq!(record(second).await, Recorded::Won);
    assert_eq!(record(first).await, Recorded::Lost);
    assert_eq!(
        record(second).await,
        Recorded::Won,
        "asking again changes nothing"
    );
    let winners = world.load(&lease).await.winners;
    assert_eq!(winners, [winner(lease.delivery, 0, second)]);
    assert_eq!(
        world.apply(&lease, &Transition::Freeze).await,
        Applied::Fenced,
        "task 1 has no winner"
    );
    assert_eq!(world.load(&lease).await.state, DeliveryState::Executing);
}

async fn a_discarded_attempt_never_wins(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.done(&lease, &save_plan(&lease)).await;
    let id = world.begin(&lease, 0, 1).await;
    assert_eq!(
        world.store.journal.discarded(&lease, id).await,
        Ok(Applied::Done)
    );
    let recorded = world
        .store
        .journal
        .record(&lease, &winner(lease.delivery, 0, id))
        .await;
    assert_eq!(recorded, Ok(Recorded::Lost));
    let record = world.load(&lease).await;
    assert_eq!(record.winners, []);
    assert!(record.attempts[0].discarded);
}

async fn a_stale_lease_changes_nothing(place: Place<'_>) {
    let world = World::new(place).await;
    let stale = world.claimed(RunKind::Now).await;
    world.done(&stale, &save_plan(&stale)).await;
    let mine = world.begin(&stale, 0, 1).await;
    let won = world.win(&stale, 1, 2).await;
    world.clock.advance(TTL);
    let lease = world.claim().await.unwrap();
    let before = world.load(&lease).await;
    let journal = &world.store.journal;
    assert_eq!(
        journal.begin_attempt(&stale, &attempt(&stale, 0, 3)).await,
        Ok(Applied::Fenced)
    );
    let handle = handle(stale.delivery, 0, mine);
    assert_eq!(
        journal.save_handle(&stale, mine, &handle).await,
        Ok(Applied::Fenced)
    );
    assert_eq!(
        journal.discarded(&stale, won.attempt).await,
        Ok(Applied::Fenced)
    );
    let late = winner(stale.delivery, 0, mine);
    assert_eq!(journal.record(&stale, &late).await, Ok(Recorded::Fenced));
    let transitions = [
        save_plan(&stale),
        Transition::Freeze,
        Transition::Restage { task: 1 },
        point_of_no_return(1),
        commit(Some(cursor_to(3, 1))),
        super::fixture::wait_until(START),
        abort(AbortThen::Failed),
        Transition::FinishAbort,
        Transition::Quarantine {
            fault: super::fixture::trouble(),
        },
    ];
    for transition in &transitions {
        assert_eq!(
            world.apply(&stale, transition).await,
            Applied::Fenced,
            "{transition:?}"
        );
    }
    assert_eq!(world.load(&lease).await, before);
    assert_eq!(cursor(&world).await, None);
}

async fn a_commit_moves_the_cursor_once(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.up_to_manifest(&lease).await;
    let last = commit(Some(cursor_to(3, 1)));
    world.done(&lease, &last).await;
    assert_eq!(world.apply(&lease, &last).await, Applied::Fenced);
    assert_eq!(cursor(&world).await.map(|it| it.seq), Some(1));
}

async fn a_commit_with_a_gap_changes_nothing(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.up_to_manifest(&lease).await;
    let before = world.load(&lease).await;
    for seq in [0, 2, 7] {
        let refused = world
            .store
            .journal
            .apply(&lease, &commit(Some(cursor_to(3, seq))))
            .await;
        assert_eq!(
            refused.map_err(|fault| fault.code),
            Err(ErrorCode::Quarantined),
            "{seq}"
        );
    }
    assert_eq!(world.load(&lease).await, before);
    assert_eq!(cursor(&world).await, None);
}

async fn a_kind_that_keeps_the_cursor_cannot_move_it(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Adhoc).await;
    world.up_to_manifest(&lease).await;
    let refused = world
        .store
        .journal
        .apply(&lease, &commit(Some(cursor_to(3, 1))))
        .await;
    assert_eq!(
        refused.map_err(|fault| fault.code),
        Err(ErrorCode::Quarantined)
    );
    world.done(&lease, &commit(None)).await;
    assert_eq!(cursor(&world).await, None);
}

/// Brings another, full run of the first flow's first dataset to the state just before its commit.
async fn deliver_again(world: &World, trigger: &str, attempts: u32) -> Lease {
    let full = Run {
        full: true,
        ..run_of(flow_id(1), RunKind::Now, trigger, &DATASETS[..1])
    };
    assert_eq!(world.enqueue(&full).await, Enqueued::Inserted);
    let lease = world.claim().await.unwrap();
    world.done(&lease, &save_plan(&lease)).await;
    world.win(&lease, 0, attempts).await;
    world.win(&lease, 1, attempts + 1).await;
    world.done(&lease, &Transition::Freeze).await;
    world.done(&lease, &point_of_no_return(1)).await;
    lease
}

async fn a_full_resync_replaces_the_position(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.up_to_manifest(&lease).await;
    world.done(&lease, &commit(Some(cursor_to(9, 1)))).await;
    let lease = deliver_again(&world, "full", 70).await;
    world.done(&lease, &commit(Some(cursor_to(2, 2)))).await;
    let cursor = cursor(&world).await.unwrap();
    assert_eq!((cursor.position, cursor.seq), (position(2), 2));
}

async fn seen_files_follow_the_cursor(place: Place<'_>) {
    let mut world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.up_to_manifest(&lease).await;
    assert_eq!(seen_of(&world).await, None);
    let refused = commit(Some(cursor_with_files(2, &[("a", 1)], true)));
    assert!(world.store.journal.apply(&lease, &refused).await.is_err());
    assert_eq!(seen_of(&world).await, None, "a refused commit sees nothing");
    let first = [("a", 1), ("b", 0)];
    world
        .done(&lease, &commit(Some(cursor_with_files(1, &first, true))))
        .await;
    world = world.killed().await;
    assert_eq!(seen_of(&world).await, Some(seen(1, &first)));

    let lease = deliver_again(&world, "second", 70).await;
    world
        .done(
            &lease,
            &commit(Some(cursor_with_files(2, &[("c", 3)], false))),
        )
        .await;
    let all = [("a", 1), ("b", 0), ("c", 3)];
    assert_eq!(seen_of(&world).await, Some(seen(2, &all)));

    let lease = deliver_again(&world, "third", 80).await;
    let whole = [("b", 7), ("d", 4)];
    world
        .done(&lease, &commit(Some(cursor_with_files(3, &whole, true))))
        .await;
    assert_eq!(seen_of(&world).await, Some(seen(3, &whole)));
}

async fn seen_of(world: &World) -> Option<offtake_model::SeenFolder> {
    let dataset = DatasetId(DATASETS[0].to_owned());
    world
        .store
        .journal
        .seen(flow_id(1), &dataset)
        .await
        .unwrap()
}

async fn views_count_what_is_sealed_and_list_what_is_delivered(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.done(&lease, &save_plan(&lease)).await;
    world.win(&lease, 1, 1).await;
    let id = world.load(&lease).await.run.id;
    let view = || async {
        let run = world.store.runs.get(&tenant(), id).await.unwrap().unwrap();
        run.deliveries.into_iter().next().unwrap()
    };
    let running = view().await;
    let sealed = RunMetrics {
        input_rows: 10,
        output_rows: 7,
        input_bytes: 1_000,
        output_bytes: 70,
        input_files: 1,
        output_files: 1,
    };
    assert_eq!(
        running.metrics, sealed,
        "a file counts with the first task that reads it"
    );
    assert_eq!((running.files.len(), running.manifest_key), (0, None));
    assert_eq!(
        (running.started_at, running.completed_at),
        (Some(START), None)
    );
    world.win(&lease, 0, 2).await;
    assert_eq!(
        view().await.metrics,
        metrics(),
        "a file read by two tasks counts once"
    );
    world.done(&lease, &Transition::Freeze).await;
    world.done(&lease, &point_of_no_return(1)).await;
    world.done(&lease, &commit(Some(cursor_to(3, 1)))).await;
    let done = view().await;
    assert_eq!(done.metrics, metrics());
    assert_eq!(done.completed_at, Some(START));
    assert_eq!(done.manifest_key, Some(plan(&lease).manifest_key));
    let keys: Vec<&str> = done.files.iter().map(|file| file.key.as_str()).collect();
    assert_eq!(keys, ["exports/dataset/0.json", "exports/dataset/1.json"]);
}

async fn leftovers_are_the_staged_files_of_ended_deliveries(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.done(&lease, &save_plan(&lease)).await;
    let loser = world.begin(&lease, 0, 1).await;
    let gone = world.begin(&lease, 0, 2).await;
    assert_eq!(
        world.store.journal.discarded(&lease, gone).await,
        Ok(Applied::Done)
    );
    world.win(&lease, 0, 3).await;
    world.win(&lease, 1, 4).await;
    let later = START.plus_millis(1);
    assert_eq!(
        world.store.journal.leftovers(later, 9).await,
        Ok(Vec::new())
    );
    world.done(&lease, &Transition::Freeze).await;
    world.done(&lease, &point_of_no_return(1)).await;
    world.done(&lease, &commit(Some(cursor_to(3, 1)))).await;
    assert_eq!(
        world.store.journal.leftovers(START, 9).await,
        Ok(Vec::new()),
        "too young"
    );
    let found = world.store.journal.leftovers(later, 9).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].delivery, lease.delivery);
    let wanted = Attempt {
        id: loser,
        ..attempt(&lease, 0, 1)
    };
    assert_eq!(
        found[0].attempts,
        [wanted],
        "neither winners nor discarded attempts"
    );
    assert_eq!(
        world.store.journal.swept(lease.delivery, loser).await,
        Ok(())
    );
    assert_eq!(
        world.store.journal.leftovers(later, 9).await,
        Ok(Vec::new())
    );
}
