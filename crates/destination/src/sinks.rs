//! Opens landing zones by reference: one folder per organisation and sandbox below the operator's root.
//!
//! It has no credentials to reveal: the zone belongs to the host.
//!
//! The one law: a tenant's reference opens that tenant's folder and no other.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use offtake_model::plan::DestinationKind;
use offtake_model::{ErrorCode, Fault, SinkRef, Tenant};
use offtake_ports::{
    Depth, Explorer, FolderEntry, RetainedSink, Sinks, StagedSink, ZoneEntry, ZoneFiles, ZoneQuery,
    Zones,
};

use crate::dir::Dir;
use crate::fault;
use crate::folder::{FolderSink, blocking};
use crate::key::plain;
use crate::mark::Marking;

/// The landing zones below one folder of the host.
#[derive(Clone, Debug)]
pub struct FolderSinks {
    root: PathBuf,
    marking: Marking,
}

impl FolderSinks {
    /// Makes the root folder if it is missing.
    pub fn new(root: PathBuf) -> Result<Self, Fault> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(&root);
        made.and_then(|()| Dir::open(&root)).map_err(|error| {
            let attempted =
                "open the landing zone's folder; check `landing_zone.path` in the configuration";
            Fault::new(fault::code(&error), attempted).because(&error)
        })?;
        Ok(Self {
            root,
            marking: Marking::Attribute,
        })
    }

    /// The tenant's folder on the host, whether or not it exists yet.
    pub fn folder(&self, tenant: &Tenant) -> PathBuf {
        self.root
            .join(tenant.org.as_str())
            .join(tenant.sandbox.as_str())
    }

    /// Opens the tenant's landing zone, making its folder if it is missing.
    pub async fn zone(&self, tenant: &Tenant) -> Result<FolderSink, Fault> {
        let (root, marking) = (self.root.clone(), self.marking);
        let tenant = tenant.clone();
        blocking(move || {
            let opened = [tenant.org.as_str(), tenant.sandbox.as_str()]
                .map(|part| plain(part).map(str::to_owned));
            let [Ok(org), Ok(sandbox)] = opened else {
                return Err(Fault::new(
                    ErrorCode::Internal,
                    "open the landing zone: organisation or sandbox is no folder's name",
                ));
            };
            let zone = Dir::open(&root)
                .and_then(|root| root.in_made_folder(&[org, sandbox], Ok))
                .map_err(|error| {
                    let attempted = format!("open the landing zone of sandbox {}", tenant.sandbox);
                    Fault::new(fault::code(&error), attempted).because(&error)
                })?;
            Ok(FolderSink::new(zone, marking))
        })
        .await
    }

    #[cfg(test)]
    pub(crate) fn marking_by_inode(mut self) -> Self {
        self.marking = Marking::Inode;
        self
    }
}

#[async_trait]
impl Sinks for FolderSinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        match sink.kind {
            DestinationKind::LandingZone => Ok(Arc::new(self.zone(&sink.tenant).await?)),
            DestinationKind::S3
            | DestinationKind::AzureBlob
            | DestinationKind::AdlsGen2
            | DestinationKind::Gcs
            | DestinationKind::Sftp => Err(Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!(
                    "open the sink of connection {}: this build delivers to the Data Landing Zone only",
                    sink.connection
                ),
            )),
        }
    }
}

#[async_trait]
impl Zones for FolderSinks {
    async fn zone(&self, tenant: &Tenant) -> Result<Arc<dyn RetainedSink>, Fault> {
        Ok(Arc::new(Self::zone(self, tenant).await?))
    }
}

#[async_trait]
impl Explorer for FolderSinks {
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        let query = ZoneQuery {
            prefix: folder.to_owned(),
            after: None,
            depth: Depth::Shallow,
            limit,
        };
        let page = self.page(&sink.tenant, &query).await?;
        let name = |key: &str| {
            let name = key.strip_prefix(folder).unwrap_or(key);
            name.trim_end_matches('/').to_owned()
        };
        let mut listed: Vec<FolderEntry> = page
            .entries
            .iter()
            .map(|entry| match entry {
                ZoneEntry::Folder(key) => FolderEntry::Folder(name(key)),
                ZoneEntry::File(file) => FolderEntry::File(name(&file.key)),
            })
            .collect();
        listed.sort_unstable();
        Ok(listed)
    }
}
