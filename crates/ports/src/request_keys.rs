//! Keys by which clients repeat requests safely.

use async_trait::async_trait;
use offtake_model::{ClientId, Fault, Millis, Tenant};

/// Remembers what was made under which key, for a week at least.
#[async_trait]
pub trait RequestKeys: Send + Sync {
    /// Takes the key, durably, unless it was taken before; then gives what was.
    async fn take(&self, tenant: &Tenant, wanted: &RequestKey)
    -> Result<Option<RequestKey>, Fault>;
}

/// A key and what it stands for. Keys of two clients, or for two collections, have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Whose it is.
    pub client: ClientId,
    /// What is made.
    pub collection: String,
    /// The key.
    pub key: String,
    /// Digest of what the request asks for.
    pub request_sha256: [u8; 32],
    /// Id of what is made.
    pub made: String,
    /// When it was taken.
    pub taken_at: Millis,
}
