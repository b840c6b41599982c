//! One bucket: the staged sink over multipart uploads.
//!
//! A completed upload replaces whatever lies at its key, on stores that honour no condition there. So every publish
//! looks first, and those of one process take turns; between processes the delivery protocol publishes one frozen
//! token per key. Where the store honours conditions, they are sent as well.
//!
//! The one law: an outcome that was not told is looked up by tag and size before anything follows from it.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{
    Discarded, Published, RetainedSink, Seen, StagedSink, StagedUpload, Withdrawn,
};
use tokio::sync::{Mutex, MutexGuard};

use super::client::{Client, Completed, Failure, Head};
use super::codes::Meaning;
use super::location::check_key;
use super::upload::{S3Upload, Sealed};

/// How often an abort is repeated until the store knows the upload no more: a part that was under way can outlive one.
const ABORTS_MAX: u32 = 8;

/// Pause between two aborts.
const ABORT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes that are compared at a time when an object lies where a file is put.
const COMPARED_BYTES: usize = 4 * 1024 * 1024;

/// Turns that keys share.
const TURNS: usize = 64;

static TURN: [Mutex<()>; TURNS] = [const { Mutex::const_new(()) }; TURNS];

/// A bucket.
pub(crate) struct S3Sink {
    pub(super) client: Arc<Client>,
}

/// What lies at a key.
struct Visible {
    head: Head,
    /// Whether the tag could be read; else ownership can only be told by size.
    tag_readable: bool,
}

impl Visible {
    fn is_of(&self, handle: &StageHandle, bytes: Option<u64>) -> bool {
        let size_fits = bytes.is_none_or(|bytes| bytes == self.head.bytes);
        if self.tag_readable {
            return size_fits && self.head.tag.as_deref() == Some(&handle.tag.to_string());
        }
        // Names are unique by construction: an object of this name and size is the one that was staged for it.
        size_fits && bytes.is_some()
    }
}

impl S3Sink {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client: Arc::new(client),
        }
    }

    /// Waits for the key's turn, which keeps looks and the acts that follow from them together.
    async fn turn(&self, key: &str) -> MutexGuard<'static, ()> {
        let mut hasher = DefaultHasher::new();
        (self.client.location().bucket(), key).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0);
        match TURN.get(place) {
            Some(turn) => turn.lock().await,
            None => TURN[0].lock().await,
        }
    }

    async fn see(&self, attempted: &str, key: &str) -> Result<Option<Visible>, Fault> {
        let (head, tag_readable) = match self.client.head(key).await {
            // A HEAD has no body to say why. The listing either needs fewer rights, or says it.
            Err(failure) if unexplained(&failure) => (self.client.list_exactly(key).await, false),
            head => (head, true),
        };
        let head = head.map_err(|failure| self.client.fault(failure, attempted, key))?;
        Ok(head.map(|head| Visible { head, tag_readable }))
    }

    async fn publish_in_turn(&self, token: &StageToken) -> Result<Published, Fault> {
        let key = &token.handle.key;
        if let Some(visible) = self.see("publish", key).await? {
            return self.judge(token, visible).await;
        }
        let sealed: Sealed = serde_json::from_str(&token.detail).map_err(|error| {
            let attempted = format!("publish file {key}: its token does not say what was staged");
            Fault::new(ErrorCode::Internal, attempted).because(&error)
        })?;
        let upload = &token.handle.detail;
        let completed = self
            .client
            .complete(key, upload, &sealed.parts, sealed.whole, token.bytes)
            .await;
        match completed {
            Ok(Completed { etag, crc32c }) if self.client.dialect().answers_crc32c() => {
                self.prove(token, &sealed, etag, crc32c).await
            }
            Ok(Completed { etag, .. }) => Ok(Published::Done { etag }),
            Err(failure) => self.resolve(token, failure).await,
        }
    }

    /// What a failed completion came to.
    async fn resolve(&self, token: &StageToken, failure: Failure) -> Result<Published, Fault> {
        let key = &token.handle.key;
        let spent = match failure.meaning() {
            // The store wants a new upload.
            Some(Meaning::Contended | Meaning::PartLost) => true,
            Some(Meaning::NoUpload | Meaning::NoKey | Meaning::Taken) | None => false,
            Some(meaning) if meaning.passing() => false,
            Some(_) => return Err(self.client.fault(failure, "publish", key)),
        };
        // First the upload, then the look: what is no longer staged is visible, or was discarded.
        let lives = self
            .upload_lives("publish", key, &token.handle.detail)
            .await?;
        match self.see("publish", key).await? {
            Some(visible) => self.judge(token, visible).await,
            None if spent || !lives => Ok(Published::Lost),
            None => Err(self.client.fault(failure, "publish", key)),
        }
    }

    /// Whose the visible object is.
    async fn judge(&self, token: &StageToken, visible: Visible) -> Result<Published, Fault> {
        if !visible.is_of(&token.handle, Some(token.bytes)) {
            return Ok(Published::Conflict);
        }
        let Head { etag, crc32c, .. } = visible.head;
        if !self.client.dialect().answers_crc32c() {
            return Ok(Published::Done { etag });
        }
        match serde_json::from_str(&token.detail) {
            Ok(sealed) => self.prove(token, &sealed, etag, crc32c).await,
            Err(_) => Ok(Published::Done { etag }),
        }
    }

    /// Holds the whole object's sum against ours, where the store tells it. A damaged object does not stay.
    async fn prove(
        &self,
        token: &StageToken,
        sealed: &Sealed,
        etag: Option<String>,
        crc32c: Option<String>,
    ) -> Result<Published, Fault> {
        let key = &token.handle.key;
        let told = if crc32c.is_some() {
            crc32c
        } else {
            let visible = self.see("publish", key).await?;
            visible.and_then(|visible| visible.head.crc32c)
        };
        let (Some(told), Some(ours)) = (told, sealed.whole) else {
            return Ok(Published::Done { etag });
        };
        if told == ours.base64() {
            return Ok(Published::Done { etag });
        }
        self.retract_in_turn(&token.handle).await?;
        tracing::warn!(
            file.key = key,
            "published bytes were damaged on the way; the object was removed"
        );
        Ok(Published::Lost)
    }

    async fn upload_lives(&self, attempted: &str, key: &str, upload: &str) -> Result<bool, Fault> {
        match self.client.upload_lives(key, upload).await {
            Ok(lives) => Ok(lives),
            // Without the right to list parts, the store's word that there is no such upload must do.
            Err(failure) if failure.meaning() == Some(Meaning::Denied) => Ok(false),
            Err(failure) => Err(self.client.fault(failure, attempted, key)),
        }
    }

    /// The uploads that may be the handle's: its own, or every one to its key when the id never came back. A key is
    /// unique to its task, and a handle without an id is discarded only when no attempt at the task counts any more.
    async fn uploads_of(&self, handle: &StageHandle) -> Result<Vec<String>, Fault> {
        let key = &handle.key;
        if !handle.detail.is_empty() {
            return Ok(vec![handle.detail.clone()]);
        }
        match self.client.list_uploads(key).await {
            // Without the right to list uploads, what was begun is left to the bucket's lifecycle rule.
            Err(failure) if failure.meaning() == Some(Meaning::Denied) => Ok(Vec::new()),
            listed => listed.map_err(|failure| self.client.fault(failure, "discard", key)),
        }
    }

    /// Aborts until the store knows the upload no more. Whether there was something to abort.
    async fn abort(&self, key: &str, upload: &str) -> Result<bool, Fault> {
        let mut aborted = false;
        for _ in 0..ABORTS_MAX {
            let abort = self.client.abort(key, upload).await;
            aborted |= abort.map_err(|failure| self.client.fault(failure, "discard", key))?;
            if !self.upload_lives("discard", key, upload).await? {
                return Ok(aborted);
            }
            tokio::time::sleep(ABORT_PAUSE).await;
        }
        Err(Fault::new(
            ErrorCode::DestinationProtocol,
            format!("discard file {key}: its upload lives on after {ABORTS_MAX} aborts"),
        ))
    }

    async fn discard_in_turn(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        let key = &handle.key;
        let mut aborted = false;
        for upload in self.uploads_of(handle).await? {
            aborted |= self.abort(key, &upload).await?;
        }
        // First the source, then the look: a completion under way either came before or finds nothing.
        let published = match self.see("discard", key).await? {
            Some(visible) if visible.tag_readable => visible.is_of(handle, None),
            // What was aborted had not been published; what was gone already may have been.
            Some(_) => !aborted,
            None => false,
        };
        Ok(if published {
            Discarded::WasPublished
        } else {
            Discarded::Gone
        })
    }

    async fn retract_in_turn(&self, handle: &StageHandle) -> Result<(), Fault> {
        let key = &handle.key;
        let Some(visible) = self.see("retract", key).await? else {
            return Ok(());
        };
        if !visible.tag_readable {
            return Err(Fault::new(
                ErrorCode::DestinationDenied,
                format!(
                    "retract file {key} of bucket {}: without the right to read objects it cannot be told whose it is",
                    self.client.location().bucket()
                ),
            ));
        }
        if !visible.is_of(handle, None) {
            return Ok(());
        }
        let deleted = self.client.delete(key).await;
        deleted.map_err(|failure| self.client.fault(failure, "retract", key))
    }

    async fn put_in_turn(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        if self.holds(key, &bytes).await? {
            return Ok(());
        }
        let Err(failure) = self.client.put(key, bytes.clone()).await else {
            return Ok(());
        };
        // A put whose answer was lost, or that met the one before it, may have been carried out.
        let doubtful = match failure.meaning() {
            Some(meaning) => {
                matches!(meaning, Meaning::Taken | Meaning::Contended) || meaning.passing()
            }
            None => true,
        };
        if doubtful && self.holds(key, &bytes).await? {
            return Ok(());
        }
        Err(self.client.fault(failure, "put", key))
    }

    /// Whether exactly these bytes lie at the key. Others are a conflict.
    async fn holds(&self, key: &str, bytes: &Bytes) -> Result<bool, Fault> {
        let Some(visible) = self.see("put", key).await? else {
            return Ok(false);
        };
        let mut same = visible.head.bytes == bytes.len() as u64;
        // Where objects may not be read, the size must do: a manifest's name is unique by construction.
        if same && visible.tag_readable {
            for from in (0..bytes.len()).step_by(COMPARED_BYTES) {
                let ours = bytes.slice(from..bytes.len().min(from + COMPARED_BYTES));
                let there = self.client.get(key, from, ours.len()).await;
                let there = there.map_err(|failure| self.client.fault(failure, "put", key))?;
                same = same && there == Some(ours);
            }
        }
        if same {
            return Ok(true);
        }
        Err(Fault::new(
            ErrorCode::DestinationConflict,
            format!(
                "put file {key} of bucket {}: another object lies at that name",
                self.client.location().bucket()
            ),
        ))
    }
}

#[async_trait]
impl StagedSink for S3Sink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        check_key(key)?;
        let created = self.client.create_upload(key, tag).await;
        let upload = created.map_err(|failure| self.client.fault(failure, "begin", key))?;
        let handle = StageHandle {
            key: key.to_owned(),
            tag: *tag,
            detail: upload,
        };
        Ok(Box::new(S3Upload::new(handle, Arc::clone(&self.client))))
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        let _turn = self.turn(&token.handle.key).await;
        self.publish_in_turn(token).await
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        let _turn = self.turn(&handle.key).await;
        self.discard_in_turn(handle).await
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        let _turn = self.turn(&handle.key).await;
        self.retract_in_turn(handle).await
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        let visible = self.see("look at", &token.handle.key).await?;
        Ok(visible.map(|visible| Seen {
            ours: visible.is_of(&token.handle, Some(token.bytes)),
            bytes: visible.head.bytes,
            etag: visible.head.etag,
        }))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        check_key(key)?;
        let _turn = self.turn(key).await;
        self.put_in_turn(key, bytes).await
    }

    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        check_key(folder)?;
        let listed = self.client.list_folder(folder).await;
        listed
            .map(Some)
            .map_err(|failure| self.client.fault(failure, "list the folder of", folder))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        check_key(key)?;
        let got = self.client.get_whole(key).await;
        got.map_err(|failure| self.client.fault(failure, "read", key))
    }

    async fn probe(&self) -> Result<(), Fault> {
        offtake_ports::probe::prove(self).await
    }
}

#[async_trait]
impl RetainedSink for S3Sink {
    async fn withdraw(&self, key: &str, bytes: &Bytes) -> Result<Withdrawn, Fault> {
        let _turn = self.turn(key).await;
        match self.holds(key, bytes).await {
            Ok(false) => Ok(Withdrawn::Gone),
            Ok(true) => {
                let deleted = self.client.delete(key).await;
                deleted.map_err(|failure| self.client.fault(failure, "withdraw", key))?;
                Ok(Withdrawn::Gone)
            }
            Err(fault) if fault.code == ErrorCode::DestinationConflict => Ok(Withdrawn::Foreign),
            Err(fault) => Err(fault),
        }
    }
}

/// Whether the refusal of a HEAD does not say why.
fn unexplained(failure: &Failure) -> bool {
    matches!(
        failure.meaning(),
        Some(Meaning::Denied | Meaning::Unexpected | Meaning::RegionWrong)
    )
}
