//! Opens containers by reference.
//!
//! The one law: what a connection says is revealed here, when a sink is opened, and kept nowhere else.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use offtake_model::plan::DestinationKind;
use offtake_model::{ErrorCode, Fault, SinkRef};
use offtake_ports::{Access, Credentials, Sinks, StagedSink};
use offtake_storage::{Door, Network, Retries};

use crate::blob::{BlobSink, Blobs};
use crate::client::Client;
use crate::connection_string::Account;
use crate::login::Login;
use crate::place::Place;

/// The containers of Azure Blob Storage.
pub struct AzureSinks {
    door: Door,
    credentials: Arc<dyn Credentials>,
    retries: Retries,
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
}

#[async_trait]
impl Sinks for AzureSinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        let access = self
            .credentials
            .access(&sink.tenant, &sink.connection)
            .await?;
        match access.kind {
            DestinationKind::AzureBlob => Ok(Arc::new(self.blob(sink, &access)?)),
            DestinationKind::S3
            | DestinationKind::AdlsGen2
            | DestinationKind::LandingZone
            | DestinationKind::Gcs
            | DestinationKind::Sftp => Err(Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!(
                    "open the sink of connection {}: it is no connection to Azure Blob Storage",
                    sink.connection
                ),
            )),
        }
    }
}

fn lacks(name: &str) -> Fault {
    Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!("open a container: the connection's parameter `{name}` is missing or not valid"),
    )
}
