//! A delivery's state, its attempts, winners and lease, and the transitions its journal records.

use serde::{Deserialize, Serialize};

use crate::change::{Position, SeenFolder};
use crate::fault::Fault;
use crate::id::{AttemptId, DeliveryId, RunId};
use crate::plan::ExportPlan;
use crate::run::{Run, RunMetrics};
use crate::time::Millis;
use crate::{DatasetId, FlowId};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Inserted, nobody works on it.
    Queued,
    /// Claimed; the plan is being made.
    Planning,
    /// The plan is saved; tasks run.
    Executing,
    /// Winners are frozen; their files are being made visible.
    Publishing,
    /// Past the point of no return; only forward.
    Manifesting,
    /// Waiting to resume; keeps the active slot of its flow and dataset.
    RetryWait,
    /// Cleaning up before it ends.
    Aborting,
    /// An invariant broke; a person decides.
    Quarantined,
    /// Delivered and recorded.
    Succeeded,
    /// Ended without a manifest; nothing of it remains visible.
    Failed,
    /// Ended on request; nothing of it remains visible.
    Cancelled,
    /// Never started, for the reason recorded.
    Skipped,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 12] = [
        Self::Queued,
        Self::Planning,
        Self::Executing,
        Self::Publishing,
        Self::Manifesting,
        Self::RetryWait,
        Self::Aborting,
        Self::Quarantined,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// The state's name in rows and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Executing => "executing",
            Self::Publishing => "publishing",
            Self::Manifesting => "manifesting",
            Self::RetryWait => "retry_wait",
            Self::Aborting => "aborting",
            Self::Quarantined => "quarantined",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens to it.
    pub const fn terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped
        )
    }
}

/// How an aborted delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortThen {
    /// As `failed`.
    Failed,
    /// As `cancelled`.
    Cancelled,
}

/// What a person decides about a quarantined delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Go on from where it stood, with patience anew: past the point of no return to the manifest and the commit, before
    /// it from its tasks. For when what broke has been mended.
    Retry,
    /// End it without success; its range stays undelivered, so the next run sends it again. Before the point of no
    /// return everything of it is taken away first. After it, what stands at the destination stays, and a manifest may:
    /// then the rows come twice.
    GiveUp,
}

/// The right to work on a delivery. Every write carries it; a stale one changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Fencing number; larger with every claim.
    pub epoch: u64,
    /// Who holds it; new for every process start.
    pub owner: String,
    /// Until when, by the store's clock.
    pub expires_at: Millis,
}

/// Everything the store knows of a delivery, read under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// The delivery.
    pub id: DeliveryId,
    /// Its run.
    pub run: Run,
    /// Its dataset.
    pub dataset: DatasetId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Freeze revision; one more with every freeze.
    pub rev: u32,
    /// Where a wait returns to.
    pub resume: Option<DeliveryState>,
    /// How an abort ends.
    pub abort_then: Option<AbortThen>,
    /// How often it waited for a fault.
    pub attempt: u32,
    /// How many of these waits were for somebody to mend credentials.
    pub credential_waits: u32,
    /// How many claims in a row ended without a word and without progress: a crash, a lost lease, a journal that
    /// refused.
    pub claims_lost: u32,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// The plan, from `Executing` on.
    pub plan: Option<ExportPlan>,
    /// Every attempt made.
    pub attempts: Vec<Attempt>,
    /// One winner per finished task.
    pub winners: Vec<Winner>,
    /// The frozen manifest bytes, from `Manifesting` on.
    pub manifest: Option<Vec<u8>>,
    /// The last fault.
    pub fault: Option<Fault>,
}

/// One try at writing one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The task's ordinal.
    pub task: u32,
    /// The attempt.
    pub id: AttemptId,
    /// The lease epoch it was begun under.
    pub epoch: u64,
    /// What the sink needs to discard it; absent when the crash fell before the upload was created.
    pub handle: Option<StageHandle>,
    /// Whether its staged file is known to be gone.
    pub discarded: bool,
}

/// Written into the staged file's metadata or name, so that a look can tell whose file it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttemptTag {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The task's ordinal.
    pub task: u32,
    /// The attempt.
    pub attempt: AttemptId,
}

impl std::fmt::Display for AttemptTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.delivery, self.task, self.attempt)
    }
}

/// What a sink needs to find an unfinished upload again: an upload id, a temporary path. Opaque to everybody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StageHandle {
    /// The final key.
    pub key: String,
    /// Whose it is.
    pub tag: AttemptTag,
    /// The sink's own words.
    pub detail: String,
}

/// A sealed, still invisible file. Publishing it makes exactly these bytes visible at its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StageToken {
    /// The upload.
    pub handle: StageHandle,
    /// Bytes staged.
    pub bytes: u64,
    /// The sink's own words, such as part tags.
    pub detail: String,
}

/// What a finished task hands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedFile {
    /// The staged file.
    pub token: StageToken,
    /// Rows read.
    pub input_rows: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// How the rows got here.
    #[serde(default, skip_serializing_if = "Passage::encoded")]
    pub passage: Passage,
}

/// How rows got from source files into a delivered one. It changes none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Passage {
    /// Decoded and encoded.
    #[default]
    Encoded,
    /// In the source's pages, compressed anew.
    Recompressed,
    /// In the source's pages, byte by byte.
    Copied,
}

impl Passage {
    /// Whether they were decoded and encoded.
    pub const fn encoded(&self) -> bool {
        matches!(self, Self::Encoded)
    }
}

/// The attempt that was recorded for a task. There is one per task; freeze makes the set final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Winner {
    /// The task's ordinal.
    pub task: u32,
    /// The attempt.
    pub attempt: AttemptId,
    /// What it sealed.
    pub file: SealedFile,
}

/// A change of a delivery's row. Each is one transaction, guarded by lease epoch and expected state.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// Planning → Executing, with the plan.
    SavePlan(Box<ExportPlan>),
    /// Executing → Publishing, when every task has a winner; the revision grows.
    Freeze,
    /// Publishing → Executing; the task's winner is deleted because its staged file is gone.
    Restage {
        /// The task.
        task: u32,
    },
    /// Publishing → Manifesting; stores the exact manifest bytes.
    PointOfNoReturn {
        /// The freeze revision under which everything was published.
        rev: u32,
        /// The bytes.
        manifest: Vec<u8>,
        /// Their SHA-256 in hexadecimal.
        sha256: String,
    },
    /// Manifesting → Succeeded, moving the cursor when the kind does.
    Commit {
        /// Final counters.
        metrics: RunMetrics,
        /// The cursor's move, for kinds that move it.
        cursor: Option<CursorMove>,
    },
    /// Planning, Executing or Publishing → `RetryWait`.
    Wait {
        /// Why.
        fault: Fault,
        /// When it may go on.
        not_before: Millis,
    },
    /// Planning, Executing, Publishing or `RetryWait` → Aborting.
    StartAbort {
        /// How it will end.
        then: AbortThen,
        /// Why.
        fault: Fault,
    },
    /// Aborting → Failed or Cancelled, as recorded.
    FinishAbort,
    /// Any working state → Quarantined.
    Quarantine {
        /// Which invariant broke.
        fault: Fault,
    },
}

/// How a commit moves the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorMove {
    /// The flow.
    pub flow: FlowId,
    /// The dataset.
    pub dataset: DatasetId,
    /// The new position.
    pub to: Position,
    /// The new number; the row must have one less.
    pub seq: u64,
    /// What becomes of the files seen, when the dataset is a Parquet folder.
    pub seen: Option<SeenMove>,
}

/// How a commit changes what a flow has delivered of a Parquet folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMove {
    /// Files and schema of this delivery.
    pub delivered: SeenFolder,
    /// Whether they replace what was seen before, because everything was sent, or are added to it.
    pub whole: bool,
}

/// Where a flow stands in a dataset's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The position delivered up to.
    pub position: Position,
    /// How many deliveries moved it.
    pub seq: u64,
}

/// Names a delivery for the janitor: its staged leftovers may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its run.
    pub run: RunId,
    /// The sink it wrote to.
    pub sink: crate::plan::SinkRef,
    /// The attempts whose staged files may still exist.
    pub attempts: Vec<Attempt>,
}
