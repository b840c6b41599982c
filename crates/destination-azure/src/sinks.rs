//! Opens containers and file systems by reference.
//!
//! Tokens are kept from one opening to the next, for as long as their connection says the same.
//!
//! The one law: what a connection says is revealed here, when a sink is opened, and serves that connection only.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use offtake_model::plan::DestinationKind;
use offtake_model::{ConnectionId, ErrorCode, Fault, SinkRef, Tenant};
use offtake_ports::{Access, Credentials, Explorer, FolderEntry, Sinks, StagedSink};
use offtake_storage::{Door, Network, Retries};
use serde_json::Value;

use crate::adls::{AdlsSink, Application, Hierarchical, Lake, LakeAddress, Principal};
use crate::blob::{BlobSink, Blobs};
use crate::client::Client;
use crate::connection_string::Account;
use crate::login::Login;
use crate::place::Place;

/// Applications whose tokens are remembered; beyond, all are forgotten and asked for again when they are needed.
const PRINCIPALS_MAX: usize = 256;

/// The containers of Azure Blob Storage and the file systems of Azure Data Lake Gen2.
pub struct AzureSinks {
    door: Door,
    credentials: Arc<dyn Credentials>,
    retries: Retries,
    principals: Mutex<HashMap<(Tenant, ConnectionId), Arc<Principal>>>,
    hierarchical: Hierarchical,
}

impl fmt::Debug for AzureSinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureSinks").finish_non_exhaustive()
    }
}

impl AzureSinks {
    /// Sinks that speak through this network, with what the connections say.
    pub fn new(network: &Network, credentials: Arc<dyn Credentials>, retries: Retries) -> Self {
        Self {
            door: network.door(),
            credentials,
            retries,
            principals: Mutex::default(),
            hierarchical: Hierarchical::default(),
        }
    }

    async fn opened(&self, sink: &SinkRef) -> Result<Opened, Fault> {
        let access = self
            .credentials
            .access(&sink.tenant, &sink.connection)
            .await?;
        match access.kind {
            DestinationKind::AzureBlob => self.blob(sink, &access).map(Opened::Blob),
            DestinationKind::AdlsGen2 => self.adls(sink, &access).map(Opened::Adls),
            DestinationKind::S3
            | DestinationKind::LandingZone
            | DestinationKind::Gcs
            | DestinationKind::Sftp => Err(Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!(
                    "open the sink of connection {}: it is no connection to Azure",
                    sink.connection
                ),
            )),
        }
    }

    fn blob(&self, sink: &SinkRef, access: &Access) -> Result<BlobSink, Fault> {
        let container = sink.container.as_deref().ok_or_else(|| {
            Fault::new(
                ErrorCode::Internal,
                format!(
                    "open the sink of connection {}: no container is named",
                    sink.connection
                ),
            )
        })?;
        let text = access
            .secrets
            .get("connectionString")
            .ok_or_else(|| lacks("connectionString"))?;
        let account = Account::parse(text)?;
        let place = Place::below(&account.endpoint, container);
        let login = Login::from(account.access);
        let client = Client::new(self.door.clone(), self.retries, login, place);
        Ok(BlobSink::new(Blobs::new(client)))
    }

    fn adls(&self, sink: &SinkRef, access: &Access) -> Result<AdlsSink, Fault> {
        let text = |name: &'static str| access.params.get(name).and_then(Value::as_str);
        let word = |name: &'static str| {
            let found = text(name).filter(|it| is_word(it));
            found.map(str::to_owned).ok_or_else(|| lacks(name))
        };
        let LakeAddress {
            endpoint,
            system,
            folder,
            authority,
        } = LakeAddress::parse(text("url").ok_or_else(|| lacks("url"))?)?;
        let secret = access
            .secrets
            .get("servicePrincipalKey")
            .ok_or_else(|| lacks("servicePrincipalKey"))?;
        let authority = text("authority").unwrap_or(authority);
        let application = Application {
            authority: authority.trim_end_matches('/').to_owned(),
            tenant: word("tenant")?,
            id: word("servicePrincipalId")?,
            secret: secret.clone(),
        };
        let login = Login::Principal(self.principal(sink, application));
        let place = Place::below(&endpoint, &system);
        let client = Client::new(self.door.clone(), self.retries, login, place);
        let hierarchical = Arc::clone(&self.hierarchical);
        Ok(AdlsSink::new(
            Lake::new(client, folder),
            format!("{endpoint}/{system}"),
            hierarchical,
        ))
    }

    /// The connection's application, with the token it has, while it is the same application.
    fn principal(&self, sink: &SinkRef, application: Application) -> Arc<Principal> {
        let mut known = self
            .principals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let name = (sink.tenant.clone(), sink.connection);
        if let Some(principal) = known.get(&name)
            && principal.application().is(&application)
        {
            return Arc::clone(principal);
        }
        if known.len() >= PRINCIPALS_MAX {
            known.clear();
        }
        let principal = Principal::new(self.door.clone(), self.retries, application);
        let principal = Arc::new(principal);
        known.insert(name, Arc::clone(&principal));
        principal
    }
}

/// A place at either service.
enum Opened {
    Blob(BlobSink),
    Adls(AdlsSink),
}

#[async_trait]
impl Sinks for AzureSinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        Ok(match self.opened(sink).await? {
            Opened::Blob(sink) => Arc::new(sink),
            Opened::Adls(sink) => Arc::new(sink),
        })
    }

    fn judge(&self, access: &Access) -> Result<(), Fault> {
        match access.secrets.get("connectionString") {
            Some(text) => Account::parse(text).map(drop),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Explorer for AzureSinks {
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        match self.opened(sink).await? {
            Opened::Blob(sink) => sink.explore(folder, limit).await,
            Opened::Adls(sink) => sink.explore(folder, limit).await,
        }
    }
}

/// Whether the text can be a part of an address: ids and domains are.
fn is_word(text: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-._".contains(&letter);
    (1..=253).contains(&text.len()) && text.bytes().all(plain)
}

fn lacks(name: &str) -> Fault {
    Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!(
            "open a place at Azure: the connection's parameter `{name}` is missing or not valid"
        ),
    )
}
