//! Taking delivered files away when the time that they are kept is over.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{DeliveryId, ExportPlan, Fault, Millis, StageHandle, Tenant};

use crate::sink::StagedSink;

/// Opens the sinks whose files are kept for a time only.
#[async_trait]
pub trait Zones: Send + Sync {
    /// The tenant's landing zone.
    async fn zone(&self, tenant: &Tenant) -> Result<Arc<dyn RetainedSink>, Fault>;
}

/// A sink from which also what was [put](StagedSink::put) can be taken away again.
#[async_trait]
pub trait RetainedSink: StagedSink {
    /// Removes the small file at the key if, and only if, it holds exactly these bytes.
    async fn withdraw(&self, key: &str, bytes: &Bytes) -> Result<Withdrawn, Fault>;
}

/// The outcome of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Withdrawn {
    /// Nothing of it is visible any more.
    Gone,
    /// Something else lies at the key; it was left alone.
    Foreign,
}

/// Says which deliveries to a landing zone have been there long enough, and remembers which were taken away.
#[async_trait]
pub trait RetentionLog: Send + Sync {
    /// Deliveries to landing zones that succeeded before `before` and were not taken away, of all tenants, in the
    /// order of their numbers, from the one after `after` on.
    async fn outdated(
        &self,
        before: Millis,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Outdated>, Fault>;

    /// Notes that nothing of the delivery is visible any more.
    async fn expired(&self, tenant: &Tenant, delivery: DeliveryId) -> Result<(), Fault>;
}

/// A delivery whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// Its place in the order of arrival.
    pub number: i64,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Whose zone it lies in.
    pub tenant: Tenant,
    /// The head of what was planned, without its tasks: the keys of the manifests.
    pub plan: ExportPlan,
    /// The manifest's bytes.
    pub manifest: Bytes,
    /// The delivered files.
    pub files: Vec<StageHandle>,
}
