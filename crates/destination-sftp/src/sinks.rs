//! Opens SFTP sinks by reference.
//!
//! The one law: an account's secrets are revealed here, for the account that the tenant's connection names, only.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use offtake_model::plan::DestinationKind;
use offtake_model::{ConnectionId, ErrorCode, Fault, SinkRef, Tenant};
use offtake_ports::{Access, Credentials, Sinks, StagedSink};
use offtake_storage::Network;

use crate::pool::Account;
use crate::sink::SftpSink;
use crate::target::{self, Target};

/// Connections to one account at a time, unless the operator says otherwise: servers limit them.
const CONNECTIONS_MAX: usize = 4;

/// Accounts remembered at a time; beyond, all are forgotten and opened again when they are needed.
const ACCOUNTS_MAX: usize = 256;

/// What an operator can say about SFTP.
#[derive(Clone, Debug)]
pub struct SftpSettings {
    /// A known-hosts file for servers whose connections pin no key.
    pub known_hosts: Option<PathBuf>,
    /// Where keys of servers met for the first time are recorded. None: an unknown server is refused.
    pub first_use: Option<PathBuf>,
    /// Most connections to one account at a time.
    pub connections_max: usize,
    /// What to do about a file that the server's side took away before it was seen.
    pub on_ambiguous: OnAmbiguous,
}

impl Default for SftpSettings {
    fn default() -> Self {
        Self {
            known_hosts: None,
            first_use: None,
            connections_max: CONNECTIONS_MAX,
            on_ambiguous: OnAmbiguous::Hold,
        }
    }
}

/// What to do when neither the staged nor the final file is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAmbiguous {
    /// Stop, so that a person looks: the file was probably delivered and taken.
    #[default]
    Hold,
    /// Send it again: a reader may get it twice.
    Resend,
}

/// The SFTP accounts of all tenants.
pub struct SftpSinks {
    network: Network,
    credentials: Arc<dyn Credentials>,
    settings: SftpSettings,
    accounts: Mutex<HashMap<(Tenant, ConnectionId), Known>>,
}

/// An account as its connection was when it was last opened.
struct Known {
    print: [u8; 32],
    account: Arc<Account>,
}

impl fmt::Debug for SftpSinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SftpSinks").finish_non_exhaustive()
    }
}

impl SftpSinks {
    /// Opens nothing yet.
    pub fn new(
        network: Network,
        credentials: Arc<dyn Credentials>,
        settings: SftpSettings,
    ) -> Self {
        Self {
            network,
            credentials,
            settings,
            accounts: Mutex::default(),
        }
    }

    /// The account that the connection names now.
    pub(crate) async fn account_of(&self, sink: &SinkRef) -> Result<Arc<Account>, Fault> {
        if sink.kind != DestinationKind::Sftp {
            return Err(Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!(
                    "open the sink of connection {}: it is not an SFTP connection",
                    sink.connection
                ),
            ));
        }
        let access = self
            .credentials
            .access(&sink.tenant, &sink.connection)
            .await?;
        self.account(sink, &access)
    }

    fn account(&self, sink: &SinkRef, access: &Access) -> Result<Arc<Account>, Fault> {
        let print = target::print_of(access);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (sink.tenant.clone(), sink.connection);
        if let Some(known) = accounts.get(&name)
            && known.print == print
        {
            return Ok(Arc::clone(&known.account));
        }
        let target = Target::from_access(access)?;
        let account = Arc::new(Account::new(
            self.network.clone(),
            target,
            self.settings.clone(),
        ));
        let known = Known {
            print,
            account: Arc::clone(&account),
        };
        if accounts.len() >= ACCOUNTS_MAX {
            accounts.clear();
        }
        accounts.insert(name, known);
        Ok(account)
    }
}

#[async_trait]
impl Sinks for SftpSinks {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        Ok(Arc::new(SftpSink::new(self.account_of(sink).await?)))
    }
}
