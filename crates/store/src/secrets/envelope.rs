//! The form of a sealed secret: `v1.<key id>.<wrapped key>.<ciphertext>`.
//!
//! AES-256-GCM-SIV, so that random nonces stay safe for as many secrets as anybody seals. Both parts are bound to
//! tenant, place and form by associated data.
//!
//! The one law: plaintext and keys leave no copies behind in memory of ours.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offtake_model::{ErrorCode, Fault, Tenant};
use zeroize::Zeroizing;

use super::KEY_BYTES;

pub(super) const FORM: &str = "v1";
const TAG_BYTES: usize = 16;

/// Seals and opens with one wrapping key.
pub(super) struct Envelope {
    key_id: String,
    wrapping: RandomizedNonceKey,
}

impl Envelope {
    /// An envelope around a wrapping key, which the key id names in what is sealed.
    pub(super) fn new(wrapping: &[u8], key_id: String) -> Result<Self, Fault> {
        let wrapping = RandomizedNonceKey::new(&AES_256_GCM_SIV, wrapping)
            .map_err(|_| broken("prepare the key for", "secrets"))?;
        Ok(Self { key_id, wrapping })
    }

    /// The name of the key.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Seals for one place of one tenant.
    pub(super) fn seal(
        &self,
        tenant: &Tenant,
        place: &str,
        plaintext: &[u8],
    ) -> Result<String, Fault> {
        let aad = Self::binding(tenant, place, &self.key_id);
        self.try_seal(&aad, plaintext)
            .map_err(|_| broken("seal", place))
    }

    /// Opens what was sealed with this key for the same place of the same tenant.
    pub(super) fn open(
        &self,
        tenant: &Tenant,
        place: &str,
        text: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let mut parts = text.split('.');
        let (form, key_id, wrapped, sealed) =
            (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(FORM), Some(key_id), Some(wrapped), Some(sealed), None) =
            (form, key_id, wrapped, sealed, parts.next())
        else {
            return Err(broken("read the form of", place));
        };
        let aad = Self::binding(tenant, place, key_id);
        self.try_open(&aad, wrapped, sealed)
            .map_err(|_| broken("open", place))
    }

    fn try_seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<String, Unspecified> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(key.as_mut_slice())?;
        let data_key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key.as_slice())?;
        let wrapped = encrypt(&self.wrapping, aad, key.as_slice())?;
        let sealed = encrypt(&data_key, aad, plaintext)?;
        Ok(format!("{FORM}.{}.{wrapped}.{sealed}", self.key_id))
    }

    fn try_open(
        &self,
        aad: &[u8],
        wrapped: &str,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let key = decrypt(&self.wrapping, aad, wrapped)?;
        let data_key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)?;
        decrypt(&data_key, aad, sealed)
    }

    /// Each part is preceded by its length, so that no two places spell the same.
    fn binding(tenant: &Tenant, place: &str, key_id: &str) -> Vec<u8> {
        let mut aad = Vec::new();
        for part in [
            FORM,
            key_id,
            tenant.org.as_str(),
            tenant.sandbox.as_str(),
            place,
        ] {
            aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        aad
    }
}

/// The key that a sealed text names.
pub(super) fn key_id_of(text: &str) -> Option<&str> {
    let (form, rest) = text.split_once('.')?;
    let (key_id, _) = rest.split_once('.')?;
    (form == FORM).then_some(key_id)
}

fn encrypt(key: &RandomizedNonceKey, aad: &[u8], plaintext: &[u8]) -> Result<String, Unspecified> {
    // With room for the tag from the start the buffer never moves, so no copy of the plaintext is left.
    let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG_BYTES));
    buffer.extend_from_slice(plaintext);
    let nonce = key.seal_in_place_append_tag(Aad::from(aad), &mut *buffer)?;
    let mut bytes = nonce.as_ref().to_vec();
    bytes.extend_from_slice(&buffer);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn decrypt(
    key: &RandomizedNonceKey,
    aad: &[u8],
    text: &str,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Unspecified)?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(Unspecified)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce)?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let length = key.open_in_place(nonce, Aad::from(aad), &mut buffer)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

/// Says no more than that it failed: why would help whoever tampers.
pub(super) fn broken(verb: &str, place: &str) -> Fault {
    Fault::new(
        ErrorCode::Internal,
        format!("failed to {verb} the secret of {place}; give the credentials again"),
    )
}
