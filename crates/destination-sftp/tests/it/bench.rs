//! A server's account as a bench of the conformance suite, seen by a reader through the host's own file system.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use async_trait::async_trait;
use bytes::Bytes;
use offtake_destination_sftp::{SftpSettings, SftpSinks};
use offtake_model::plan::DestinationKind;
use offtake_model::{
    AttemptId, AttemptTag, ConnectionId, DeliveryId, Fault, OrgId, SandboxName, SinkRef,
    StageToken, Tenant,
};
use offtake_ports::testing::SinkBench;
use offtake_ports::{Access, Credentials, EndOfStream, Sinks, StagedSink};
use offtake_storage::{Network, NetworkSettings};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::{ODD_PASSWORD, Server};

/// One account on a server of the test's own.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) params: Value,
    pub(crate) secrets: BTreeMap<&'static str, String>,
    pub(crate) settings: SftpSettings,
    folder: String,
}

impl Bench {
    /// OpenSSH, by key, with the host key pinned.
    pub(crate) fn openssh() -> Self {
        Self::over(Server::openssh())
    }

    pub(crate) fn over(server: Server) -> Self {
        let params = json!({
            "domain": "127.0.0.1", "port": server.port, "username": "root", "hostKeys": [server.host_key()],
        });
        let secrets = BTreeMap::from([("sshKey", server.key())]);
        Self {
            server,
            params,
            secrets,
            settings: SftpSettings::default(),
            folder: String::new(),
        }
    }

    /// The server that misbehaves as the user name says, by password.
    pub(crate) fn odd(user: &str) -> Self {
        let server = Server::odd();
        let params = json!({
            "host": "127.0.0.1", "port": server.port, "username": user, "hostKeys": server.host_key(),
        });
        Self {
            server,
            params,
            secrets: BTreeMap::from([("password", ODD_PASSWORD.to_owned())]),
            settings: SftpSettings::default(),
            folder: user.to_owned(),
        }
    }

    pub(crate) fn sftp_sinks(&self) -> SftpSinks {
        let network = Network::new(NetworkSettings {
            allow: vec!["127.0.0.0/8".to_owned()],
            ..NetworkSettings::default()
        });
        let secrets = self.secrets.iter();
        let access = Access {
            kind: DestinationKind::Sftp,
            auth: None,
            params: self.params.as_object().unwrap().clone(),
            secrets: secrets
                .map(|(name, text)| ((*name).to_owned(), SecretString::from(text.as_str())))
                .collect(),
        };
        SftpSinks::new(
            network.unwrap(),
            Arc::new(Fixed(access)),
            self.settings.clone(),
        )
    }

    /// A view of the account as after a restart.
    pub(crate) async fn open(&self) -> Arc<dyn StagedSink> {
        self.sftp_sinks().open(&sink()).await.unwrap()
    }

    /// What a first use of the account says.
    pub(crate) async fn probe(&self) -> Result<(), Fault> {
        self.sftp_sinks().open(&sink()).await?.probe().await
    }

    pub(crate) async fn stage(
        &self,
        key: &str,
        attempt: u128,
        bytes: &Bytes,
    ) -> Result<StageToken, Fault> {
        let mut upload = self.open().await.begin(key, &tag(attempt)).await?;
        for chunk in bytes.chunks(100_000) {
            upload.write(Bytes::copy_from_slice(chunk)).await?;
        }
        let bytes = bytes.len() as u64;
        upload.seal(EndOfStream { bytes }).await
    }

    /// Everything below the account's folder, hidden things too.
    pub(crate) fn everything(&self) -> Vec<String> {
        walk(&self.root(), "", true)
    }

    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.server.root().join(&self.folder)
    }
}

struct Fixed(Access);

#[async_trait]
impl Credentials for Fixed {
    async fn access(&self, _: &Tenant, _: &ConnectionId) -> Result<Access, Fault> {
        Ok(Access {
            kind: self.0.kind,
            auth: self.0.auth.clone(),
            params: self.0.params.clone(),
            secrets: self.0.secrets.clone(),
        })
    }
}

#[async_trait]
impl SinkBench for Bench {
    fn sinks(&self) -> Arc<dyn Sinks> {
        Arc::new(self.sftp_sinks())
    }

    fn sink(&self) -> SinkRef {
        sink()
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        match fs::read(self.root().join(key)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => panic!("read {key}: {error}"),
        }
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        Ok(walk(&self.root(), "", false))
    }
}

pub(crate) fn sink() -> SinkRef {
    SinkRef {
        kind: DestinationKind::Sftp,
        tenant: Tenant {
            org: OrgId("ABCDEF0123456789ABCDEF01@AdobeOrg".to_owned()),
            sandbox: SandboxName("prod".to_owned()),
        },
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
            found.extend(walk(&entry.path(), &format!("{key}/"), all));
        } else if all || !name.starts_with('.') {
            found.push(key);
        }
    }
    found.sort();
    found
}
