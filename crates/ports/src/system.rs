//! The only sources of time, randomness and plaintext.

use std::time::Duration;

use async_trait::async_trait;
use offtake_model::resource::SealedSecret;
use offtake_model::{Fault, Millis, Tenant};
use secrecy::SecretString;

/// Reads and waits for time. Safety never depends on it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The instant now.
    fn now(&self) -> Millis;

    /// Returns when `duration` has passed by this clock.
    async fn sleep(&self, duration: Duration);
}

/// Makes random ids and keys.
pub trait Ids: Send + Sync {
    /// 16 random bytes, for version-4 UUIDs and opaque ids.
    fn bytes16(&self) -> [u8; 16];
}

/// Seals and reveals secrets. The associated data binds ciphertext to its place: moved elsewhere it does not open.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Encrypts `plaintext` for one field of one tenant's resource.
    async fn seal(
        &self,
        tenant: &Tenant,
        place: &str,
        plaintext: &SecretString,
    ) -> Result<SealedSecret, Fault>;

    /// Decrypts what `seal` made for the same tenant and place.
    async fn reveal(
        &self,
        tenant: &Tenant,
        place: &str,
        sealed: &SealedSecret,
    ) -> Result<SecretString, Fault>;
}
