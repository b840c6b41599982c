//! When a flow is due. The arithmetic is in `core`; this is only what was asked for.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// A validated schedule (contract, 6.1–6.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// What a run exports.
    pub export_mode: ExportMode,
    /// Units between occurrences; 0 means once.
    pub interval: u32,
    /// The unit of `interval`.
    pub time_unit: TimeUnit,
    /// The anchor of the grid.
    pub start: Millis,
    /// The last instant at which an occurrence may fall, inclusive.
    pub end: Option<Millis>,
}

/// What the runs of a flow export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportMode {
    /// The whole dataset, once.
    DailyFullExport,
    /// The whole dataset first, then what was added since.
    FirstFullThenIncremental,
}

/// The unit of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// 3,600 s.
    Hour,
    /// 86,400 s.
    Day,
}
