//! An issuer of tokens outside.

use async_trait::async_trait;
use offtake_model::Fault;

/// Fetches the keys that an issuer signs with.
#[async_trait]
pub trait KeySetSource: Send + Sync {
    /// The issuer's document of keys (RFC 7517), as it is now. How often to ask is the caller's business.
    async fn fetch(&self) -> Result<Vec<u8>, Fault>;
}
