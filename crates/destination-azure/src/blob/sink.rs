//! One container: the staged sink over block blobs.
//!
//! A publish commits the attempt's blocks under the condition that nothing lies at the name, which Azure honours. Blocks
//! cannot be aborted. So a discard first leaves a hidden mark that later publishes look for, and then, when all blocks
//! of the attempt are there and a publish may be under way, commits them itself, under a tag that says so, and deletes
//! that blob: a commit consumes its blocks, and no publish finds them any more.
//!
//! The one law: an outcome that was not told is looked up by tag and size before anything follows from it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{Discarded, Published, Seen, StagedSink, StagedUpload};
use uuid::Uuid;

use super::blocks::{self, Blocks, From};
use super::calls::{Blobs, Content, Only};
use super::stage::{BlobStage, Sealed};
use super::visible::{DYING, TURNS_MAX, Visible, unsettled};
use crate::client::Failure;
use crate::listing;
use crate::place::{check_key, gone_mark};
use crate::refusal::Meaning;
use crate::upload::AzureUpload;

/// The detail of every handle: what was staged follows from its tag.
const BEGUN: &str = "blocks";

/// Makes a manifest's digest its own kind of owner.
const PUT: Uuid = Uuid::from_u128(0x6f66_6674_616b_6520_6d61_6e69_6665_7374);

const DATA: &str = "application/octet-stream";
const MANIFEST: &str = "application/json";

/// A container.
pub(crate) struct BlobSink {
    pub(super) blobs: Arc<Blobs>,
}

impl BlobSink {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self {
            blobs: Arc::new(blobs),
        }
    }

    fn told(&self, failure: Failure, attempted: &str, key: &str) -> Fault {
        self.blobs.fault(failure, attempted, key)
    }

    /// Whether the attempt was discarded. Where marks may not be read there is none to be seen.
    async fn is_marked(&self, handle: &StageHandle) -> Result<bool, Failure> {
        let mark = gone_mark(&handle.key, handle.tag.attempt);
        match self.blobs.head(&mark).await {
            Ok(found) => Ok(found.is_some()),
            Err(failure) if failure.meaning() == Some(Meaning::Denied) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn discard_attempt(&self, handle: &StageHandle) -> Result<Discarded, Failure> {
        let (key, tag) = (&handle.key, handle.tag.to_string());
        let mark = gone_mark(key, handle.tag.attempt);
        for turn in 0..TURNS_MAX {
            match self.blobs.see(key, &tag).await? {
                Visible::Nothing => {}
                Visible::Ours { .. } => {
                    if turn > 0 {
                        self.unmark(&mark).await;
                    }
                    return Ok(Discarded::WasPublished);
                }
                // Its commit has consumed our blocks, and forbids ours.
                Visible::Other { .. } => return Ok(Discarded::Gone),
                Visible::Dying { etag, .. } => {
                    self.blobs.delete(key, &etag).await?;
                    continue;
                }
            }
            self.blobs.put_mark(&mark, &tag).await?;
            let names = self.blobs.uncommitted(key).await?;
            if let Some(blocks) = blocks::whole(handle.tag.attempt.0, &names)
                && self.blobs.may_delete(&mark).await?
            {
                if !self.consume(key, &tag, blocks).await? {
                    continue;
                }
                // No block is left for a later publish: the mark has nothing more to say.
                self.unmark(&mark).await;
            }
            // First the source, then the look: a publish under way either came before or finds nothing.
            return Ok(match self.blobs.see(key, &tag).await? {
                Visible::Ours { .. } => {
                    self.unmark(&mark).await;
                    Discarded::WasPublished
                }
                Visible::Nothing | Visible::Dying { .. } | Visible::Other { .. } => Discarded::Gone,
            });
        }
        Err(unsettled(key))
    }

    /// Makes the blocks useless to every other commit. `false` when something came to lie at the name meanwhile.
    async fn consume(&self, key: &str, tag: &str, blocks: Blocks) -> Result<bool, Failure> {
        let dying = Content {
            tag: &format!("{DYING}{tag}"),
            blocks,
            media_type: DATA,
        };
        let committed = self
            .blobs
            .commit(key, &dying, From::Latest, Only::Absent)
            .await;
        match committed {
            Ok(Some(etag)) => {
                self.blobs.delete(key, &etag).await?;
                Ok(true)
            }
            // Seen and deleted in the next turn.
            Ok(None) => Ok(false),
            Err(failure) => match failure.meaning() {
                Some(Meaning::BlocksGone) => Ok(true),
                Some(Meaning::Taken | Meaning::Unlike) => Ok(false),
                Some(_) | None => Err(failure),
            },
        }
    }

    /// Removes a mark, as well as it can: an empty hidden blob harms nobody.
    async fn unmark(&self, mark: &str) {
        if let Ok(Some(head)) = self.blobs.head(mark).await {
            let _left = self.blobs.delete(mark, &head.etag).await;
        }
    }

    async fn retract_attempt(&self, handle: &StageHandle) -> Result<(), Failure> {
        let (key, tag) = (&handle.key, handle.tag.to_string());
        for _ in 0..TURNS_MAX {
            match self.blobs.see(key, &tag).await? {
                Visible::Ours { etag, .. } | Visible::Dying { ours: true, etag } => {
                    if self.blobs.delete(key, &etag).await? {
                        return Ok(());
                    }
                }
                Visible::Nothing | Visible::Dying { .. } | Visible::Other { .. } => return Ok(()),
            }
        }
        Err(unsettled(key))
    }

    async fn look_at(&self, token: &StageToken) -> Result<Option<Seen>, Failure> {
        let key = &token.handle.key;
        let tag = token.handle.tag.to_string();
        let seen = |ours, bytes, etag| Some(Seen { ours, bytes, etag });
        match self.blobs.see(key, &tag).await {
            Ok(Visible::Nothing) => Ok(None),
            Ok(Visible::Ours { bytes, etag }) => Ok(seen(bytes == token.bytes, bytes, Some(etag))),
            Ok(Visible::Dying { etag, .. }) => Ok(seen(false, 0, Some(etag))),
            Ok(Visible::Other { bytes, etag }) => Ok(seen(false, bytes, Some(etag))),
            Err(denied) if denied.meaning() == Some(Meaning::Denied) => {
                let content = Content {
                    tag: &tag,
                    blocks: blocks_of(token).map_err(Failure::Impossible)?,
                    media_type: DATA,
                };
                match self.blobs.claim(key, &content).await? {
                    Published::Done { etag } => Ok(seen(true, token.bytes, etag)),
                    Published::Lost => Ok(None),
                    Published::Conflict => Ok(seen(false, 0, None)),
                    Published::Ambiguous => Err(denied),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    async fn publish_token(&self, token: &StageToken) -> Result<Published, Failure> {
        let (handle, tag) = (&token.handle, token.handle.tag.to_string());
        if self.is_marked(handle).await? {
            return Ok(match self.blobs.see(&handle.key, &tag).await? {
                Visible::Ours { bytes, etag } if bytes == token.bytes => {
                    Published::Done { etag: Some(etag) }
                }
                Visible::Ours { .. } | Visible::Other { .. } => Published::Conflict,
                Visible::Nothing | Visible::Dying { .. } => Published::Lost,
            });
        }
        let content = Content {
            tag: &tag,
            blocks: blocks_of(token).map_err(Failure::Impossible)?,
            media_type: DATA,
        };
        self.blobs
            .make_visible(&handle.key, &content, token.bytes)
            .await
    }

    /// Puts a manifest as a file of one block that is named after its bytes, so that the same bytes are known again.
    async fn put_manifest(&self, key: &str, bytes: Bytes) -> Result<Published, Failure> {
        let owner = Uuid::new_v5(&PUT, &bytes);
        let tag = format!("put/{owner}");
        let length = bytes.len() as u64;
        match self.blobs.see(key, &tag).await {
            Ok(Visible::Ours { bytes, etag }) if bytes == length => {
                return Ok(Published::Done { etag: Some(etag) });
            }
            Ok(Visible::Ours { .. } | Visible::Other { .. }) => return Ok(Published::Conflict),
            Ok(Visible::Nothing | Visible::Dying { .. }) => {}
            Err(denied) if denied.meaning() == Some(Meaning::Denied) => {}
            Err(failure) => return Err(failure),
        }
        let count = u32::from(!bytes.is_empty());
        if count > 0 {
            let name = blocks::name(owner, 0, true);
            self.blobs.put_block(key, &name, bytes).await?;
        }
        let content = Content {
            tag: &tag,
            blocks: Blocks { owner, count },
            media_type: MANIFEST,
        };
        self.blobs.make_visible(key, &content, length).await
    }
}

#[async_trait]
impl StagedSink for BlobSink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        check_key(key)?;
        self.blobs.check_login()?;
        let handle = StageHandle {
            key: key.to_owned(),
            tag: *tag,
            detail: BEGUN.to_owned(),
        };
        let stage = BlobStage {
            blobs: Arc::clone(&self.blobs),
            handle: handle.clone(),
        };
        Ok(Box::new(AzureUpload::new(handle, Arc::new(stage))))
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        let published = self.publish_token(token).await;
        published.map_err(|failure| self.told(failure, "publish", &token.handle.key))
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        let discarded = self.discard_attempt(handle).await;
        discarded.map_err(|failure| self.told(failure, "discard", &handle.key))
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        let retracted = self.retract_attempt(handle).await;
        retracted.map_err(|failure| self.told(failure, "retract", &handle.key))
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        let seen = self.look_at(token).await;
        seen.map_err(|failure| self.told(failure, "look at", &token.handle.key))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        check_key(key)?;
        let put = self.put_manifest(key, bytes).await;
        let container = self.blobs.container();
        match put.map_err(|failure| self.told(failure, "put", key))? {
            Published::Done { .. } => Ok(()),
            Published::Conflict => Err(Fault::new(
                ErrorCode::DestinationConflict,
                format!("put file {key} of container {container}: another blob lies at that name"),
            )),
            Published::Lost | Published::Ambiguous => Err(Fault::new(
                ErrorCode::DestinationProtocol,
                format!(
                    "put file {key} of container {container}: it did not stay where it was put"
                ),
            )),
        }
    }

    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        check_key(folder)?;
        let listed = listing::files(&*self.blobs, &format!("{folder}/")).await;
        listed
            .map(Some)
            .map_err(|failure| self.told(failure, "list the folder of", folder))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        check_key(key)?;
        let got = self.blobs.get(key).await;
        Ok(got
            .map_err(|failure| self.told(failure, "read", key))?
            .map(|(bytes, _)| bytes))
    }

    async fn probe(&self) -> Result<(), Fault> {
        self.blobs.check_login()?;
        offtake_ports::probe::prove(self).await
    }
}

/// The blocks that the token stands for.
fn blocks_of(token: &StageToken) -> Result<Blocks, Fault> {
    let sealed: Sealed = serde_json::from_str(&token.detail).map_err(|error| {
        let attempted = "use a staged file: its token does not say what was staged";
        Fault::new(ErrorCode::Internal, attempted).because(&error)
    })?;
    Ok(Blocks {
        owner: token.handle.tag.attempt.0,
        count: sealed.blocks,
    })
}
