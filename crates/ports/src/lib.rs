//! The seams of offtake: small role traits with written contracts, their in-memory fakes and public
//! conformance suites (feature `testing`).
//!
//! A trait here names no foreign world: no SQL, no HTTP, no Arrow. Outcomes that a caller must branch on
//! are `#[must_use]` enums; a [`Fault`](offtake_model::Fault) is for failure.
//!
//! The one law: an adapter is correct when its port's conformance suite says so.

pub mod audit;
pub mod batches;
pub mod credentials;
pub mod engine;
pub mod explore;
pub mod identity;
pub mod intake;
pub mod journal;
pub mod lake;
pub mod oidc;
pub mod probe;
pub mod recovery;
pub mod request_keys;
pub mod resources;
pub mod retention;
pub mod runs;
pub mod sink;
pub mod system;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod zone;

pub use audit::AuditLog;
pub use batches::{BatchStore, Inserted};
pub use credentials::{Access, Credentials};
pub use engine::{Engine, TaskEvent, TaskRequest};
pub use explore::{Explorer, FolderEntry};
pub use identity::{ClientRecord, FormerSecret, IdentityStore, Organisation, Sandbox};
pub use intake::{Intake, Part, Upload, Uploads};
pub use journal::{Applied, DeliveryJournal, DeliveryQueue, Enqueued, Recorded, Tick};
pub use lake::{Catalog, Lake, LakeRoots, RangeReader, RowMasks, Sources, TableInfo};
pub use oidc::KeySetSource;
pub use recovery::RecoveryStore;
pub use request_keys::{RequestKey, RequestKeys};
pub use resources::{Page, PageRequest, Replaced, ResourceQuery, ResourceStore, Span};
pub use retention::{Outdated, RetainedSink, RetentionLog, Withdrawn, Zones};
pub use runs::{RunLog, RunQuery};
pub use sink::{Discarded, EndOfStream, Published, Seen, Sinks, StagedSink, StagedUpload};
pub use system::{Clock, DerivedKey, Ids, KeyState, Keys, Secrets};
pub use zone::{
    Depth, OpenZoneFile, ZoneEntry, ZoneFile, ZoneFiles, ZoneGrants, ZoneIssuer, ZoneKeys,
    ZonePage, ZonePlace, ZoneQuery,
};
