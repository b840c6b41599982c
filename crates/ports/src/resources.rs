//! Resources by tenant, with revisions. Whoever changes one is written down with the change.

use async_trait::async_trait;
use offtake_model::{Actor, Fault, Millis, Resource, ResourceId, ResourceKind, Revision, Tenant};

/// Keeps resources. Every method is confined to one tenant; another tenant's resource does not exist.
#[async_trait]
pub trait ResourceStore: Send + Sync {
    /// The resource, unless it is missing, deleted or hidden.
    async fn get(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
    ) -> Result<Option<Resource>, Fault>;

    /// A page of resources, newest first (by `createdAt`, then id), keyset-paged. A page with fewer items than asked
    /// for may still name a next one.
    async fn list(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        query: &ResourceQuery,
        page: &PageRequest,
    ) -> Result<Page<Resource>, Fault>;

    /// How many match.
    async fn count(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        query: &ResourceQuery,
    ) -> Result<u64, Fault>;

    /// Inserts a new resource at revision 1.
    async fn insert(&self, resource: &Resource, by: &Actor) -> Result<(), Fault>;

    /// Replaces the resource when its revision is still `expected`; the stored revision becomes `expected + 1`.
    async fn replace(
        &self,
        resource: &Resource,
        expected: Revision,
        by: &Actor,
    ) -> Result<Replaced, Fault>;

    /// Deletes the resource. A flow with unfinished deliveries is hidden, its deliveries are asked to cancel.
    async fn delete(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
        by: &Actor,
    ) -> Result<bool, Fault>;

    /// Ids of the flows that use this connection (base, source or target) and are not deleted.
    async fn flows_using(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
    ) -> Result<Vec<ResourceId>, Fault>;
}

/// Which resources; what is absent narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceQuery {
    /// Of this name.
    pub name: Option<String>,
    /// Flows in this state, in the spelling of `FlowState`.
    pub state: Option<String>,
    /// Of this flow spec or connection spec.
    pub spec: Option<String>,
    /// Made then.
    pub created: Span,
}

/// Instants from one to another, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub from: Option<Millis>,
    /// Not after.
    pub to: Option<Millis>,
}

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many.
    pub limit: u32,
    /// After this resource: its creation instant in milliseconds, and its id.
    pub after: Option<(i64, String)>,
    /// Skips this many first; for the offset-paged calls of the contract (4.6).
    pub offset: u64,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, when there is one.
    pub next: Option<(i64, String)>,
}

/// The outcome of a replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Replaced {
    /// Done.
    Done,
    /// The revision had moved on, or the resource is gone; nothing changed.
    Conflict,
}
