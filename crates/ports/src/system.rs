//! The only sources of time, randomness and plaintext.

use std::time::Duration;

use async_trait::async_trait;
use offtake_model::resource::SealedSecret;
use offtake_model::{Fault, Millis, Tenant};
use secrecy::{SecretBox, SecretString};

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

/// A key derived for one purpose; wiped when it is dropped.
pub type DerivedKey = SecretBox<[u8; 32]>;

/// One of the keys behind secrets and tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// Its name, which stands in what it sealed.
    pub id: String,
    /// Since when another key has taken over from it; none for the current one.
    pub former_since: Option<Millis>,
    /// Secrets that are sealed with it.
    pub secrets: u64,
}

/// The keys behind secrets and tokens: one that is used, and former ones that are still understood.
#[async_trait]
pub trait Keys: Send + Sync {
    /// A key for another purpose from each of them, the current one's first.
    fn derive(&self, purpose: &str) -> Vec<DerivedKey>;

    /// All of them, the current one first.
    async fn list(&self) -> Result<Vec<KeyState>, Fault>;

    /// Makes a new key the current one, and gives its id. Durable when it returns.
    async fn rotate(&self) -> Result<String, Fault>;

    /// Seals anew what former keys have sealed, a bounded number at a time. Says how many.
    async fn reseal(&self) -> Result<u64, Fault>;

    /// Removes former keys that are so for longer than that and have nothing sealed any more. Gives their ids.
    async fn retire(&self, older_than: Duration) -> Result<Vec<String>, Fault>;
}
