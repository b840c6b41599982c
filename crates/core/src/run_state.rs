//! What a run shows of its deliveries: one documented status, summed counters (contract, 8.2–8.3).
//!
//! Nothing of this is stored; a run has no state of its own.
//!
//! The one law: a run succeeds only when no delivery of it failed.

use offtake_model::run::DeliveryView;
use offtake_model::{DeliveryState, Millis, RunMetrics};

/// The documented status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// No delivery has begun.
    Waiting,
    /// At least one delivery is under way or to come.
    Processing,
    /// Every delivery succeeded, or was skipped because another run covers its rows.
    Success,
    /// Every delivery ended, one of them badly.
    Failed,
}

impl RunStatus {
    /// The status in the documented spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more happens by itself.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }
}

/// How far one delivery is, in the words of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Working,
    Good,
    Bad,
}

const fn progress(state: DeliveryState) -> Progress {
    match state {
        DeliveryState::Queued => Progress::Waiting,
        DeliveryState::Planning
        | DeliveryState::Executing
        | DeliveryState::Publishing
        | DeliveryState::Manifesting
        | DeliveryState::RetryWait
        | DeliveryState::Aborting => Progress::Working,
        DeliveryState::Succeeded | DeliveryState::Skipped => Progress::Good,
        // Nobody works on a quarantined delivery until a person decides.
        DeliveryState::Failed | DeliveryState::Cancelled | DeliveryState::Quarantined => {
            Progress::Bad
        }
    }
}

/// The status of a run with these deliveries.
pub fn status(deliveries: &[DeliveryView]) -> RunStatus {
    let count = |wanted: Progress| {
        let states = deliveries.iter().map(|it| progress(it.state));
        states.filter(|it| *it == wanted).count()
    };
    let waiting = count(Progress::Waiting);
    if waiting == deliveries.len() && waiting > 0 {
        return RunStatus::Waiting;
    }
    if waiting > 0 || count(Progress::Working) > 0 {
        return RunStatus::Processing;
    }
    if count(Progress::Bad) > 0 {
        return RunStatus::Failed;
    }
    RunStatus::Success
}

/// The counters of all deliveries together.
pub fn totals(deliveries: &[DeliveryView]) -> RunMetrics {
    deliveries.iter().fold(RunMetrics::default(), |sum, it| {
        let add = u64::saturating_add;
        RunMetrics {
            input_rows: add(sum.input_rows, it.metrics.input_rows),
            output_rows: add(sum.output_rows, it.metrics.output_rows),
            input_bytes: add(sum.input_bytes, it.metrics.input_bytes),
            output_bytes: add(sum.output_bytes, it.metrics.output_bytes),
            input_files: add(sum.input_files, it.metrics.input_files),
            output_files: add(sum.output_files, it.metrics.output_files),
        }
    })
}

/// When the first delivery began, if one did.
pub fn started_at(deliveries: &[DeliveryView]) -> Option<Millis> {
    deliveries.iter().filter_map(|it| it.started_at).min()
}

/// When the last delivery ended, once the run has.
pub fn completed_at(deliveries: &[DeliveryView]) -> Option<Millis> {
    let ended = status(deliveries).ended();
    let ends = deliveries
        .iter()
        .map(|it| it.completed_at.unwrap_or(it.updated_at));
    ends.max().filter(|_| ended)
}

#[cfg(test)]
mod tests {
    use offtake_model::run::DeliveryView;
    use offtake_model::{DatasetId, DeliveryId, DeliveryState, Millis, RunMetrics};

    use super::{RunStatus, completed_at, started_at, status, totals};

    fn view(state: DeliveryState) -> DeliveryView {
        DeliveryView {
            id: DeliveryId(uuid::Uuid::nil()),
            dataset: DatasetId("d".to_owned()),
            state,
            attempt: 0,
            not_before: None,
            fault: None,
            metrics: RunMetrics {
                input_rows: 2,
                output_rows: 2,
                input_bytes: 30,
                output_bytes: 20,
                input_files: 1,
                output_files: 1,
            },
            planned_rows: None,
            started_at: Some(Millis(5)),
            completed_at: state.terminal().then_some(Millis(9)),
            updated_at: Millis(8),
            expired_at: None,
            manifest_key: None,
            files: Vec::new(),
        }
    }

    fn of(states: &[DeliveryState]) -> RunStatus {
        status(&states.iter().map(|it| view(*it)).collect::<Vec<_>>())
    }

    #[test]
    fn a_run_waits_until_its_first_delivery_begins() {
        use DeliveryState::{Planning, Queued, Succeeded};
        assert_eq!(of(&[Queued, Queued]), RunStatus::Waiting);
        assert_eq!(of(&[Queued, Planning]), RunStatus::Processing);
        assert_eq!(of(&[Succeeded, Queued]), RunStatus::Processing);
    }

    #[test]
    fn one_bad_delivery_fails_the_run_after_the_others_ended() {
        use DeliveryState::{Cancelled, Executing, Failed, Quarantined, Skipped, Succeeded};
        assert_eq!(of(&[Succeeded, Failed, Executing]), RunStatus::Processing);
        assert_eq!(of(&[Succeeded, Failed]), RunStatus::Failed);
        assert_eq!(of(&[Cancelled]), RunStatus::Failed);
        assert_eq!(of(&[Quarantined, Succeeded]), RunStatus::Failed);
        assert_eq!(of(&[Succeeded, Skipped]), RunStatus::Success);
    }

    #[test]
    fn every_state_but_queued_and_the_ends_is_processing() {
        for state in DeliveryState::ALL {
            let ended = state.terminal() || state == DeliveryState::Quarantined;
            let expected = state != DeliveryState::Queued && !ended;
            assert_eq!(of(&[state]) == RunStatus::Processing, expected, "{state:?}");
        }
    }

    #[test]
    fn counters_add_up_and_times_span_the_deliveries() {
        let mut deliveries = vec![view(DeliveryState::Succeeded), view(DeliveryState::Failed)];
        assert_eq!(totals(&deliveries).input_rows, 4);
        assert_eq!(totals(&deliveries).output_bytes, 40);
        assert_eq!(started_at(&deliveries), Some(Millis(5)));
        assert_eq!(completed_at(&deliveries), Some(Millis(9)));
        deliveries.push(view(DeliveryState::Executing));
        assert_eq!(completed_at(&deliveries), None);
    }
}
