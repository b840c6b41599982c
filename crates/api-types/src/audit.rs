//! Entries of the audit log. An extension.

use serde::{Deserialize, Serialize};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number, growing by every change.
    pub id: String,
    /// When, in epoch milliseconds.
    pub created_at: i64,
    /// The client; `offtake` for the service itself.
    pub client: String,
    /// The address that the request came from, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Method and path of the operation.
    pub operation: String,
    /// The sandbox of the request.
    pub sandbox_name: String,
    /// The collection of the object that was changed.
    pub collection: String,
    /// The object's id.
    pub object_id: String,
    /// SHA-256 of what was stored before; absent when the object was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// SHA-256 of what is stored since; absent when the object was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}
