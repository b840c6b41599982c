//! What a restored store and a destination know of one flow's deliveries, and how the store catches up.
//!
//! A restored store remembers less than its destinations: what was delivered after the backup stands there in
//! manifests.

use crate::delivery::{Cursor, CursorMove};
use crate::fault::Fault;
use crate::id::{DatasetId, DeliveryId, FlowId, Tenant};
use crate::manifest::Manifest;
use crate::plan::{ExportSpec, SinkRef};

/// A flow whose deliveries wait because the store was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFlow {
    /// Whose it is.
    pub tenant: Tenant,
    /// The flow.
    pub flow: FlowId,
    /// Why it could not go on when it was last tried.
    pub refusal: Option<Fault>,
}

/// What the store knows of a held flow.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownFlow {
    /// Its datasets: those it has delivered and those it was about to.
    pub datasets: Vec<KnownDataset>,
    /// The wishes of its newest run and of every run that has not ended: where manifests may lie.
    pub specs: Vec<ExportSpec>,
}

/// What the store knows of a flow's deliveries of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDataset {
    /// The dataset.
    pub dataset: DatasetId,
    /// Where the flow stands in it.
    pub cursor: Option<Cursor>,
    /// The manifest of the delivery that brought it there.
    pub newest: Option<KnownManifest>,
    /// Deliveries that have not ended.
    pub open: Vec<OpenDelivery>,
    /// Deliveries that were delivered.
    pub delivered: Vec<DeliveryId>,
    /// Deliveries that ended without a manifest.
    pub undelivered: Vec<DeliveryId>,
}

/// A manifest that the store saw written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownManifest {
    /// Where.
    pub sink: SinkRef,
    /// Its key.
    pub key: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// A delivery that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The number that its plan gives the cursor; absent without a plan, and for runs that never move it.
    pub seq: Option<u64>,
}

/// A manifest as it lies at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundManifest {
    /// Its key.
    pub key: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// What it says.
    pub manifest: Manifest,
}

/// How the store catches up with what was delivered of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// The dataset.
    pub dataset: DatasetId,
    /// Deliveries to be written down as made.
    pub delivered: Vec<FoundManifest>,
    /// The number that the cursor has now; 0 when there is none.
    pub stood: u64,
    /// Where the cursor goes, when it goes.
    pub cursor: Option<CursorMove>,
    /// Open deliveries whose rows another one has delivered; they are aborted.
    pub superseded: Vec<DeliveryId>,
}
