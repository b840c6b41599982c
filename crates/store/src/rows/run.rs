//! Runs as stored: columns for what is searched, JSON for the frozen wishes.
//!
//! The one law: a run is inserted once and never changed.

use offtake_model::{ExportSpec, Fault, Millis, Run, RunKind};
use sqlx::FromRow;

use super::{counter, from_json, parse_id};
use crate::failure::corrupt;

/// A run's row.
#[derive(FromRow)]
pub(crate) struct RunRow {
    pub(crate) id: String,
    pub(crate) flow_id: String,
    pub(crate) flow_generation: i64,
    pub(crate) kind: String,
    pub(crate) trigger_key: String,
    pub(crate) occurrence: i64,
    pub(crate) whole: bool,
    pub(crate) spec: String,
    pub(crate) created_by: String,
    pub(crate) created_at: i64,
}

impl TryFrom<RunRow> for Run {
    type Error = Fault;

    fn try_from(row: RunRow) -> Result<Self, Fault> {
        Ok(Self {
            id: parse_id(&row.id, "run")?,
            flow: parse_id(&row.flow_id, "flow")?,
            flow_generation: counter(row.flow_generation, "flow generation")?,
            kind: parse_run_kind(&row.kind)?,
            spec: from_json::<ExportSpec>(&row.spec, format_args!("spec of run {}", row.id))?,
            trigger_key: row.trigger_key,
            occurrence: Millis(row.occurrence),
            full: row.whole,
            created_by: row.created_by,
            created_at: Millis(row.created_at),
        })
    }
}

/// A run kind's name in its column.
pub(crate) const fn run_kind_name(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Scheduled => "scheduled",
        RunKind::Now => "now",
        RunKind::Adhoc => "adhoc",
        RunKind::Replay => "replay",
    }
}

/// Reads a run's kind from its column.
pub(crate) fn parse_run_kind(name: &str) -> Result<RunKind, Fault> {
    [
        RunKind::Scheduled,
        RunKind::Now,
        RunKind::Adhoc,
        RunKind::Replay,
    ]
    .into_iter()
    .find(|kind| run_kind_name(*kind) == name)
    .ok_or_else(|| corrupt(format_args!("stored run kind {name:?} is none")))
}
