//! Secrets at rest: sealed with a key that lies in a file beside the database.
//!
//! Each secret has a random key of its own, which the key file's key wraps; changing the key file's key later
//! means wrapping anew, not encrypting anew. Whoever has both the database and the key file can read the secrets.
//!
//! The one law: ciphertext opens only for the tenant and place it was sealed for.

mod envelope;
mod key_file;

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use offtake_model::resource::SealedSecret;
use offtake_model::{ErrorCode, Fault, Tenant};
use offtake_ports::Secrets;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use envelope::Envelope;

/// Bytes of every key.
const KEY_BYTES: usize = 32;

const WRAPPING: &str = "secrets/wrapping/v1";
const KEY_ID: &str = "secrets/key-id/v1";
const KEY_ID_CHARS: usize = 8;

/// Seals secrets with the key in `offtake.key`.
pub struct KeyFileSecrets {
    master: Zeroizing<[u8; KEY_BYTES]>,
    envelope: Envelope,
}

impl fmt::Debug for KeyFileSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFileSecrets").finish_non_exhaustive()
    }
}

impl KeyFileSecrets {
    /// Reads the key file of a data directory; makes it with a random key when there is none.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` when the file cannot be read or written, holds no key, or could be read by others.
    pub fn open(dir: &Path) -> Result<Self, Fault> {
        let master = key_file::read_or_create(dir)?;
        let mut key_id = hex::encode(derive(&master, KEY_ID));
        key_id.truncate(KEY_ID_CHARS);
        let wrapping = Zeroizing::new(derive(&master, WRAPPING));
        let envelope = Envelope::new(wrapping.as_slice(), key_id)?;
        Ok(Self { master, envelope })
    }

    /// A key for another purpose, always the same for the same key file and purpose.
    pub fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        derive(&self.master, purpose)
    }
}

/// HKDF-SHA256's expansion to one block. The file's key is uniformly random, so nothing needs extracting first.
fn derive(master: &[u8; KEY_BYTES], purpose: &str) -> [u8; KEY_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, master));
    context.update(b"offtake/");
    context.update(purpose.as_bytes());
    context.update(&[1]);
    let block = context.sign();
    let mut key = [0; KEY_BYTES];
    key.iter_mut()
        .zip(block.as_ref())
        .for_each(|(to, from)| *to = *from);
    key
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
            .envelope
            .seal(tenant, place, plaintext.expose_secret().as_bytes())?;
        Ok(SealedSecret { text })
    }

    async fn reveal(
        &self,
        tenant: &Tenant,
        place: &str,
        sealed: &SealedSecret,
    ) -> Result<SecretString, Fault> {
        let plaintext = self.envelope.open(tenant, place, &sealed.text)?;
        let text = std::str::from_utf8(&plaintext).map_err(|_| {
            Fault::new(
                ErrorCode::Internal,
                format!("the secret of {place} is not text"),
            )
        })?;
        Ok(SecretString::from(text))
    }
}
