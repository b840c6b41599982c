//! When a flow is due: reading `scheduleParams`, and the grid of instants they mean (contract, 6.1–6.3, D2c).
//!
//! Instants are found by integer division; nothing iterates and nothing reads a clock. All times are UTC.
//!
//! The one law: occurrences lie at `start + n·interval`, none before the start and none after the end.

mod params;

use offtake_model::resource::Flow;
use offtake_model::{ExportMode, Millis, Schedule, TimeUnit};

pub use params::{ParsedSchedule, parse};

/// The run that a flow's schedule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRun {
    /// The nominal instant; stands for all missed ones before it.
    pub occurrence: Millis,
    /// `start:<generation>` for the run at once after the flow was enabled, else `sched:<seconds>`.
    pub trigger_key: String,
    /// Whether everything is sent, because the flow never sends increments.
    pub full: bool,
    /// When the flow is due after this run.
    pub next_due_at: Option<Millis>,
}

/// The run that is due at `now`, if the flow's next occurrence has come.
///
/// A due instant that had passed when the flow was enabled is the run at once. Its key names the generation and not the
/// instant, since an earlier generation may have run the same instant.
pub fn due_run(flow: &Flow, now: Millis) -> Option<DueRun> {
    let due = flow.next_due_at.filter(|due| *due <= now)?;
    let occurrence = latest_occurrence(&flow.schedule, now)?;
    let at_once = flow.enabled_at.is_some_and(|enabled| due <= enabled);
    Some(DueRun {
        occurrence,
        trigger_key: if at_once {
            start_trigger(flow.generation)
        } else {
            scheduled_trigger(occurrence)
        },
        full: always_full(&flow.schedule),
        next_due_at: next_occurrence(&flow.schedule, now),
    })
}

/// Whether every run of the flow sends the whole dataset, whatever was delivered before.
pub const fn always_full(schedule: &Schedule) -> bool {
    matches!(schedule.export_mode, ExportMode::DailyFullExport)
}

/// The occurrence to run at once when a flow is created, published or enabled at `now`: the greatest instant of the
/// grid that is not after `now`, or the start itself of a once-flow. None before the start and after the end.
pub fn first_occurrence(schedule: &Schedule, now: Millis) -> Option<Millis> {
    if schedule.end.is_some_and(|end| end < now) {
        return None;
    }
    latest_occurrence(schedule, now)
}

/// The first instant of the grid after `after`, when there is one.
pub fn next_occurrence(schedule: &Schedule, after: Millis) -> Option<Millis> {
    let candidate = if after < schedule.start {
        schedule.start
    } else {
        let period = period_millis(schedule)?;
        instant(schedule, period, after.since(schedule.start) / period + 1)?
    };
    schedule
        .end
        .is_none_or(|end| candidate <= end)
        .then_some(candidate)
}

/// The last instant of the grid that is not after `now`. One run for it stands for all the missed ones before it.
pub fn latest_occurrence(schedule: &Schedule, now: Millis) -> Option<Millis> {
    let until = schedule.end.map_or(now, |end| end.min(now));
    if until < schedule.start {
        return None;
    }
    match period_millis(schedule) {
        None => Some(schedule.start),
        Some(period) => instant(schedule, period, until.since(schedule.start) / period),
    }
}

/// The trigger key of a run on the grid.
pub fn scheduled_trigger(occurrence: Millis) -> String {
    format!("sched:{}", occurrence.secs())
}

/// The trigger key of the run that starts at once when a flow becomes enabled. One per generation.
pub fn start_trigger(generation: u64) -> String {
    format!("start:{generation}")
}

/// Milliseconds between occurrences; none for once.
fn period_millis(schedule: &Schedule) -> Option<i64> {
    let unit: i64 = match schedule.time_unit {
        TimeUnit::Hour => 3_600_000,
        TimeUnit::Day => 86_400_000,
    };
    let period = unit.saturating_mul(i64::from(schedule.interval));
    (period > 0).then_some(period)
}

fn instant(schedule: &Schedule, period: i64, ordinal: i64) -> Option<Millis> {
    let offset = period.checked_mul(ordinal)?;
    schedule.start.0.checked_add(offset).map(Millis)
}

#[cfg(test)]
mod tests;
