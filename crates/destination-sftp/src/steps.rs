//! The protocol's steps on one file, over one channel. Each can be repeated from its beginning.
//!
//! Whose a file is, is told by names: an attempt's staged file becomes either the final file or its tombstone, by one
//! rename that the server makes atomic.
//!
//! The one law: nothing at a final name is ever replaced, and only one's own file is ever taken away.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::try_join;
use offtake_model::{StageHandle, StageToken};
use offtake_ports::{Discarded, Published, Seen};
use uuid::Uuid;

use crate::lane::{Lane, Lies};
use crate::place::Place;
use crate::sinks::OnAmbiguous;
use crate::trouble::Trouble;

/// The detail of every handle: an upload that has begun. A handle without it was never published.
pub(crate) const BEGUN: &str = "begun";

/// How often a taken final name is looked at again while our own file is still there too: a publish of the same token
/// may be in the middle of its rename.
const TURNS: u32 = 6;
const TURN: Duration = Duration::from_millis(20);

/// One file and the way to it.
pub(crate) struct Steps {
    pub(crate) lane: Arc<Lane>,
    pub(crate) place: Place,
    pub(crate) on_ambiguous: OnAmbiguous,
}

impl Steps {
    pub(crate) async fn publish(&self, token: &StageToken) -> Result<Published, Trouble> {
        let part = self.place.part(token.handle.tag.attempt);
        for turn in 0..TURNS {
            let (staged, visible) =
                try_join!(self.lane.lies(&part), self.lane.lies(self.place.path()))?;
            match staged {
                Lies::Nothing => return self.published(token).await,
                Lies::File(bytes) if bytes == token.bytes => {}
                Lies::File(_) | Lies::Other => return Ok(Published::Lost),
            }
            if visible == Lies::Nothing {
                match self.rename_new(&part).await {
                    Ok(()) => return Ok(Published::Done { etag: None }),
                    // Taken or moved meanwhile, or refused for good: the next look tells.
                    Err(Trouble::Missing | Trouble::Refused(_)) if turn + 1 < TURNS => {}
                    Err(trouble) => return Err(trouble),
                }
            }
            tokio::time::sleep(TURN).await;
        }
        Ok(Published::Conflict)
    }

    async fn rename_new(&self, part: &str) -> Result<(), Trouble> {
        match self.lane.rename(part, self.place.path()).await {
            Err(Trouble::Unsupported) => self.lane.rename_over(part, self.place.path()).await,
            answer => answer,
        }
    }

    /// What became of a token whose staged file is no longer there.
    async fn published(&self, token: &StageToken) -> Result<Published, Trouble> {
        let gone = self.place.gone(token.handle.tag.attempt);
        if self.lane.lies(&gone).await? != Lies::Nothing {
            return Ok(Published::Lost);
        }
        Ok(
            match (self.lane.lies(self.place.path()).await?, self.on_ambiguous) {
                (Lies::File(bytes), _) if bytes == token.bytes => Published::Done { etag: None },
                (Lies::File(_) | Lies::Other, _) => Published::Conflict,
                // Nobody of ours took it away: the server's side did, before or after it was visible.
                (Lies::Nothing, OnAmbiguous::Hold) => Published::Ambiguous,
                (Lies::Nothing, OnAmbiguous::Resend) => Published::Lost,
            },
        )
    }

    pub(crate) async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Trouble> {
        let part = self.place.part(handle.tag.attempt);
        let gone = self.place.gone(handle.tag.attempt);
        match self.lane.rename(&part, &gone).await {
            Ok(()) => {
                self.empty(&gone).await?;
                return Ok(Discarded::Gone);
            }
            Err(Trouble::Missing) => {}
            Err(Trouble::Refused(_)) if self.lane.lies(&gone).await? != Lies::Nothing => {
                // Both names of one file, left by a rename that was cut in two.
                match self.lane.remove(&part).await {
                    Ok(()) | Err(Trouble::Missing) => {}
                    Err(trouble) => return Err(trouble),
                }
            }
            Err(trouble) => return Err(trouble),
        }
        if self.lane.lies(&gone).await? != Lies::Nothing {
            self.empty(&gone).await?;
            return Ok(Discarded::Gone);
        }
        let visible = self.lane.lies(self.place.path()).await?;
        if handle.detail == BEGUN && matches!(visible, Lies::File(_)) {
            return Ok(Discarded::WasPublished);
        }
        Ok(Discarded::Gone)
    }

    pub(crate) async fn retract(&self, handle: &StageHandle) -> Result<(), Trouble> {
        if !matches!(self.own(handle).await?, (true, Lies::File(_))) {
            return Ok(());
        }
        let gone = self.place.gone(handle.tag.attempt);
        match self.lane.rename(self.place.path(), &gone).await {
            Ok(()) => self.empty(&gone).await,
            Err(Trouble::Missing) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    pub(crate) async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Trouble> {
        let (own, visible) = self.own(&token.handle).await?;
        let (ours, bytes) = match visible {
            Lies::Nothing => return Ok(None),
            Lies::Other => (false, 0),
            Lies::File(bytes) => (own && bytes == token.bytes, bytes),
        };
        Ok(Some(Seen {
            ours,
            bytes,
            etag: None,
        }))
    }

    /// Whether a file at the final name is the attempt's own, and what lies there.
    async fn own(&self, handle: &StageHandle) -> Result<(bool, Lies), Trouble> {
        let part = self.place.part(handle.tag.attempt);
        let gone = self.place.gone(handle.tag.attempt);
        let (staged, gone, visible) = try_join!(
            self.lane.lies(&part),
            self.lane.lies(&gone),
            self.lane.lies(self.place.path())
        )?;
        let moved = staged == Lies::Nothing && gone == Lies::Nothing;
        Ok((moved && handle.detail == BEGUN, visible))
    }

    /// Frees the tombstone's space. A server that cannot do that keeps the bytes, hidden.
    async fn empty(&self, gone: &str) -> Result<(), Trouble> {
        match self.lane.empty(gone).await {
            Err(trouble) if trouble.lost() => Err(trouble),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Puts the bytes at the final name, or finds them there. `false` says that something else lies there.
    pub(crate) async fn put(&self, bytes: &Bytes) -> Result<bool, Trouble> {
        if self.lane.lies(self.place.path()).await? != Lies::Nothing {
            return self.holds(bytes).await;
        }
        let part = self.place.hidden(&format!("{}.part", Uuid::new_v4()));
        let file = self.create(&part).await?;
        let put = self.put_as(&part, &file, bytes).await;
        if !matches!(put, Ok(true)) {
            // Best effort; the first trouble is the one to tell.
            drop(self.lane.remove(&part).await);
        }
        if put? {
            return Ok(true);
        }
        self.holds(bytes).await
    }

    async fn put_as(&self, part: &str, file: &str, bytes: &Bytes) -> Result<bool, Trouble> {
        let step = self.lane.write_bytes();
        let mut offset = 0;
        for chunk in bytes.chunks(step) {
            self.lane.write(file, offset, chunk).await?;
            offset += chunk.len() as u64;
        }
        self.lane.sync(file).await?;
        self.lane.close(file).await?;
        if self.lane.lies(part).await? != Lies::File(offset) {
            return Err(Trouble::Odd(
                "the server kept fewer bytes than it took".to_owned(),
            ));
        }
        match self.rename_new(part).await {
            Ok(()) => Ok(true),
            Err(Trouble::Refused(_))
                if self.lane.lies(self.place.path()).await? != Lies::Nothing =>
            {
                Ok(false)
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn holds(&self, bytes: &Bytes) -> Result<bool, Trouble> {
        if self.lane.lies(self.place.path()).await? != Lies::File(bytes.len() as u64) {
            return Ok(false);
        }
        Ok(self.read(bytes.len()).await? == *bytes)
    }

    /// The file at the final name, when there is one.
    pub(crate) async fn get(&self) -> Result<Option<Bytes>, Trouble> {
        match self.lane.lies(self.place.path()).await? {
            Lies::File(bytes) => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                Ok(Some(self.read(bytes).await?.into()))
            }
            Lies::Nothing | Lies::Other => Ok(None),
        }
    }

    /// The first bytes of the file at the final name.
    async fn read(&self, bytes: usize) -> Result<Vec<u8>, Trouble> {
        let file = self.lane.open_to_read(self.place.path()).await?;
        let mut there = Vec::new();
        while there.len() < bytes {
            let at = there.len() as u64;
            let read = self.lane.read(&file, at, READ_BYTES).await?;
            if read.is_empty() {
                break;
            }
            there.extend_from_slice(&read);
        }
        self.lane.close(&file).await?;
        Ok(there)
    }

    /// The names of the files in the final file's folder; none when there is no such folder.
    pub(crate) async fn list(&self) -> Result<Vec<String>, Trouble> {
        match self.lane.files(self.place.folder()).await {
            Err(Trouble::Missing) => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Creates a new file, making its folders when they are missing.
    pub(crate) async fn create(&self, path: &str) -> Result<String, Trouble> {
        match self.lane.create_new(path).await {
            Err(Trouble::Missing) => {}
            answer => return answer,
        }
        for folder in self.place.folders() {
            match self.lane.make_folder(folder).await {
                Err(trouble) if trouble.lost() => return Err(trouble),
                // It exists, or this account may not make it: creating the file tells.
                Ok(()) | Err(_) => {}
            }
        }
        match self.lane.create_new(path).await {
            Err(Trouble::Missing) => Err(Trouble::Denied(format!(
                "folder {} is missing and could not be made",
                self.place.folder()
            ))),
            answer => answer,
        }
    }
}

/// Bytes asked for in one read: every server gives that many.
const READ_BYTES: u32 = 32 * 1024;
