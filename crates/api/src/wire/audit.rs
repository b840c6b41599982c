//! Entries of the audit log.

use offtake_api_types::audit::AuditEntry;

/// An entry.
pub(crate) fn entry(it: &offtake_model::audit::AuditEntry) -> AuditEntry {
    AuditEntry {
        id: it.number.to_string(),
        created_at: it.at.0,
        client: it.by.client.to_string(),
        address: it.by.address.clone(),
        operation: it.by.operation.clone(),
        sandbox_name: it.by.tenant.sandbox.to_string(),
        collection: it.object.collection.clone(),
        object_id: it.object.id.clone(),
        before: it.before.clone(),
        after: it.after.clone(),
    }
}
