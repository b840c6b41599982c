//! The keys in use: one that seals, and those it took over from, which open until they are retired.
//!
//! The one law: the key that seals is the one in `offtake.key`.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use offtake_model::{ErrorCode, Fault, Tenant};
use zeroize::Zeroizing;

use super::envelope::{self, Envelope};
use super::{KEY_BYTES, key_file};

const WRAPPING: &str = "secrets/wrapping/v1";
const KEY_ID: &str = "secrets/key-id/v1";
const KEY_ID_CHARS: usize = 8;

/// Keys as they were read.
pub(super) struct Ring {
    current: Key,
    former: Vec<Key>,
}

/// One key and what it is used for.
pub(super) struct Key {
    master: Zeroizing<[u8; KEY_BYTES]>,
    envelope: Envelope,
}

impl Key {
    pub(super) fn new(master: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, Fault> {
        let id = id_of(&master);
        let wrapping = Zeroizing::new(derive(&master, WRAPPING));
        let envelope = Envelope::new(wrapping.as_slice(), id)?;
        Ok(Self { master, envelope })
    }

    pub(super) fn id(&self) -> &str {
        self.envelope.key_id()
    }
}

impl Ring {
    /// Reads every key of a directory; makes the first one.
    pub(super) fn open(dir: &Path) -> Result<Self, Fault> {
        let current = Key::new(key_file::read_or_create(dir)?)?;
        let mut former = Vec::new();
        for path in key_file::former_keys(dir)? {
            let key = Key::new(key_file::read_path(&path)?)?;
            // A rotation that was cut off has kept a second name of a key that is still the current one.
            if key.id() != current.id() {
                former.push(key);
            }
        }
        Ok(Self { current, former })
    }

    pub(super) fn current(&self) -> &Key {
        &self.current
    }

    pub(super) fn former_ids(&self) -> Vec<String> {
        self.former.iter().map(|key| key.id().to_owned()).collect()
    }

    pub(super) fn seal(&self, tenant: &Tenant, place: &str, plain: &[u8]) -> Result<String, Fault> {
        self.current.envelope.seal(tenant, place, plain)
    }

    /// Opens with the key that the text names; none when the ring has no such key.
    pub(super) fn open_text(
        &self,
        tenant: &Tenant,
        place: &str,
        text: &str,
    ) -> Option<Result<Zeroizing<Vec<u8>>, Fault>> {
        let Some(named) = envelope::key_id_of(text) else {
            return Some(Err(envelope::broken("read the form of", place)));
        };
        let mut keys = std::iter::once(&self.current).chain(&self.former);
        let key = keys.find(|key| key.id() == named)?;
        Some(key.envelope.open(tenant, place, text))
    }

    pub(super) fn unknown(&self, place: &str, text: &str) -> Fault {
        let named = envelope::key_id_of(text).unwrap_or("?");
        Fault::new(
            ErrorCode::StoreUnavailable,
            format!(
                "the secret of {place} was sealed with key {named}, but offtake.key holds key {}; put the right key file back or give the credentials again",
                self.current.id()
            ),
        )
    }

    /// A key for another purpose from each key, the current one's first.
    pub(super) fn derive(&self, purpose: &str) -> Vec<Zeroizing<[u8; KEY_BYTES]>> {
        std::iter::once(&self.current)
            .chain(&self.former)
            .map(|key| Zeroizing::new(derive(&key.master, purpose)))
            .collect()
    }
}

/// The name under which a key stands in what it sealed.
pub(super) fn id_of(master: &[u8; KEY_BYTES]) -> String {
    let mut id = hex::encode(derive(master, KEY_ID));
    id.truncate(KEY_ID_CHARS);
    id
}

/// Where a former key lies.
pub(super) fn former_path(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{}{id}", key_file::FORMER_PREFIX))
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
