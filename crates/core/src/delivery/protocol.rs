//! What the machine says and hears. Each command has exactly one kind of answer, named beside it.
//!
//! The one law: an answer is what is known, never what is hoped; an unknown outcome is a fault.

use std::collections::BTreeMap;
use std::time::Duration;

use offtake_model::{
    AttemptId, DeliveryRecord, DeliveryState, ExportPlan, Fault, StageHandle, StageToken,
    Transition, Winner,
};

/// What the driver is to do. Commands are performed in order; those marked *slow* may run beside later ones.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryCommand {
    /// Reads the record under the lease. Answer: `Loaded`, or `Fenced`.
    Load,
    /// Slow. Makes the plan from cursor and lake, both read now. Answer: `Planned`.
    Plan,
    /// Applies a transition to the delivery's row. Answer: `Applied`, or `Fenced`.
    Apply(Transition),
    /// Slow. Journals an attempt at the task, runs it, journals its handle. Answer:
    /// `TaskSealed`, `TaskFailed` or `TaskNotStarted`.
    RunTask(u32),
    /// Drops every running task; no more is heard of them.
    StopTasks,
    /// Records a winner. Answer: `Recorded`, or `Fenced`.
    Record(Box<Winner>),
    /// Slow. Makes a frozen file visible. Answer: `Published`.
    Publish {
        /// The task.
        task: u32,
        /// Its frozen file.
        token: StageToken,
    },
    /// Slow. Looks at the final name. Answer: `Looked`.
    Look {
        /// The task.
        task: u32,
        /// Its frozen file.
        token: StageToken,
    },
    /// Slow. Discards what an attempt staged and, when nothing remains, journals that. Answer: `Discarded`.
    Discard {
        /// The attempt.
        attempt: AttemptId,
        /// Its handle.
        handle: StageHandle,
    },
    /// Slow. Removes an attempt's visible file if it is the attempt's own, and journals that. Answer: `Retracted`.
    Retract {
        /// The attempt.
        attempt: AttemptId,
        /// Its handle.
        handle: StageHandle,
    },
    /// Builds the manifest of the record's plan and winners. Answer: `ManifestBuilt`.
    BuildManifest {
        /// The destination's tags of the published files, by task, for those that have one.
        etags: BTreeMap<u32, String>,
    },
    /// Slow. Puts the documented manifest. Answer: `ManifestPut`.
    PutFileManifest {
        /// Its key.
        key: String,
    },
    /// Slow. Puts the frozen bytes of our manifest. Answer: `ManifestPut`.
    PutManifest {
        /// Its key.
        key: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Slow. Waits, keeping the lease. Answer: `Woken`.
    Pause {
        /// Why, for the log.
        fault: Fault,
        /// How long.
        delay: Duration,
    },
    /// Ends this claim. Nothing is answered any more.
    Stop(StopReason),
}

/// Why a claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The delivery reached a terminal state.
    Ended(DeliveryState),
    /// It waits in its row; the lease is to be released.
    Waiting,
    /// It waits for a person.
    Quarantined,
    /// The process shuts down; the lease is to be released.
    Shutdown,
    /// Somebody else holds it: touch nothing outside.
    Fenced,
    /// The journal failed, so it is unknown what was written; the next claim reads it.
    Journal(Fault),
    /// The record was not in a state to work on.
    NothingToDo,
}

/// What came of a command, or happened meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryEvent {
    /// The delivery was claimed and its record read.
    Claimed,
    /// The record as read again.
    Loaded(Box<DeliveryRecord>),
    /// The plan, or why there is none.
    Planned(Result<Box<ExportPlan>, Fault>),
    /// A task's file is staged.
    TaskSealed(Box<Winner>),
    /// A task that was waiting for its turn will not get one before the process ends.
    TaskNotStarted {
        /// The task.
        task: u32,
    },
    /// An attempt at a task failed.
    TaskFailed {
        /// The task.
        task: u32,
        /// Why.
        fault: Fault,
    },
    /// The journal's word on a winner.
    Recorded {
        /// The winner as sent.
        winner: Box<Winner>,
        /// The word.
        answer: RecordAnswer,
    },
    /// The destination's word on a publish.
    Published {
        /// The task.
        task: u32,
        /// The word.
        answer: Result<PublishAnswer, Fault>,
    },
    /// What lies at a final name.
    Looked {
        /// The task.
        task: u32,
        /// What was seen.
        answer: Result<Sight, Fault>,
    },
    /// The destination's word on a discard.
    Discarded {
        /// The attempt.
        attempt: AttemptId,
        /// The word.
        answer: Result<DiscardAnswer, Fault>,
    },
    /// The destination's word on a retraction.
    Retracted {
        /// The attempt.
        attempt: AttemptId,
        /// The word.
        answer: Result<(), Fault>,
    },
    /// The manifest's bytes.
    ManifestBuilt(Result<ManifestBytes, Fault>),
    /// The destination's word on a manifest.
    ManifestPut(Result<(), Fault>),
    /// A transition was applied.
    Applied,
    /// A pause is over.
    Woken,
    /// Somebody asked to cancel.
    CancelRequested,
    /// The process is about to end: start nothing new.
    ShutdownRequested,
    /// A write was refused, or the lease can no longer be counted on.
    Fenced,
    /// A read or write of the journal failed.
    JournalFailed(Fault),
}

/// The journal's word on a winner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAnswer {
    /// It is the task's winner.
    Won,
    /// Another attempt is; this one is to be discarded.
    Lost,
}

/// The destination's word on a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishAnswer {
    /// The file is visible.
    Done,
    /// The staged file is gone.
    Lost,
    /// Another writer's file lies at the name.
    Conflict,
    /// It cannot be told.
    Ambiguous,
}

/// The destination's word on a discard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardAnswer {
    /// Nothing remains and nothing can become visible.
    Gone,
    /// The file is visible.
    WasPublished,
}

/// What lies at a final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing.
    Absent,
    /// The token's own file.
    Ours {
        /// Its size.
        bytes: u64,
        /// The destination's tag for it.
        etag: Option<String>,
    },
    /// Somebody else's file.
    Foreign,
}

/// A manifest as it will be kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestBytes {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256 in hexadecimal.
    pub sha256: String,
}
