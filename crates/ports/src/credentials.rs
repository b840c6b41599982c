//! Credentials of base connections, for whoever opens a sink.

use std::collections::BTreeMap;

use async_trait::async_trait;
use offtake_model::resource::Object;
use offtake_model::{ConnectionId, DestinationKind, Fault, Tenant};
use secrecy::SecretString;

/// What a base connection says. Secrets are in the clear here: it is made where a sink is opened and dropped with it.
#[derive(Clone, Debug)]
pub struct Access {
    /// The platform.
    pub kind: DestinationKind,
    /// Name of the way to authenticate; none for the landing zone.
    pub auth: Option<String>,
    /// Parameters that may be shown; secret ones stand here masked.
    pub params: Object,
    /// Secret parameters by name. `Debug` does not show them.
    pub secrets: BTreeMap<String, SecretString>,
}

/// Reads what a base connection says.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The connection's parameters as they are now; a connection of another tenant does not exist.
    async fn access(&self, tenant: &Tenant, connection: &ConnectionId) -> Result<Access, Fault>;
}
