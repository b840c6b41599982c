//! Reads base connections back for whoever opens a sink, secrets in the clear.
//!
//! It answers no request: the use-cases of connections never see plaintext.
//!
//! The one law: plaintext exists only in what it answers, and only for the tenant that owns it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use offtake_core::specs;
use offtake_model::resource::{Auth, Connection, Object};
use offtake_model::{
    ConnectionId, ErrorCode, Fault, Resource, ResourceBody, ResourceId, ResourceKind, Tenant,
};
use offtake_ports::{Access, Credentials, ResourceStore, Secrets};
use secrecy::{ExposeSecret, SecretString};

use crate::connections::secrets_place;

/// The credentials of stored connections.
#[derive(Clone)]
pub struct StoredCredentials {
    resources: Arc<dyn ResourceStore>,
    secrets: Arc<dyn Secrets>,
}

impl fmt::Debug for StoredCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredentials").finish_non_exhaustive()
    }
}

impl StoredCredentials {
    /// Reads connections from `resources` and opens their secrets with `secrets`.
    pub fn new(resources: Arc<dyn ResourceStore>, secrets: Arc<dyn Secrets>) -> Self {
        Self { resources, secrets }
    }

    async fn revealed(
        &self,
        tenant: &Tenant,
        id: &ConnectionId,
        auth: &Auth,
    ) -> Result<BTreeMap<String, SecretString>, Fault> {
        let Some(sealed) = &auth.sealed else {
            return Ok(BTreeMap::new());
        };
        let place = secrets_place(&id.to_string());
        let plain = self.secrets.reveal(tenant, &place, sealed).await?;
        // The error of a parser could repeat the text; it is left out.
        let object: Object = serde_json::from_str(plain.expose_secret())
            .map_err(|_| broken(id, "its sealed credentials are no JSON object"))?;
        Ok(texts(&object))
    }
}

/// The secret parameters as texts.
pub(crate) fn texts(secrets: &Object) -> BTreeMap<String, SecretString> {
    let named = secrets.iter().map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), SecretString::from(text))
    });
    named.collect()
}

#[async_trait]
impl Credentials for StoredCredentials {
    async fn access(&self, tenant: &Tenant, id: &ConnectionId) -> Result<Access, Fault> {
        let kind = ResourceKind::Connection;
        let found = self
            .resources
            .get(tenant, kind, &ResourceId(id.to_string()))
            .await?;
        let connection = found.and_then(body).ok_or_else(|| {
            Fault::new(
                ErrorCode::ConnectionNotUsable,
                format!("open base connection {id}: it does not exist any more"),
            )
        })?;
        let kind = specs::connection_spec(&connection.spec.id)
            .and_then(specs::ConnectionSpec::kind)
            .ok_or_else(|| broken(id, "its spec is not that of a destination"))?;
        let Some(auth) = connection.auth else {
            return Ok(Access {
                kind,
                auth: None,
                params: Object::new(),
                secrets: BTreeMap::new(),
            });
        };
        Ok(Access {
            kind,
            secrets: self.revealed(tenant, id, &auth).await?,
            auth: Some(auth.spec_name),
            params: auth.shown,
        })
    }
}

fn body(resource: Resource) -> Option<Connection> {
    match resource.body {
        ResourceBody::Connection(connection) => Some(connection),
        ResourceBody::Source(_)
        | ResourceBody::Target(_)
        | ResourceBody::Flow(_)
        | ResourceBody::Dataset(_) => None,
    }
}

fn broken(id: &ConnectionId, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::Internal,
        format!("open base connection {id}: {reason}"),
    )
}
