//! Where requests get the keys they are signed with. Asked for every request, so that short-lived keys can be renewed.
//!
//! The one law: keys are passed on, never kept in text, never shown.

use async_trait::async_trait;
use offtake_model::Fault;
use offtake_storage::{AwsKeys, Roles};

/// Gives the keys to sign with.
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// The keys that are good now.
    async fn keys(&self) -> Result<AwsKeys, Fault>;

    /// Hears that the store called the last keys expired. The next [`Self::keys`] should give others, where it can.
    fn expired(&self) {}
}

/// Keys that stay as they are.
#[derive(Clone)]
pub struct FixedKeys(pub AwsKeys);

#[async_trait]
impl KeyProvider for FixedKeys {
    async fn keys(&self) -> Result<AwsKeys, Fault> {
        Ok(self.0.clone())
    }
}

/// Keys of a role that trusts the operator of this installation, renewed while they are used.
#[derive(Clone, Debug)]
pub(crate) struct RoleKeys {
    pub(crate) roles: Roles,
    pub(crate) arn: String,
    pub(crate) external_id: String,
}

#[async_trait]
impl KeyProvider for RoleKeys {
    async fn keys(&self) -> Result<AwsKeys, Fault> {
        self.roles.keys(&self.arn, Some(&self.external_id)).await
    }

    fn expired(&self) {
        self.roles.forget(&self.arn, Some(&self.external_id));
    }
}
