//! Requests that may be sent again: a key names what the first of them made.
//!
//! The id is chosen and kept under the key before anything is made. A repetition finds the thing by it, or makes it
//! when the first request was cut off in between.
//!
//! The one law: a key makes one thing, however often and from how many places at once it is sent.

use aws_lc_rs::digest;
use offtake_model::{ErrorCode, Fault, Resource, ResourceKind};
use offtake_ports::RequestKey;
use serde_json::Value;

use crate::identity::Caller;
use crate::service::{Changed, Service};

/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 128;

/// A request to make something, with its `Idempotency-Key`, when it has one.
#[derive(Clone, Copy, Debug)]
pub struct Once<'a> {
    /// The key.
    pub key: Option<&'a str>,
    /// What is asked for.
    pub body: &'a Value,
}

/// Where a new resource goes.
pub(crate) enum Slot {
    /// Under this id.
    Free(String),
    /// Nowhere: an earlier request with the same key made it.
    Taken(Changed),
}

impl Service {
    /// The id for something that is to be made: `fresh`, unless an earlier request with the same key chose one.
    pub(crate) async fn id_once(
        &self,
        caller: &Caller,
        collection: &str,
        once: Once<'_>,
        fresh: String,
    ) -> Result<String, Fault> {
        let Some(key) = once.key else {
            return Ok(fresh);
        };
        check_key(key)?;
        let wanted = RequestKey {
            client: caller.client.clone(),
            collection: collection.to_owned(),
            key: key.to_owned(),
            request_sha256: sha256(once.body),
            made: fresh,
            taken_at: self.clock.now(),
        };
        match self.keys.take(&caller.tenant, &wanted).await? {
            None => Ok(wanted.made),
            Some(known) if known.request_sha256 == wanted.request_sha256 => Ok(known.made),
            Some(known) => Err(reused(format!(
                "this Idempotency-Key made {collection} [{}] from another request",
                known.made
            ))),
        }
    }

    /// Where a new resource goes.
    pub(crate) async fn slot(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        once: Once<'_>,
        fresh: String,
    ) -> Result<Slot, Fault> {
        let id = self.id_once(caller, kind.collection(), once, fresh).await?;
        if once.key.is_none() {
            return Ok(Slot::Free(id));
        }
        let found = self.find(caller, kind, &id).await?;
        Ok(found.map_or(Slot::Free(id), |it| Slot::Taken(Changed::of(&it))))
    }

    /// Stores a new resource; when a request with the same key was faster, that one's stands.
    pub(crate) async fn insert(
        &self,
        caller: &Caller,
        resource: &Resource,
    ) -> Result<Changed, Fault> {
        let Err(fault) = self.resources.insert(resource, &caller.actor()).await else {
            return Ok(Changed::of(resource));
        };
        let found = self
            .find(caller, resource.kind(), resource.id.as_str())
            .await?;
        found.map(|it| Changed::of(&it)).ok_or(fault)
    }
}

/// Refuses a key that could not be told from others.
pub(crate) fn check_key(key: &str) -> Result<(), Fault> {
    let printable = key.chars().all(|c| c.is_ascii_graphic());
    if !key.is_empty() && printable && key.len() <= KEY_CHARS_MAX {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::FieldInvalid,
        format!(
            "header Idempotency-Key must be 1 to {KEY_CHARS_MAX} printable ASCII characters without spaces"
        ),
    ))
}

/// A key that stands for something else.
pub(crate) fn reused(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::IdempotencyKeyReused, message)
}

/// Keys of an object stand in one order, whatever order they came in.
fn sha256(body: &Value) -> [u8; 32] {
    let mut out = [0; 32];
    let bytes = body.to_string();
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes.as_bytes()).as_ref());
    out
}
