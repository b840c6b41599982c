//! The audit log's nouns: who changes something, through which operation, from where.

use crate::id::{ClientId, OrgId, SandboxName, Tenant};
use crate::time::Millis;

/// Who changes something. Part of every method that changes what an administrator answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The client's organisation and the sandbox of its request.
    pub tenant: Tenant,
    /// The client; [`Actor::SERVICE`] for the service itself.
    pub client: ClientId,
    /// Method and path of the operation, as the table of operations has them.
    pub operation: String,
    /// The address that the request came from, where it is known.
    pub address: Option<String>,
}

impl Actor {
    /// Stands for the client where the service acts by itself.
    pub const SERVICE: &'static str = "offtake";

    /// The service itself.
    pub fn service(tenant: Tenant, operation: &str) -> Self {
        Self {
            tenant,
            client: ClientId(Self::SERVICE.to_owned()),
            operation: operation.to_owned(),
            address: None,
        }
    }

    /// Whether a person or program outside stands behind it.
    pub fn is_client(&self) -> bool {
        self.client.as_str() != Self::SERVICE
    }
}

/// One change, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number: grows by every change, never used twice.
    pub number: u64,
    /// When.
    pub at: Millis,
    /// Who.
    pub by: Actor,
    /// What was changed.
    pub object: AuditObject,
    /// SHA-256 of the object as it was stored before, in hexadecimal; none when it was made.
    pub before: Option<String>,
    /// SHA-256 of the object as it is stored since; none when it was deleted.
    pub after: Option<String>,
}

/// What was changed: a collection's name and an id in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditObject {
    /// Such as `flows` or `clients`.
    pub collection: String,
    /// The id.
    pub id: String,
}

impl AuditObject {
    /// The object of that id.
    pub fn new(collection: &str, id: impl Into<String>) -> Self {
        Self {
            collection: collection.to_owned(),
            id: id.into(),
        }
    }
}

/// Which entries. Fields that are absent let everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// By this client.
    pub client: Option<ClientId>,
    /// In this sandbox.
    pub sandbox: Option<SandboxName>,
    /// Of objects in this collection.
    pub collection: Option<String>,
    /// Of the object of this id.
    pub object: Option<String>,
    /// Not before this instant.
    pub since: Option<Millis>,
    /// Before this instant.
    pub until: Option<Millis>,
}

/// Which page of an organisation's entries, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The organisation.
    pub org: OrgId,
    /// Below this number, when it is not the first page.
    pub below: Option<u64>,
    /// At most this many.
    pub limit: u32,
}
