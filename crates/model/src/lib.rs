//! The nouns of offtake: ids, resources, schedules, change sets, plans, tasks, manifests, leases and faults.
//!
//! No IO, no clock, no randomness and no async lives here; a value of this crate never decides anything.
//! Types derive `Serialize` only where they cross a boundary as themselves: plan, task, manifest and the
//! values inside them. Their serialised form has a version and a golden test.
//!
//! The one law: an export is a plan whose answer is its manifest.

pub mod access;
pub mod audit;
pub mod batch;
pub mod change;
pub mod delivery;
pub mod fault;
pub mod id;
pub mod manifest;
pub mod plan;
pub mod quota;
pub mod recovery;
pub mod resource;
pub mod run;
pub mod schedule;
pub mod schema;
pub mod time;

pub use access::{Permission, Role, RoleBinding};
pub use audit::Actor;
pub use batch::{Batch, BatchState};
pub use change::{
    ChangeSet, Changes, FileSlice, FolderFile, FolderListing, Position, RowGroup, RowRange,
    SeenFolder, SourceRef,
};
pub use delivery::{
    Attempt, AttemptTag, DeliveryRecord, DeliveryState, Lease, Resolution, SealedFile, StageHandle,
    StageToken, Transition, Winner,
};
pub use fault::{ErrorCode, Fault, Retry};
pub use id::{
    AttemptId, BatchId, ClientId, ConnectionId, DatasetId, DeliveryId, FlowId, OrgId, ResourceId,
    RunId, SandboxName, Tenant,
};
pub use manifest::{Manifest, ManifestFile};
pub use plan::{
    Compression, DestinationKind, ExportPlan, ExportSpec, FileRules, FileTask, FileType, GzipLevel,
    GzipMembers, GzipRules, OnRewrite, OutputEncoding, PlannedTask, SinkRef,
};
pub use quota::{Quotas, Usage};
pub use recovery::{
    CatchUp, FoundManifest, HeldFlow, KnownDataset, KnownFlow, KnownManifest, OpenDelivery,
};
pub use resource::{Resource, ResourceBody, ResourceKind, Revision};
pub use run::{Run, RunKind, RunMetrics};
pub use schedule::{ExportMode, Schedule, TimeUnit};
pub use schema::{DataType, Field, Schema};
pub use time::Millis;
