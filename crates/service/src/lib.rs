//! Use-cases of offtake's resources: identity, specs, datasets, connections, flows and runs.
//!
//! No HTTP, no SQL, no rule: requests come as JSON values, `core` says whether they are legal, the ports keep
//! what came of them, and answers are views for a surface to render.
//!
//! The one law: a refused request leaves nothing behind. Everything is checked before the one write.

mod access;
mod audit;
mod batches;
mod connections;
mod credentials;
mod datasets;
mod drafts;
mod entity;
mod etag;
mod explore;
mod files;
mod flows;
mod identity;
mod inherit;
mod keys;
mod landing_zone;
mod listing;
mod oidc;
mod once;
mod patch;
mod previews;
mod quotas;
mod recovery;
mod runs;
mod service;
mod sources;
mod specs;
mod targets;
mod token;
mod trial;
mod walk;

pub use access::{ClientMade, NewSecret};
pub use audit::{AuditEntries, AuditParams};
// What a surface needs of the rules and the ports to hand bytes through.
pub use offtake_core::calendar::http_date;
pub use offtake_ports::{
    Depth, FolderEntry, Part, RangeReader, Upload, ZoneEntry, ZoneFile, ZoneQuery,
};
pub use offtake_ports::{OpenZoneFile, ZoneKeys, ZonePage, ZonePlace};

pub use batches::{
    BatchAction, BatchListQuery, BatchMeta, PREVIEW_OPTIONS, UploadPreviewQuery, UploadTarget,
};
pub use connections::{AUTHORIZED_DATE, ConnectionView, secrets_place};
pub use credentials::StoredCredentials;
// What the rules show of an export's folders is shown as it is.
pub use offtake_core::plan::{Preview, PreviewedDataset};

pub use datasets::{
    ConfigsQuery, DatasetEdit, DatasetPage, DatasetQuery, DatasetView, LastBatches, Saving,
};
pub use drafts::Start;
pub use entity::Entity;
pub use explore::{ExploreQuery, Explored};
pub use files::DataFileView;
pub use flows::{FlowAction, FlowView};
pub use identity::{Caller, FirstClient, Grant, IssuedToken, Presented, SandboxView};
pub use inherit::{ConnectionHead, TargetHead};
pub use keys::KeysView;
pub use landing_zone::{
    LandingZone, ShownSignature, ZONES, ZoneBackend, ZoneCredentials, ZoneReader, ZoneView,
    signed_url,
};
pub use listing::{ListParams, Listed, Listing};
pub use oidc::{OidcAlgorithm, OidcSettings};
pub use once::Once;
pub use quotas::OrganisationView;
pub use recovery::{DatasetVerdict, HeldFlowView, ReconcileVerdict, ReconcileWish};
pub use runs::{AdhocExport, RunAction, RunDetails};
pub use service::{Changed, Deps, Service};
pub use sources::SourceView;
pub use targets::{Proof, TargetView};
pub use trial::Trial;
// What the identity port keeps is shown as it is.
pub use offtake_ports::{ClientRecord, Organisation};
pub use walk::OffsetPage;
