//! Every transition from every state a lease can find a delivery in.
//!
//! The one law: a transition happens only from its own states; from any other nothing changes.

use offtake_model::delivery::AbortThen;
use offtake_model::{DeliveryState, Lease, RunKind, Transition};

use super::Place;
use super::fixture::{
    START, TTL, abort, commit, cursor_to, point_of_no_return, save_plan, trouble, wait_until,
};
use super::world::World;
use crate::journal::Applied;

const HELD: [DeliveryState; 5] = [
    DeliveryState::Planning,
    DeliveryState::Executing,
    DeliveryState::Publishing,
    DeliveryState::Manifesting,
    DeliveryState::Aborting,
];

pub(super) async fn check(place: Place<'_>) {
    for state in HELD {
        for number in 0..all(&nobody()).len() {
            one(place, state, number).await;
        }
    }
    an_abort_ends_as_it_was_begun(place).await;
    a_restage_needs_a_winner_to_give_up(place).await;
    the_point_of_no_return_needs_the_frozen_revision(place).await;
}

fn nobody() -> Lease {
    Lease {
        delivery: offtake_model::DeliveryId(uuid::Uuid::nil()),
        epoch: 0,
        owner: String::new(),
        expires_at: START,
    }
}

/// Each transition with the states it may come from and the one it leads to, when every precondition but the
/// state is met.
fn all(lease: &Lease) -> Vec<(Transition, Vec<DeliveryState>, DeliveryState)> {
    use DeliveryState::{
        Aborting, Executing, Failed, Manifesting, Planning, Publishing, Quarantined, RetryWait,
        Succeeded,
    };
    let quarantine = Transition::Quarantine { fault: trouble() };
    vec![
        (save_plan(lease), vec![Planning], Executing),
        (Transition::Freeze, vec![Executing], Publishing),
        (Transition::Restage { task: 0 }, vec![Publishing], Executing),
        (point_of_no_return(1), vec![Publishing], Manifesting),
        (commit(Some(cursor_to(3, 1))), vec![Manifesting], Succeeded),
        (
            wait_until(START),
            vec![Planning, Executing, Publishing],
            RetryWait,
        ),
        (
            abort(AbortThen::Failed),
            vec![Planning, Executing, Publishing],
            Aborting,
        ),
        (Transition::FinishAbort, vec![Aborting], Failed),
        (quarantine, HELD.to_vec(), Quarantined),
    ]
}

async fn one(place: Place<'_>, state: DeliveryState, number: usize) {
    let world = World::new(place).await;
    let stale = world.claimed(RunKind::Now).await;
    bring_to(&world, &stale, state).await;
    world.clock.advance(TTL);
    let lease = world.claim().await.unwrap();
    let before = world.load(&lease).await;
    let (transition, from, to) = all(&lease).swap_remove(number);
    let applied = world.apply(&stale, &transition).await;
    assert_eq!(
        applied,
        Applied::Fenced,
        "{transition:?} from {state:?} under a stale lease"
    );
    assert_eq!(world.load(&lease).await, before);
    let applied = world.apply(&lease, &transition).await;
    if !from.contains(&state) {
        assert_eq!(applied, Applied::Fenced, "{transition:?} from {state:?}");
        assert_eq!(
            world.load(&lease).await,
            before,
            "{transition:?} from {state:?}"
        );
        return;
    }
    assert_eq!(applied, Applied::Done, "{transition:?} from {state:?}");
    let tenant = super::fixture::tenant();
    let view = world
        .store
        .runs
        .get(&tenant, before.run.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        view.deliveries[0].state, to,
        "{transition:?} from {state:?}"
    );
    if matches!(to, DeliveryState::RetryWait | DeliveryState::Quarantined) || to.terminal() {
        assert_eq!(
            world.store.journal.load(&lease).await,
            Ok(None),
            "{to:?} ends the lease"
        );
        assert_eq!(view.deliveries[0].completed_at.is_some(), to.terminal());
    }
}

async fn bring_to(world: &World, lease: &Lease, state: DeliveryState) {
    if matches!(state, DeliveryState::Planning) {
        return;
    }
    world.done(lease, &save_plan(lease)).await;
    world.win(lease, 0, 1).await;
    world.win(lease, 1, 2).await;
    if matches!(state, DeliveryState::Executing) {
        return;
    }
    if matches!(state, DeliveryState::Aborting) {
        world.done(lease, &abort(AbortThen::Failed)).await;
        return;
    }
    world.done(lease, &Transition::Freeze).await;
    if matches!(state, DeliveryState::Manifesting) {
        world.done(lease, &point_of_no_return(1)).await;
    }
}

async fn an_abort_ends_as_it_was_begun(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    world.done(&lease, &abort(AbortThen::Cancelled)).await;
    let record = world.load(&lease).await;
    assert_eq!(record.abort_then, Some(AbortThen::Cancelled));
    assert_eq!(record.fault, Some(trouble()));
    world.done(&lease, &Transition::FinishAbort).await;
    let tenant = super::fixture::tenant();
    let view = world
        .store
        .runs
        .get(&tenant, record.run.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(view.deliveries[0].state, DeliveryState::Cancelled);
    assert_eq!(view.deliveries[0].fault, Some(trouble()));
}

async fn a_restage_needs_a_winner_to_give_up(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    bring_to(&world, &lease, DeliveryState::Publishing).await;
    let before = world.load(&lease).await;
    let unknown = Transition::Restage { task: 7 };
    assert_eq!(world.apply(&lease, &unknown).await, Applied::Fenced);
    assert_eq!(world.load(&lease).await, before);
    world.done(&lease, &Transition::Restage { task: 1 }).await;
    let record = world.load(&lease).await;
    assert_eq!(record.winners.len(), 1);
    assert_eq!(record.attempts.len(), 2, "attempts are never forgotten");
    world.win(&lease, 1, 3).await;
    world.done(&lease, &Transition::Freeze).await;
    assert_eq!(world.load(&lease).await.rev, 2);
}

async fn the_point_of_no_return_needs_the_frozen_revision(place: Place<'_>) {
    let world = World::new(place).await;
    let lease = world.claimed(RunKind::Now).await;
    bring_to(&world, &lease, DeliveryState::Publishing).await;
    for rev in [0, 2] {
        assert_eq!(
            world.apply(&lease, &point_of_no_return(rev)).await,
            Applied::Fenced
        );
    }
    assert_eq!(world.load(&lease).await.state, DeliveryState::Publishing);
}
