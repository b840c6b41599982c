//! What requests are signed with.
//!
//! The one law: credentials are passed on, never kept in text, never shown.

use std::sync::Arc;
use std::time::SystemTime;

use offtake_model::Fault;
use offtake_storage::AzureSigner;

use crate::adls::Principal;
use crate::client::Failure;
use crate::connection_string::BlobAccess;
use crate::sas::Sas;

/// How a place lets us in.
pub(crate) enum Login {
    /// By the account's key.
    Key(AzureSigner),
    /// By a shared access signature.
    Sas(Sas),
    /// By tokens of an application.
    Principal(Arc<Principal>),
}

impl Login {
    /// The signer that is good now.
    pub(crate) async fn signer(&self) -> Result<AzureSigner, Failure> {
        Ok(match self {
            Self::Key(signer) => signer.clone(),
            Self::Sas(sas) => sas.signer(),
            // Repeated there already, where that helps.
            Self::Principal(principal) => principal.signer().await.map_err(Failure::Impossible)?,
        })
    }

    /// Refuses what nothing can be begun with.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), Fault> {
        match self {
            Self::Key(_) | Self::Principal(_) => Ok(()),
            Self::Sas(sas) => sas.check(now),
        }
    }

    /// Whether what was used has certainly ended.
    pub(crate) fn has_ended(&self, now: SystemTime) -> bool {
        match self {
            Self::Key(_) | Self::Principal(_) => false,
            Self::Sas(sas) => sas.has_ended(now),
        }
    }

    /// Forgets what was refused. `false` when there would be nothing else to use.
    pub(crate) async fn forget(&self) -> bool {
        match self {
            Self::Key(_) | Self::Sas(_) => false,
            Self::Principal(principal) => {
                principal.forget().await;
                true
            }
        }
    }
}

impl From<BlobAccess> for Login {
    fn from(access: BlobAccess) -> Self {
        match access {
            BlobAccess::Key(signer) => Self::Key(signer),
            BlobAccess::Sas(sas) => Self::Sas(sas),
        }
    }
}
