//! The folder as a bench of the conformance suite, seen by a reader through the host's own file system.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::plan::DestinationKind;
use offtake_model::{AttemptId, AttemptTag, ConnectionId, DeliveryId, Fault, OrgId};
use offtake_model::{SandboxName, SinkRef, StageToken, Tenant};
use offtake_ports::testing::SinkBench;
use offtake_ports::{EndOfStream, Sinks, StagedSink};
use uuid::Uuid;

use super::FolderSinks;

pub(crate) struct Bench {
    root: tempfile::TempDir,
    over: fn(FolderSinks) -> FolderSinks,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::over(|sinks| sinks)
    }

    pub(crate) fn over(over: fn(FolderSinks) -> FolderSinks) -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root, over }
    }

    pub(crate) fn folder_sinks(&self) -> FolderSinks {
        (self.over)(FolderSinks::new(self.root.path().to_owned()).unwrap())
    }

    /// The zone's folder on the host.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder_sinks().folder(&tenant())
    }

    /// A view of the zone as after a restart.
    pub(crate) async fn open(&self) -> Arc<dyn StagedSink> {
        self.folder_sinks().open(&sink()).await.unwrap()
    }

    pub(crate) async fn stage(&self, key: &str, attempt: u128, bytes: &[u8]) -> StageToken {
        let mut upload = self.open().await.begin(key, &tag(attempt)).await.unwrap();
        upload.write(Bytes::copy_from_slice(bytes)).await.unwrap();
        let proof = EndOfStream {
            bytes: bytes.len() as u64,
        };
        upload.seal(proof).await.unwrap()
    }

    /// Everything below the zone's folder, hidden things and folders too.
    pub(crate) fn everything(&self) -> Vec<String> {
        walk(&self.folder(), "", true)
    }
}

#[async_trait]
impl SinkBench for Bench {
    fn sinks(&self) -> Arc<dyn Sinks> {
        Arc::new(self.folder_sinks())
    }

    fn sink(&self) -> SinkRef {
        sink()
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        match fs::read(self.folder().join(key)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => panic!("read {key}: {error}"),
        }
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        Ok(walk(&self.folder(), "", false))
    }
}

pub(crate) fn tenant() -> Tenant {
    Tenant {
        org: OrgId("ABCDEF0123456789ABCDEF01@AdobeOrg".to_owned()),
        sandbox: SandboxName("prod".to_owned()),
    }
}

pub(crate) fn sink() -> SinkRef {
    SinkRef {
        kind: DestinationKind::LandingZone,
        tenant: tenant(),
        connection: ConnectionId(Uuid::nil()),
        container: None,
    }
}

pub(crate) fn tag(attempt: u128) -> AttemptTag {
    AttemptTag {
        delivery: DeliveryId(Uuid::from_u128(7)),
        task: 3,
        attempt: AttemptId(Uuid::from_u128(attempt)),
    }
}

fn walk(folder: &Path, prefix: &str, all: bool) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let key = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            if all {
                found.push(format!("{key}/"));
            }
            found.extend(walk(&entry.path(), &format!("{key}/"), all));
        } else if all || !name.starts_with('.') {
            found.push(key);
        }
    }
    found.sort();
    found
}
