//! The connections of one account: so many at a time, reused while they are warm.
//!
//! The one law: a connection on which anything went wrong is never handed out again.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use offtake_model::{ErrorCode, Fault};
use offtake_storage::Network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::session::Session;
use crate::sinks::SftpSettings;
use crate::target::Target;
use crate::trust::Trust;

/// How long an unused connection is kept.
const IDLE_FOR: Duration = Duration::from_secs(15);

/// How long somebody waits for a connection that others use.
const WAIT_MAX: Duration = Duration::from_mins(10);

/// One account and its connections.
pub(crate) struct Account {
    network: Network,
    target: Target,
    settings: SftpSettings,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(Instant, Session)>>,
}

/// A connection in somebody's hands. Dropping it closes it; [`Leased::give_back`] keeps it for the next.
pub(crate) struct Leased {
    account: Arc<Account>,
    session: Session,
    permit: OwnedSemaphorePermit,
}

impl Account {
    pub(crate) fn new(network: Network, target: Target, settings: SftpSettings) -> Self {
        let permits = Arc::new(Semaphore::new(settings.connections_max.max(1)));
        Self {
            network,
            target,
            settings,
            permits,
            idle: Mutex::default(),
        }
    }

    pub(crate) const fn settings(&self) -> &SftpSettings {
        &self.settings
    }

    /// A connection: a warm one when there is one.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Leased, Fault> {
        let permit = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = permit.await else {
            return Err(Fault::new(
                ErrorCode::DestinationUnreachable,
                "wait for one of the SFTP account's connections: all are in use",
            ));
        };
        let session = match self.warm() {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(Leased {
            account: Arc::clone(self),
            session,
            permit,
        })
    }

    async fn connect(&self) -> Result<Session, Fault> {
        let server = (self.target.host.clone(), self.target.port);
        let pinned = self.target.host_keys.clone();
        let (known, record) = (
            self.settings.known_hosts.clone(),
            self.settings.first_use.clone(),
        );
        let gather = move || {
            let server = (server.0.as_str(), server.1);
            Trust::gather(server, &pinned, known.as_deref(), record.as_deref())
        };
        let failed = |error| Fault::new(ErrorCode::Internal, "read known hosts").because(&error);
        let trust = tokio::task::spawn_blocking(gather)
            .await
            .map_err(failed)
            .flatten()?;
        Session::open(&self.network, &self.target, trust).await
    }

    fn warm(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, session)| session.alive() && since.elapsed() < IDLE_FOR);
        idle.pop().map(|(_, session)| session)
    }

    fn keep(self: &Arc<Self>, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((Instant::now(), session));
        drop(idle);
        let account: Weak<Self> = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE_FOR).await;
            if let Some(account) = account.upgrade() {
                let mut idle = account.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|(since, _)| since.elapsed() < IDLE_FOR);
            }
        });
    }
}

impl Leased {
    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Replaces a connection that ended.
    pub(crate) async fn renew(&mut self) -> Result<(), Fault> {
        self.session = self.account.connect().await?;
        Ok(())
    }

    pub(crate) fn give_back(self) {
        let Self {
            account,
            session,
            permit,
        } = self;
        if session.alive() {
            account.keep(session);
        }
        drop(permit);
    }
}
