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
use offtake_ports::{Access, Credentials, Explorer, FolderEntry, Sinks, StagedSink};
use offtake_storage::{Network, Retries, Roles};

use crate::config::Config;
use crate::wire::Place;
use crate::zone::Zone;

/// Opens the sink of any available destination, and looks into it.
pub(crate) struct SinkRouter {
    table: Vec<(DestinationKind, Arc<dyn Platform>)>,
}

/// What a destination's platform can do for us.
pub(crate) trait Platform: Sinks + Explorer {}

impl<T: Sinks + Explorer> Platform for T {}

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
        let table: Vec<(DestinationKind, Arc<dyn Platform>)> = vec![
            (DestinationKind::LandingZone, zone.platform()),
            (DestinationKind::S3, Arc::<S3Sinks>::clone(&buckets)),
            (DestinationKind::Gcs, buckets),
            (DestinationKind::AzureBlob, Arc::<AzureSinks>::clone(&azure)),
            (DestinationKind::AdlsGen2, azure),
            (DestinationKind::Sftp, Arc::new(accounts)),
        ];
        Ok(Self { table })
    }

    /// The destinations that can be delivered to.
    pub(crate) fn kinds(&self) -> Vec<DestinationKind> {
        self.table.iter().map(|(kind, _)| *kind).collect()
    }

    fn platform(&self, sink: &SinkRef) -> Result<&dyn Platform, Fault> {
        let found = self.table.iter().find(|(kind, _)| *kind == sink.kind);
        found.map(|(_, platform)| &**platform).ok_or_else(|| {
            Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!(
                    "open the destination of connection {}: this build cannot deliver to its platform",
                    sink.connection
                ),
            )
        })
    }
}

#[async_trait]
impl Sinks for SinkRouter {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        self.platform(sink)?.open(sink).await
    }

    fn judge(&self, access: &Access) -> Result<(), Fault> {
        let mut of_kind = self.table.iter().filter(|(kind, _)| *kind == access.kind);
        of_kind.try_for_each(|(_, platform)| platform.judge(access))
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
        self.platform(sink)?.list(sink, folder, limit).await
    }
}
