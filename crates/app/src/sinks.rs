//! Which destinations this build delivers to, and who opens their sinks.
//!
//! The one law: the list of available destinations and the way a sink is opened come from one table.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use offtake_destination::S3Sinks;
use offtake_destination_azure::AzureSinks;
use offtake_destination_sftp::SftpSinks;
use offtake_model::{DestinationKind, ErrorCode, Fault, SinkRef};
use offtake_ports::{Credentials, Explorer, FolderEntry, Sinks, StagedSink};
use offtake_storage::{Network, Retries, Roles};

use crate::config::Config;
use crate::wire::Place;
use crate::zone::Zone;

/// Opens the sink of any available destination.
pub(crate) struct SinkRouter {
    table: Vec<(DestinationKind, Arc<dyn Sinks>)>,
    explorers: Vec<(DestinationKind, Arc<dyn Explorer>)>,
}

impl fmt::Debug for SinkRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kinds()).finish()
    }
}

impl SinkRouter {
    /// Every destination of this build, over the landing zone and the network.
    pub(crate) fn of_all(
        place: &Place,
        config: &Config,
        network: &Network,
        zone: &Zone,
        credentials: Arc<dyn Credentials>,
        retries: Retries,
    ) -> Result<Self> {
        let stores = Arc::clone(&credentials);
        let roles = config.aws.sts()?.map(|sts| Roles::new(network, sts));
        let azure = Arc::new(AzureSinks::new(network, Arc::clone(&credentials), retries));
        let buckets = Arc::new(S3Sinks::new(network, stores, retries).with_roles(roles));
        let sftp = config.sftp.settings(&place.data_dir);
        let accounts = SftpSinks::new(network.clone(), credentials, sftp);
        Ok(Self::new(vec![
            (DestinationKind::LandingZone, zone.sinks()),
            (
                DestinationKind::S3,
                Arc::<S3Sinks>::clone(&buckets) as Arc<dyn Sinks>,
            ),
            (
                DestinationKind::Gcs,
                Arc::<S3Sinks>::clone(&buckets) as Arc<dyn Sinks>,
            ),
            (
                DestinationKind::AzureBlob,
                Arc::<AzureSinks>::clone(&azure) as Arc<dyn Sinks>,
            ),
            (DestinationKind::AdlsGen2, azure),
            (DestinationKind::Sftp, Arc::new(accounts)),
        ])
        .with_explorers(vec![
            (DestinationKind::LandingZone, zone.explorer()),
            (
                DestinationKind::S3,
                Arc::<S3Sinks>::clone(&buckets) as Arc<dyn Explorer>,
            ),
            (DestinationKind::Gcs, buckets),
        ]))
    }

    /// Delivers to the destinations of the table.
    pub(crate) const fn new(table: Vec<(DestinationKind, Arc<dyn Sinks>)>) -> Self {
        Self {
            table,
            explorers: Vec::new(),
        }
    }

    /// The same, and looks into the destinations of this table.
    pub(crate) fn with_explorers(
        mut self,
        explorers: Vec<(DestinationKind, Arc<dyn Explorer>)>,
    ) -> Self {
        self.explorers = explorers;
        self
    }

    /// The destinations that can be delivered to.
    pub(crate) fn kinds(&self) -> Vec<DestinationKind> {
        self.table.iter().map(|(kind, _)| *kind).collect()
    }
}

#[async_trait]
impl Sinks for SinkRouter {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        let found = self.table.iter().find(|(kind, _)| *kind == sink.kind);
        let Some((_, sinks)) = found else {
            return Err(Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!(
                    "open the sink of connection {}: this build cannot deliver to its platform",
                    sink.connection
                ),
            ));
        };
        sinks.open(sink).await
    }
}

#[async_trait]
impl Explorer for SinkRouter {
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        let found = self.explorers.iter().find(|(kind, _)| *kind == sink.kind);
        let Some((_, explorer)) = found else {
            return Err(Fault::new(
                ErrorCode::ExploreNotAvailable,
                format!(
                    "look into the destination of connection {}: its platform is not one of those that show their names",
                    sink.connection
                ),
            ));
        };
        explorer.list(sink, folder, limit).await
    }
}
