//! Opens buckets by reference.
//!
//! The one law: what a connection says is revealed here, when a sink is opened, and kept nowhere else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use offtake_model::{ErrorCode, Fault, SinkRef};
use offtake_ports::{Credentials, Explorer, FolderEntry, Sinks, StagedSink};
use offtake_storage::{Door, Network, Retries, Roles};

use super::client::{Client, Region};
use super::settings::Settings;
use super::sink::S3Sink;

/// Buckets whose region is remembered.
const REGIONS_MAX: usize = 1_000;

/// The buckets of Amazon S3, its compatibles and Google Cloud Storage.
pub struct S3Sinks {
    door: Door,
    credentials: Arc<dyn Credentials>,
    retries: Retries,
    /// Takes on roles of customers, where the operator has keys to do so.
    roles: Option<Roles>,
    /// Regions that stores named, by bucket, so that a bucket elsewhere is asked after once.
    regions: Mutex<BTreeMap<String, Region>>,
}

impl S3Sinks {
    /// Sinks that speak through this network, with what the connections say.
    pub fn new(network: &Network, credentials: Arc<dyn Credentials>, retries: Retries) -> Self {
        Self {
            door: network.door(),
            credentials,
            retries,
            roles: None,
            regions: Mutex::default(),
        }
    }

    /// The same, able to take on roles.
    #[must_use]
    pub fn with_roles(mut self, roles: Option<Roles>) -> Self {
        self.roles = roles;
        self
    }

    fn region(&self, settings: &Settings) -> Region {
        let region = || Arc::new(Mutex::new(settings.region.clone()));
        if settings.region_fixed {
            return region();
        }
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if regions.len() >= REGIONS_MAX {
            regions.clear();
        }
        let bucket = settings.location.bucket().to_owned();
        Arc::clone(regions.entry(bucket).or_insert_with(region))
    }
}

impl S3Sinks {
    async fn bucket(&self, sink: &SinkRef) -> Result<S3Sink, Fault> {
        let bucket = sink.container.as_deref().ok_or_else(|| {
            Fault::new(
                ErrorCode::Internal,
                format!(
                    "open the sink of connection {}: no bucket is named",
                    sink.connection
                ),
            )
        })?;
        let access = self
            .credentials
            .access(&sink.tenant, &sink.connection)
            .await?;
        let settings = Settings::read(&access, bucket, &sink.tenant.org, self.roles.as_ref())?;
        let region = self.region(&settings);
        let client = Client::new(self.door.clone(), self.retries, settings, region);
        Ok(S3Sink::new(client))
    }
}

#[async_trait]
impl Sinks for S3Sinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        Ok(Arc::new(self.bucket(sink).await?))
    }
}

#[async_trait]
impl Explorer for S3Sinks {
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        self.bucket(sink).await?.explore(folder, limit).await
    }
}
