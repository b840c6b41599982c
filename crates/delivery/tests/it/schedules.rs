//! Schedules over time: the clock moves, stands still between processes, and steps back.

use std::time::Duration;

use offtake_core::schedule;
use offtake_model::resource::Flow;
use offtake_model::{ExportMode, Millis, ResourceBody, ResourceId, ResourceKind, RunKind};
use offtake_ports::Clock;

use crate::scenario::{START, World, flow};

const HOUR_MS: i64 = 3_600_000;
const HOUR: Duration = Duration::from_hours(1);

/// Changes the flow as the service does when it is made, edited or enabled at this instant.
fn change(world: &World, edit: impl FnOnce(&mut Flow)) {
    let now = world.clock.now();
    let mut inner = world.store.inner();
    let key = (ResourceKind::Flow, ResourceId::from(flow()));
    let resource = inner.resources.get_mut(&key).unwrap();
    resource.revision.0 += 1;
    let ResourceBody::Flow(flow) = &mut resource.body else {
        panic!("a flow was expected")
    };
    edit(flow);
    flow.generation += 1;
    flow.enabled_at = Some(now);
    flow.next_due_at = schedule::first_occurrence(&flow.schedule, now)
        .or_else(|| schedule::next_occurrence(&flow.schedule, now));
}

/// Hours after [`START`] of the occurrences that ran, in order.
fn hours(world: &World) -> Vec<i64> {
    let inner = world.store.inner();
    let mut all: Vec<Millis> = inner.runs.values().map(|run| run.occurrence).collect();
    all.sort();
    all.iter().map(|it| it.since(START) / HOUR_MS).collect()
}

fn after(hours: i64) -> Millis {
    START.plus_millis(hours * HOUR_MS)
}

#[tokio::test]
async fn runs_keep_to_the_grid_and_each_sends_what_came_since() {
    let world = World::new(1).await;
    let _process = world.start();
    for files in 2..=4 {
        world.pass(HOUR * 3).await;
        world.lake.append(1);
        world.pass(HOUR / 2).await;
        assert!(files >= 2);
    }
    world.pass(HOUR * 2).await;
    assert_eq!(hours(&world), [0, 3, 6, 9, 12]);
    world.exactly_once(4);
}

#[tokio::test]
async fn a_late_start_runs_once_at_once_and_then_on_the_grid() {
    let world = World::new(1).await;
    change(&world, |flow| flow.schedule.start = after(-10));
    let _process = world.start();
    world.pass(HOUR * 4).await;
    assert_eq!(hours(&world), [-1, 2]);
    world.exactly_once(1);
}

#[tokio::test]
async fn a_start_in_the_future_waits_for_it() {
    let world = World::new(1).await;
    change(&world, |flow| flow.schedule.start = after(5));
    let _process = world.start();
    world.pass(HOUR * 4).await;
    assert!(hours(&world).is_empty());
    world.pass(HOUR * 5).await;
    assert_eq!(hours(&world), [5, 8]);
}

#[tokio::test]
async fn the_end_is_inclusive_and_nothing_follows_it() {
    let world = World::new(1).await;
    change(&world, |flow| flow.schedule.end = Some(after(6)));
    let _process = world.start();
    world.pass(HOUR * 30).await;
    assert_eq!(hours(&world), [0, 3, 6]);
}

#[tokio::test]
async fn once_is_once() {
    let world = World::new(1).await;
    change(&world, |flow| {
        flow.schedule.interval = 0;
        flow.schedule.export_mode = ExportMode::DailyFullExport;
    });
    let _process = world.start();
    world.pass(HOUR * 100).await;
    assert_eq!(hours(&world), [0]);
}

#[tokio::test]
async fn instants_missed_without_a_process_are_made_good_by_one_run() {
    let world = World::new(1).await;
    let process = world.start();
    world.pass(HOUR).await;
    process.kill().await;
    world.lake.append(2);
    world.clock.set(after(20));
    let _process = world.start();
    world.pass(HOUR * 2).await;
    assert_eq!(hours(&world), [0, 18, 21]);
    world.exactly_once(3);
}

#[tokio::test]
async fn what_a_disabled_flow_missed_is_sent_when_it_is_enabled_again() {
    let world = World::new(1).await;
    let _process = world.start();
    world.pass(HOUR).await;
    change(&world, |_| {});
    let key = (ResourceKind::Flow, ResourceId::from(flow()));
    if let Some(resource) = world.store.inner().resources.get_mut(&key)
        && let ResourceBody::Flow(flow) = &mut resource.body
    {
        flow.next_due_at = None;
    }
    world.lake.append(2);
    world.pass(HOUR * 9).await;
    assert_eq!(hours(&world), [0], "nothing runs while disabled");
    change(&world, |_| {});
    world.pass(HOUR).await;
    assert_eq!(hours(&world), [0, 9]);
    world.exactly_once(3);
}

#[tokio::test]
async fn an_edited_schedule_moves_the_grid_and_keeps_the_position() {
    let world = World::new(1).await;
    let _process = world.start();
    world.pass(HOUR).await;
    world.lake.append(1);
    change(&world, |flow| {
        flow.schedule.start = after(2);
        flow.schedule.interval = 12;
    });
    world.pass(HOUR * 14).await;
    assert_eq!(hours(&world), [0, 2, 14]);
    world.exactly_once(2);
    let kinds = world
        .store
        .inner()
        .runs
        .values()
        .all(|it| it.kind == RunKind::Scheduled);
    assert!(kinds);
}

#[tokio::test]
async fn a_clock_that_steps_back_repeats_no_occurrence() {
    let world = World::new(1).await;
    let process = world.start();
    world.pass(HOUR * 7).await;
    process.kill().await;
    world.lake.append(1);
    world.clock.set(after(1));
    let _process = world.start();
    world.pass(HOUR * 9).await;
    assert_eq!(hours(&world), [0, 3, 6, 9]);
    world.exactly_once(2);
}
