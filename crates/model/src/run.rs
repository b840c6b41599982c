//! Runs: what the API shows of an occurrence or an on-demand call.

use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryState;
use crate::fault::Fault;
use crate::id::{DatasetId, DeliveryId, FlowId, RunId};
use crate::plan::ExportSpec;
use crate::time::Millis;

/// Why a run exists and whether it moves the cursor (contract, D2b).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// Due by its schedule, or at once on create and enable. Moves the cursor.
    Scheduled,
    /// Asked for by a person. Moves the cursor.
    Now,
    /// On-demand over named datasets. Never moves the cursor.
    Adhoc,
    /// A past run's range again. Never moves the cursor.
    Replay,
}

impl RunKind {
    /// Whether a successful delivery of this kind moves the cursor.
    pub const fn moves_cursor(self) -> bool {
        matches!(self, Self::Scheduled | Self::Now)
    }
}

/// A run as inserted. Its state and metrics are derived from its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Derived from the flow and the trigger key.
    pub id: RunId,
    /// The flow.
    pub flow: FlowId,
    /// The flow's generation when the run was inserted.
    pub flow_generation: u64,
    /// Why it exists.
    pub kind: RunKind,
    /// Unique per flow: `sched:<seconds>`, `start:<generation>`, `now:<idempotency key>`, `retry:<run>:<key>`,
    /// `adhoc:<key>`, `replay:<run>:<key>`.
    pub trigger_key: String,
    /// The nominal instant.
    pub occurrence: Millis,
    /// Whether the whole snapshot was asked for.
    pub full: bool,
    /// The flow's wishes, frozen.
    pub spec: ExportSpec,
    /// Who asked, or the scheduler.
    pub created_by: String,
    /// When it was inserted.
    pub created_at: Millis,
}

impl Run {
    /// What the trigger key of a replay of `past` begins with.
    pub fn replay_trigger(past: RunId) -> String {
        format!("replay:{past}:")
    }

    /// The run whose deliveries this one repeats.
    pub fn replays(&self) -> Option<RunId> {
        if self.kind != RunKind::Replay {
            return None;
        }
        let (past, _) = self.trigger_key.strip_prefix("replay:")?.split_once(':')?;
        past.parse().ok()
    }
}

/// A run with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// Its deliveries, in the order of the source connection's datasets.
    pub deliveries: Vec<DeliveryView>,
}

/// What the run log shows of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryView {
    /// The delivery.
    pub id: DeliveryId,
    /// Its dataset.
    pub dataset: DatasetId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often execution was started after a wait.
    pub attempt: u32,
    /// When it may go on, while it waits.
    pub not_before: Option<Millis>,
    /// The last fault; stays on failed deliveries and while waiting.
    pub fault: Option<Fault>,
    /// Counters so far. While it is under way, a source file that several tasks read counts with the first of them, once
    /// that is sealed.
    pub metrics: RunMetrics,
    /// Rows its plan holds, where the table's statistics tell; only while it is under way.
    pub planned_rows: Option<u64>,
    /// When it was first claimed.
    pub started_at: Option<Millis>,
    /// When it reached a terminal state.
    pub completed_at: Option<Millis>,
    /// When it last changed.
    pub updated_at: Millis,
    /// When it was taken out of its landing zone, once its time was over.
    pub expired_at: Option<Millis>,
    /// Key of its manifest, once that is at the destination.
    pub manifest_key: Option<String>,
    /// The files, once it succeeded.
    pub files: Vec<DeliveredFile>,
}

/// A file of a succeeded delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredFile {
    /// Key at the destination.
    pub key: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
}

/// Counters of a delivery (contract, 8.3). Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunMetrics {
    /// Rows read from the lake.
    pub input_rows: u64,
    /// Rows written.
    pub output_rows: u64,
    /// Bytes of the source files read.
    pub input_bytes: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Source files read.
    pub input_files: u64,
    /// Data files written.
    pub output_files: u64,
}
