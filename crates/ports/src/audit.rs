//! The audit log: written with the change it tells of, read by administrators, never changed.

use async_trait::async_trait;
use offtake_model::audit::{Actor, AuditEntry, AuditObject, AuditPage, AuditQuery};
use offtake_model::{Fault, Millis};

/// Keeps the log. Stores that change something for an [`Actor`] write its entry themselves, in the transaction of
/// the change.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Writes down a change that is about to happen outside the store, such as the bytes of an upload. It comes
    /// first, so that no change goes without an entry; an entry may tell of a change that failed then.
    async fn record(&self, by: &Actor, object: &AuditObject) -> Result<(), Fault>;

    /// Entries of one organisation, newest first.
    async fn entries(&self, query: &AuditQuery, page: &AuditPage)
    -> Result<Vec<AuditEntry>, Fault>;

    /// Removes entries older than `before`, at most `limit` of them, oldest first. Says how many.
    async fn purge(&self, before: Millis, limit: u32) -> Result<u64, Fault>;
}
