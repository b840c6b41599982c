//! Secrets at rest: sealed with a key that lies in a file beside the database.
//!
//! Each secret has a random key of its own, which the key file's key wraps. Whoever has both the database and the key
//! file can read the secrets. The key can be changed while the service runs, see [`rotation`].
//!
//! The one law: ciphertext opens only for the tenant and place it was sealed for.

mod envelope;
mod key_file;
mod ring;
mod rotation;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use offtake_model::resource::SealedSecret;
use offtake_model::{ErrorCode, Fault, Tenant};
use offtake_ports::{DerivedKey, Secrets};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub use key_file::former_keys;
use ring::Ring;
pub use rotation::StoredKeys;

/// Bytes of every key.
const KEY_BYTES: usize = 32;

/// Seals secrets with the key in `offtake.key`. Clones share their keys.
#[derive(Clone)]
pub struct KeyFileSecrets {
    dir: PathBuf,
    ring: Arc<RwLock<Arc<Ring>>>,
}

impl fmt::Debug for KeyFileSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFileSecrets").finish_non_exhaustive()
    }
}

impl KeyFileSecrets {
    /// Reads the key files of a data directory; makes the first with a random key when there is none.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` when a file cannot be read or written, holds no key, or could be read by others.
    pub fn open(dir: &Path) -> Result<Self, Fault> {
        Ok(Self {
            dir: dir.to_path_buf(),
            ring: Arc::new(RwLock::new(Arc::new(Ring::open(dir)?))),
        })
    }

    /// Keys for another purpose, always the same for the same key file and purpose: the current key's first, then
    /// those of keys that are not retired yet.
    pub fn derive(&self, purpose: &str) -> Vec<DerivedKey> {
        let keys = self.ring().derive(purpose);
        keys.into_iter()
            .map(|key| DerivedKey::new(Box::new(*key)))
            .collect()
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again.
    fn reload(&self) -> Result<Arc<Ring>, Fault> {
        let ring = Arc::new(Ring::open(&self.dir)?);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&ring);
        Ok(ring)
    }

    fn open_text(
        &self,
        tenant: &Tenant,
        place: &str,
        text: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if let Some(opened) = self.ring().open_text(tenant, place, text) {
            return opened;
        }
        // A worker process learns of a new key when it meets what the service sealed with it.
        let ring = self.reload()?;
        let opened = ring.open_text(tenant, place, text);
        opened.unwrap_or_else(|| Err(ring.unknown(place, text)))
    }
}

#[async_trait]
impl Secrets for KeyFileSecrets {
    async fn seal(
        &self,
        tenant: &Tenant,
        place: &str,
        plaintext: &SecretString,
    ) -> Result<SealedSecret, Fault> {
        let text = self
            .ring()
            .seal(tenant, place, plaintext.expose_secret().as_bytes())?;
        Ok(SealedSecret { text })
    }

    async fn reveal(
        &self,
        tenant: &Tenant,
        place: &str,
        sealed: &SealedSecret,
    ) -> Result<SecretString, Fault> {
        let plaintext = self.open_text(tenant, place, &sealed.text)?;
        let text = std::str::from_utf8(&plaintext).map_err(|_| {
            Fault::new(
                ErrorCode::Internal,
                format!("the secret of {place} is not text"),
            )
        })?;
        Ok(SecretString::from(text))
    }
}
