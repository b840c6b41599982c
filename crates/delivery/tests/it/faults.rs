//! What happens when calls fail, files vanish and other writers interfere.

use std::time::Duration;

use offtake_model::{DeliveryState, ErrorCode, Fault};
use offtake_ports::Clock;
use offtake_ports::testing::{SinkCall, Trouble};

use crate::scenario::{START, World};

fn unreachable() -> Fault {
    Fault::new(ErrorCode::DestinationUnreachable, "write file: no answer")
}

#[tokio::test]
async fn a_transient_task_fault_waits_and_then_runs_only_the_missing_task() {
    let world = World::new(3).await;
    world.engine.fail(1, unreachable());
    let _process = world.start();
    world.reaches(DeliveryState::RetryWait).await;
    world.reaches(DeliveryState::Succeeded).await;
    assert!(world.clock.now().since(START) >= 30_000);
    let tried: Vec<usize> = world.engine.tried().into_values().collect();
    assert_eq!(tried, [1, 2, 1]);
    world.exactly_once(3);
}

#[tokio::test]
async fn a_fault_that_stays_ends_the_delivery_after_five_tries_with_its_cause() {
    let world = World::new(1).await;
    for _ in 0..9 {
        world.engine.fail(0, unreachable());
    }
    let _process = world.start();
    world.reaches(DeliveryState::Failed).await;
    let fault = world.record().fault.unwrap();
    assert_eq!(fault.code, ErrorCode::RetriesExhausted);
    assert!(fault.cause.unwrap().contains("DESTINATION_UNREACHABLE"));
    assert_eq!(world.engine.tried()[&0], 5);
    assert_eq!(world.place.staged(), 0);
}

#[tokio::test]
async fn a_corrupt_source_fails_the_delivery_and_the_next_run_starts_from_the_same_position() {
    let world = World::new(2).await;
    world.engine.fail(
        1,
        Fault::new(ErrorCode::SourceCorrupt, "read file: no footer"),
    );
    let _process = world.start();
    world.reaches(DeliveryState::Failed).await;
    assert_eq!(world.place.keys(&world.sink()), Vec::<String>::new());
    world.pass(Duration::from_hours(3)).await;
    world
        .until("next run delivered", |world| world.manifests().len() == 1)
        .await;
    world.exactly_once(2);
}

#[tokio::test]
async fn a_staged_file_that_vanishes_is_written_again_and_delivered_once() {
    let world = World::new(3).await;
    world
        .sinks
        .strike(SinkCall::Seal, 2, Trouble::StagedVanishes);
    let _process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    world.exactly_once(3);
    assert_eq!(world.engine.tried().values().sum::<usize>(), 4);
    assert_eq!(world.record().rev, 2);
    assert_eq!(world.files().len(), 3);
}

#[tokio::test]
async fn lost_replies_of_every_call_to_the_destination_lose_and_repeat_nothing() {
    let calls = [
        SinkCall::Begin,
        SinkCall::Write,
        SinkCall::Seal,
        SinkCall::Publish,
        SinkCall::Look,
        SinkCall::Put,
    ];
    for call in calls {
        for nth in 1..=3 {
            let world = World::new(3).await;
            world.sinks.strike(call, nth, Trouble::ReplyLost);
            let _process = world.start();
            world.reaches(DeliveryState::Succeeded).await;
            world.exactly_once(3);
            assert_eq!(world.files().len(), 3, "{call:?} {nth}");
        }
    }
}

#[tokio::test]
async fn another_writers_file_is_left_alone_and_ours_are_retracted() {
    let world = World::new(3).await;
    world.engine.shut();
    let _process = world.start();
    world
        .until("tasks run", |world| world.place.staged() == 2)
        .await;
    let plan = world.record().plan.unwrap();
    let taken = plan.tasks[2].key.clone();
    world.place.plant(&world.sink(), &taken, b"foreign");
    world.engine.open();
    world.reaches(DeliveryState::Failed).await;
    assert_eq!(
        world.record().fault.unwrap().code,
        ErrorCode::DestinationConflict
    );
    assert_eq!(world.place.keys(&world.sink()), [taken]);
}

#[tokio::test]
async fn a_manifest_that_cannot_be_put_waits_without_turning_back() {
    let world = World::new(1).await;
    for nth in 1..=3 {
        world
            .sinks
            .strike(SinkCall::Put, nth, Trouble::Fails(unreachable()));
    }
    let _process = world.start();
    world
        .until("manifesting", |world| {
            world.states() == [DeliveryState::Manifesting]
        })
        .await;
    world.reaches(DeliveryState::Succeeded).await;
    assert!(world.clock.now().since(START) >= 210_000, "30 + 60 + 120 s");
    world.exactly_once(1);
}

#[tokio::test]
async fn an_abort_whose_discard_fails_is_tried_until_nothing_remains() {
    let world = World::new(2).await;
    world.engine.fail(
        1,
        Fault::new(ErrorCode::SourceCorrupt, "read file: no footer"),
    );
    world
        .sinks
        .strike(SinkCall::Discard, 1, Trouble::Fails(unreachable()));
    let _process = world.start();
    world.reaches(DeliveryState::Failed).await;
    assert_eq!(world.place.staged(), 0);
    assert_eq!(world.record().fault.unwrap().code, ErrorCode::SourceCorrupt);
}

#[tokio::test]
async fn refused_credentials_wait_and_the_delivery_goes_on_from_where_it_stood() {
    let world = World::new(2).await;
    for _ in 0..6 {
        world.engine.fail(
            0,
            Fault::new(ErrorCode::DestinationDenied, "write file: refused"),
        );
    }
    let _process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    assert_eq!(world.engine.tried()[&1], 1);
    world.exactly_once(2);
}
