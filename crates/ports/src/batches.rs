//! Batches by tenant, with revisions.

use async_trait::async_trait;
use offtake_model::batch::{Batch, BatchQuery};
use offtake_model::{Actor, BatchId, Fault, Millis, Revision, Tenant};

use crate::resources::{Page, PageRequest, Replaced};

/// Keeps batches. Methods that take a tenant are confined to it; another tenant's batch does not exist.
#[async_trait]
pub trait BatchStore: Send + Sync {
    /// Inserts a new batch at revision 1, unless one with the same external id of the same dataset is open or
    /// succeeded; that one is the answer then.
    async fn insert(&self, batch: &Batch, by: &Actor) -> Result<Inserted, Fault>;

    /// The batch.
    async fn get(&self, tenant: &Tenant, id: &BatchId) -> Result<Option<Batch>, Fault>;

    /// A page of batches, newest first, keyset-paged.
    async fn list(
        &self,
        tenant: &Tenant,
        query: &BatchQuery,
        page: &PageRequest,
    ) -> Result<Page<Batch>, Fault>;

    /// Replaces state and details when the revision is still `expected`; the stored revision becomes `expected + 1`.
    /// Steps of the promotion are nobody's.
    async fn replace(
        &self,
        batch: &Batch,
        expected: Revision,
        by: Option<&Actor>,
    ) -> Result<Replaced, Fault>;

    /// Batches of all tenants that wait for their promotion or are in it, those completed first first.
    async fn waiting(&self, limit: u32) -> Result<Vec<Batch>, Fault>;

    /// Batches of all tenants that take files still and have not changed since `before`.
    async fn stale(&self, before: Millis, limit: u32) -> Result<Vec<Batch>, Fault>;
}

/// The outcome of an insert.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Inserted {
    /// It is new.
    New,
    /// There was one with its external id.
    Known(Box<Batch>),
}
