//! What happens when processes die, freeze and come back.

use std::time::Duration;

use offtake_model::DeliveryState;
use offtake_ports::testing::{SinkCall, Trouble};

use crate::scenario::World;
use crate::store::Dies;

/// Kills the process at its nth write, starts another, and waits for the end. Says whether it died at all.
async fn survives(world: &World, dies: Dies, nth: usize, end: DeliveryState) -> bool {
    world.store.die(dies, nth);
    let process = world.start();
    world
        .until("it dies or ends", |world| {
            world.store.inner().dead || world.states() == [end]
        })
        .await;
    process.kill().await;
    let died = world.store.inner().dead;
    world.store.revive();
    let _next = world.start();
    world.reaches(end).await;
    died
}

#[tokio::test]
async fn a_kill_at_any_write_loses_and_repeats_nothing() {
    for dies in [Dies::BeforeWrite, Dies::AfterWrite] {
        let mut nth = 0;
        loop {
            let world = World::new(3).await;
            let died = survives(&world, dies, nth, DeliveryState::Succeeded).await;
            world.exactly_once(3);
            assert_eq!(world.files().len(), 3, "{dies:?} {nth}");
            assert_eq!(world.manifests().len(), 1);
            if !died {
                break;
            }
            nth += 1;
        }
        assert!(nth > 12, "only {nth} writes were tried");
    }
}

#[tokio::test]
async fn a_kill_at_any_write_of_a_failing_delivery_leaves_nothing_behind() {
    for dies in [Dies::BeforeWrite, Dies::AfterWrite] {
        let mut nth = 0;
        loop {
            let world = World::new(2).await;
            // The second file's name is taken, so the delivery is cleaned up after its first file was visible.
            world.engine.shut();
            let process = world.start();
            world
                .until("tasks run", |world| world.place.staged() == 2)
                .await;
            let taken = world.record().plan.unwrap().tasks[1].key.clone();
            world.place.plant(&world.sink(), &taken, b"foreign");
            process.kill().await;
            world.store.revive();
            world.engine.open();
            let died = survives(&world, dies, nth, DeliveryState::Failed).await;
            assert_eq!(world.place.keys(&world.sink()), [taken], "{dies:?} {nth}");
            if !died {
                break;
            }
            nth += 1;
        }
        assert!(nth > 8, "only {nth} writes were tried");
    }
}

#[tokio::test]
async fn a_kill_while_a_file_is_lost_and_restaged_delivers_it_once() {
    for nth in 0..40 {
        let world = World::new(2).await;
        world
            .sinks
            .strike(SinkCall::Seal, 1, Trouble::StagedVanishes);
        let died = survives(&world, Dies::AfterWrite, nth, DeliveryState::Succeeded).await;
        world.exactly_once(2);
        assert_eq!(world.files().len(), 2, "{nth}");
        if !died {
            return;
        }
    }
}

#[tokio::test]
async fn a_fenced_worker_never_commits_and_touches_nothing() {
    let world = World::new(2).await;
    world.engine.shut();
    let zombie = world.start();
    world
        .until("tasks run", |world| world.place.staged() == 2)
        .await;
    // The zombie freezes here; somebody else takes over and finishes.
    world.store.revive();
    let _heir = world.start();
    world
        .until("the heir's tasks run", |world| world.place.staged() >= 3)
        .await;
    world.engine.open();
    world.reaches(DeliveryState::Succeeded).await;
    world.pass(Duration::from_mins(2)).await;
    drop(zombie);
    world.exactly_once(2);
    assert_eq!(world.files().len(), 2);
    let record = world.record();
    let epochs: Vec<u64> = record.attempts.iter().map(|it| it.epoch).collect();
    let winning = record.winners.iter().map(|won| {
        record
            .attempts
            .iter()
            .find(|it| it.id == won.attempt)
            .unwrap()
            .epoch
    });
    let heirs = winning.max().unwrap();
    assert!(epochs.iter().any(|epoch| *epoch < heirs));
    let commits = world
        .store
        .inner()
        .history
        .iter()
        .filter(|it| it.1 == DeliveryState::Succeeded)
        .count();
    assert_eq!(commits, 1);
}

#[tokio::test]
async fn two_processes_over_one_store_deliver_each_occurrence_once() {
    let world = World::new(3).await;
    let (_one, _two) = (world.start(), world.start());
    for round in 1..=4_usize {
        world
            .until("a round", |world| world.manifests_count() == round)
            .await;
        world.lake.append(2);
        world.pass(Duration::from_hours(3)).await;
    }
    world
        .until("the last round", |world| world.manifests_count() == 5)
        .await;
    world.exactly_once(11);
}

#[tokio::test]
async fn the_janitor_discards_what_dead_attempts_left_but_only_after_the_grace() {
    let world = World::new(2).await;
    world.store.die(Dies::BeforeWrite, 7);
    let process = world.start();
    world
        .until("it dies", |world| world.store.inner().dead)
        .await;
    // A killed process cannot drop its uploads.
    let staged = world.place.staged();
    assert!(staged > 0);
    std::mem::forget(process);
    world.store.revive();
    let _next = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    let left = world.place.staged();
    assert!(left > 0);
    world.pass(Duration::from_mins(10)).await;
    assert_eq!(world.place.staged(), left);
    world.pass(Duration::from_secs(200)).await;
    assert_eq!(world.place.staged(), 0);
    world.exactly_once(2);
}

#[tokio::test]
async fn a_journal_that_fails_or_does_not_answer_once_loses_and_repeats_nothing() {
    for dies in [Dies::Fails, Dies::ReplyLost] {
        for nth in 0..25 {
            let world = World::new(3).await;
            world.store.die(dies, nth);
            let _process = world.start();
            world.reaches(DeliveryState::Succeeded).await;
            world.exactly_once(3);
            assert_eq!(world.files().len(), 3, "{dies:?} {nth}");
        }
    }
}

impl World {
    fn manifests_count(&self) -> usize {
        if self.store.inner().rows.is_empty() {
            return 0;
        }
        self.manifests().len()
    }
}
