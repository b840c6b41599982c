//! The one table of the delivery protocol: which finding, in which working state, leads to which move; and
//! which move leads from which state to which.
//!
//! It knows no counters and no answers; those became findings before they came here.
//!
//! The one law: after the point of no return the only ways are forward, or to a person.

use std::time::Duration;

use offtake_model::delivery::AbortThen;
use offtake_model::{DeliveryState, ErrorCode, ExportPlan, Fault, Transition};

use super::protocol::ManifestBytes;

/// A state in which somebody works on the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Planning,
    Executing,
    Publishing,
    Manifesting,
    Aborting,
}

/// What became certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The plan is made.
    PlanReady(Box<ExportPlan>),
    /// Every task has a winner.
    AllWon,
    /// Every frozen file was published under this revision and seen at its name.
    AllPublished(ManifestBytes),
    /// A frozen file was discarded and then seen to be absent.
    TokenGone(u32),
    /// The manifest is at its name.
    ManifestStands,
    /// Every staged file was discarded, then every visible one retracted.
    Cleaned,
    /// A fault that may pass, with patience left.
    Passing { fault: Fault, delay: Duration },
    /// A fault that will not pass, or patience at its end.
    Fatal(Fault),
    /// It cannot be told what is visible.
    Ambiguous(Fault),
    /// The record contradicts the protocol.
    Broken(Fault),
    /// Somebody asked to cancel.
    Cancel,
}

/// What is done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    SavePlan(Box<ExportPlan>),
    Freeze,
    Restage(u32),
    PointOfNoReturn(ManifestBytes),
    Commit,
    Wait {
        fault: Fault,
        delay: Duration,
    },
    StartAbort {
        then: AbortThen,
        fault: Fault,
    },
    FinishAbort,
    Quarantine(Fault),
    /// Try again under this lease, without a transition.
    Pause {
        fault: Fault,
        delay: Duration,
    },
    Ignore,
}

/// The table. A finding that can't come up in a state is a broken invariant, and so for a person.
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "one line per row reads as a table")]
pub(super) fn choose(work: Work, finding: Finding) -> Move {
    use Finding as F;
    use Work as W;
    match (work, finding) {
        // Forward.
        (W::Planning,    F::PlanReady(plan))        => Move::SavePlan(plan),
        (W::Executing,   F::AllWon)                 => Move::Freeze,
        (W::Publishing,  F::TokenGone(task))        => Move::Restage(task),
        (W::Publishing,  F::AllPublished(manifest)) => Move::PointOfNoReturn(manifest),
        (W::Manifesting, F::ManifestStands)         => Move::Commit,
        (W::Aborting,    F::Cleaned)                => Move::FinishAbort,

        // Before the point of no return a fault waits or ends the delivery.
        (W::Planning | W::Executing | W::Publishing, F::Passing { fault, delay }) => Move::Wait { fault, delay },
        (W::Planning | W::Executing | W::Publishing, F::Fatal(fault))             => failed(fault),
        (W::Planning | W::Executing | W::Publishing, F::Cancel)                   => cancelled(),

        // After it, and in a clean-up, there is no way back.
        (W::Manifesting | W::Aborting, F::Passing { fault, delay }) => Move::Pause { fault, delay },
        (W::Manifesting | W::Aborting, F::Fatal(fault))             => Move::Quarantine(fault),
        (W::Manifesting | W::Aborting, F::Cancel)                   => Move::Ignore,

        // A person decides.
        (W::Planning | W::Executing | W::Publishing | W::Manifesting | W::Aborting,
            F::Ambiguous(fault) | F::Broken(fault)) => Move::Quarantine(fault),

        // Findings of another state.
        (W::Planning,    F::AllWon | F::AllPublished(_) | F::TokenGone(_) | F::ManifestStands | F::Cleaned)
        | (W::Executing,   F::PlanReady(_) | F::AllPublished(_) | F::TokenGone(_) | F::ManifestStands | F::Cleaned)
        | (W::Publishing,  F::PlanReady(_) | F::AllWon | F::ManifestStands | F::Cleaned)
        | (W::Manifesting, F::PlanReady(_) | F::AllWon | F::AllPublished(_) | F::TokenGone(_) | F::Cleaned)
        | (W::Aborting,    F::PlanReady(_) | F::AllWon | F::AllPublished(_) | F::TokenGone(_) | F::ManifestStands)
            => Move::Quarantine(out_of_place(work)),
    }
}

/// Where a transition leads from `state`, or nothing when it is not allowed there. `then` is how a recorded
/// abort is to end. A journal that applies a transition anywhere else is wrong.
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "one line per row reads as a table")]
pub const fn target(state: DeliveryState, transition: &Transition, then: Option<AbortThen>) -> Option<DeliveryState> {
    use DeliveryState as S;
    use Transition as T;
    match (transition, state) {
        (T::SavePlan(_),              S::Planning)    => Some(S::Executing),
        (T::Freeze,                   S::Executing)   => Some(S::Publishing),
        (T::Restage { .. },           S::Publishing)  => Some(S::Executing),
        (T::PointOfNoReturn { .. },   S::Publishing)  => Some(S::Manifesting),
        (T::Commit { .. },            S::Manifesting) => Some(S::Succeeded),
        (T::Wait { .. },       S::Planning | S::Executing | S::Publishing)                => Some(S::RetryWait),
        (T::StartAbort { .. }, S::Planning | S::Executing | S::Publishing | S::RetryWait) => Some(S::Aborting),
        (T::FinishAbort,              S::Aborting)    => match then {
            Some(AbortThen::Cancelled)     => Some(S::Cancelled),
            Some(AbortThen::Failed) | None => Some(S::Failed),
        },
        (T::Quarantine { .. }, S::Planning | S::Executing | S::Publishing | S::Manifesting
                             | S::RetryWait | S::Aborting) => Some(S::Quarantined),

        (T::SavePlan(_), S::Queued | S::Executing | S::Publishing | S::Manifesting | S::RetryWait | S::Aborting
            | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
        | (T::Freeze, S::Queued | S::Planning | S::Publishing | S::Manifesting | S::RetryWait | S::Aborting
            | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
        | (T::Restage { .. } | T::PointOfNoReturn { .. }, S::Queued | S::Planning | S::Executing | S::Manifesting
            | S::RetryWait | S::Aborting | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
        | (T::Commit { .. }, S::Queued | S::Planning | S::Executing | S::Publishing | S::RetryWait | S::Aborting
            | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
        | (T::Wait { .. }, S::Queued | S::Manifesting | S::RetryWait | S::Aborting
            | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
        | (T::StartAbort { .. }, S::Queued | S::Manifesting | S::Aborting
            | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
        | (T::FinishAbort, S::Queued | S::Planning | S::Executing | S::Publishing | S::Manifesting | S::RetryWait
            | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
        | (T::Quarantine { .. }, S::Queued | S::Quarantined | S::Succeeded | S::Failed | S::Cancelled | S::Skipped)
            => None,
    }
}

const fn failed(fault: Fault) -> Move {
    Move::StartAbort {
        then: AbortThen::Failed,
        fault,
    }
}

fn cancelled() -> Move {
    Move::StartAbort {
        then: AbortThen::Cancelled,
        fault: Fault::new(ErrorCode::Cancelled, "cancelled on request"),
    }
}

fn out_of_place(work: Work) -> Fault {
    Fault::new(
        ErrorCode::Quarantined,
        format!(
            "the delivery machine found something while {work:?} that belongs to another state"
        ),
    )
}
