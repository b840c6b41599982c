//! One file system, or a folder of one: the staged sink over renames.
//!
//! An attempt's file is staged as `_staging/<delivery>/<attempt>-<digest of the key>`. A rename takes it away from there and lets it appear
//! at its final name in one act, which the service refuses when something lies there. So publishing twice finds nothing
//! to rename, and a discard is a deletion: what is deleted can't be renamed, not by a call under way either.
//!
//! The one law: an outcome that was not told is looked up by tag and size before anything follows from it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{Discarded, Published, Seen, StagedSink, StagedUpload, probe};
use uuid::Uuid;

use super::calls::Lake;
use super::stage::{LakeStage, Sealed};
use crate::client::Failure;
use crate::listing;
use crate::place::check_key;
use crate::refusal::Meaning;
use crate::upload::AzureUpload;

/// Where files lie that are not published yet. The underscore keeps it out of readers' globs.
pub(super) const STAGING: &str = "_staging";

/// How often an outcome is asked for anew when the name changed between two calls.
const TURNS_MAX: u32 = 4;

/// The detail of every handle: where the file is staged follows from its tag.
const BEGUN: &str = "file";

/// Makes a manifest's digest its own kind of owner.
const PUT: Uuid = Uuid::from_u128(0x6f66_6674_616b_6520_6d61_6e69_6665_7374);

/// File systems known to have real folders, by address.
pub(crate) type Hierarchical = Arc<Mutex<BTreeSet<String>>>;

/// File systems that are remembered.
const HIERARCHICAL_MAX: usize = 1_000;

/// A file system, or a folder of one.
pub(crate) struct AdlsSink {
    pub(super) lake: Arc<Lake>,
    /// The file system's address.
    address: String,
    hierarchical: Hierarchical,
}

/// What lies at a name, from the view of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Visible {
    Nothing,
    Ours { bytes: u64, etag: String },
    Other { bytes: u64, etag: String },
}

/// A staged file that is to be given its name.
struct Staged<'a> {
    path: &'a str,
    etag: &'a str,
    tag: &'a str,
    bytes: u64,
}

impl AdlsSink {
    pub(crate) fn new(lake: Lake, address: String, hierarchical: Hierarchical) -> Self {
        Self {
            lake: Arc::new(lake),
            address,
            hierarchical,
        }
    }

    fn told(&self, failure: Failure, attempted: &str, key: &str) -> Fault {
        self.lake.fault(failure, attempted, key)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.hierarchical
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a file system whose folders are only parts of names: renaming there is not one act. Whoever may not ask
    /// is believed.
    async fn check_namespace(&self, key: &str) -> Result<(), Fault> {
        if self.known().contains(&self.address) {
            return Ok(());
        }
        let said = match self.lake.is_hierarchical().await {
            Ok(said) => said,
            Err(failure) if failure.meaning() == Some(Meaning::Denied) => None,
            Err(failure) => return Err(self.told(failure, "begin", key)),
        };
        if said == Some(false) {
            return Err(Fault::new(
                ErrorCode::NamespaceNotHierarchical,
                format!(
                    "begin file {key} of file system {}: its account has no hierarchical namespace",
                    self.lake.system()
                ),
            ));
        }
        let mut known = self.known();
        if known.len() >= HIERARCHICAL_MAX {
            known.clear();
        }
        known.insert(self.address.clone());
        Ok(())
    }

    async fn see(&self, key: &str, tag: &str) -> Result<Visible, Failure> {
        let Some(head) = self.lake.head(key).await? else {
            return Ok(Visible::Nothing);
        };
        let (bytes, etag) = (head.bytes, head.etag);
        Ok(if head.tag.as_deref() == Some(tag) {
            Visible::Ours { bytes, etag }
        } else {
            Visible::Other { bytes, etag }
        })
    }

    /// Creates the attempt's file. One that is there already is taken over when it is an empty one of the same tag: the
    /// answer to its creation was lost.
    async fn create(&self, path: &str, tag: &str) -> Result<bool, Failure> {
        let Err(failure) = self.lake.create(path, tag).await else {
            return Ok(true);
        };
        if failure.meaning() != Some(Meaning::Taken) {
            return Err(failure);
        }
        let there = self.see(path, tag).await?;
        Ok(matches!(there, Visible::Ours { bytes: 0, .. }))
    }

    /// Renames the staged file to the key, and finds out what came of it.
    async fn make_visible(&self, key: &str, staged: &Staged<'_>) -> Result<Published, Failure> {
        for _ in 0..TURNS_MAX {
            let failure = match self.lake.rename(staged.path, key, staged.etag).await {
                Ok(etag) => return Ok(Published::Done { etag }),
                Err(failure) => failure,
            };
            let meaning = failure.meaning();
            if meaning == Some(Meaning::FolderMissing) {
                if let Some((folder, _)) = key.rsplit_once('/') {
                    self.lake.create_folder(folder).await?;
                }
                continue;
            }
            let taken = meaning == Some(Meaning::Taken);
            let lost = matches!(
                meaning,
                Some(Meaning::SourceMissing | Meaning::Missing | Meaning::Unlike)
            );
            if !taken && !lost && !failure.doubtful() {
                return Err(failure);
            }
            match self.see(key, staged.tag).await? {
                Visible::Ours { bytes, etag } if bytes == staged.bytes => {
                    return Ok(Published::Done { etag: Some(etag) });
                }
                Visible::Ours { .. } | Visible::Other { .. } => return Ok(Published::Conflict),
                Visible::Nothing if lost => return Ok(Published::Lost),
                // What lay there has been removed since.
                Visible::Nothing if taken => {}
                Visible::Nothing => return Err(failure),
            }
        }
        Err(Failure::Silent(Fault::new(
            ErrorCode::DestinationProtocol,
            format!("what lies at {key} changes all the time"),
        )))
    }

    async fn publish_token(&self, token: &StageToken) -> Result<Published, Failure> {
        let handle = &token.handle;
        let sealed: Sealed = serde_json::from_str(&token.detail).map_err(|error| {
            let attempted = "publish a file: its token does not say what was staged";
            Failure::Impossible(Fault::new(ErrorCode::Internal, attempted).because(&error))
        })?;
        let path = staging(&handle.key, &handle.tag);
        let staged = Staged {
            path: &path,
            etag: &sealed.etag,
            tag: &handle.tag.to_string(),
            bytes: token.bytes,
        };
        let published = self.make_visible(&handle.key, &staged).await?;
        if matches!(published, Published::Done { .. }) {
            tidy(&self.lake, &path).await;
        }
        Ok(published)
    }

    async fn discard_attempt(&self, handle: &StageHandle) -> Result<Discarded, Failure> {
        let path = staging(&handle.key, &handle.tag);
        self.lake.delete(&path, None).await?;
        tidy(&self.lake, &path).await;
        // First the source, then the look: a rename under way either came before or finds nothing.
        Ok(
            match self.see(&handle.key, &handle.tag.to_string()).await? {
                Visible::Ours { .. } => Discarded::WasPublished,
                Visible::Nothing | Visible::Other { .. } => Discarded::Gone,
            },
        )
    }

    async fn retract_attempt(&self, handle: &StageHandle) -> Result<(), Failure> {
        let tag = handle.tag.to_string();
        if let Visible::Ours { etag, .. } = self.see(&handle.key, &tag).await? {
            self.lake.delete(&handle.key, Some(&etag)).await?;
        }
        Ok(())
    }

    /// Puts a manifest as a file that is staged too, under a tag that follows from its bytes.
    async fn put_manifest(&self, key: &str, bytes: Bytes) -> Result<Published, Failure> {
        let tag = format!("put/{}", Uuid::new_v5(&PUT, &bytes));
        let length = bytes.len() as u64;
        match self.see(key, &tag).await? {
            Visible::Ours { bytes, etag } if bytes == length => {
                return Ok(Published::Done { etag: Some(etag) });
            }
            Visible::Ours { .. } | Visible::Other { .. } => return Ok(Published::Conflict),
            Visible::Nothing => {}
        }
        let path = format!("{STAGING}/put/{}", Uuid::new_v4());
        let put = self.put_staged(key, &path, &tag, bytes).await;
        if !matches!(put, Ok(Published::Done { .. })) {
            let _left = self.lake.delete(&path, None).await;
        }
        tidy(&self.lake, &path).await;
        put
    }

    async fn put_staged(
        &self,
        key: &str,
        path: &str,
        tag: &str,
        bytes: Bytes,
    ) -> Result<Published, Failure> {
        let length = bytes.len() as u64;
        // A name of this call alone: one that is there is its own, with the answer lost.
        self.create(path, tag).await?;
        if length > 0 {
            self.lake.append(path, 0, bytes).await?;
        }
        let staged = Staged {
            path,
            etag: &self.lake.flush(path, length).await?,
            tag,
            bytes: length,
        };
        self.make_visible(key, &staged).await
    }
}

#[async_trait]
impl StagedSink for AdlsSink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        check_key(key)?;
        self.check_namespace(key).await?;
        let path = staging(key, tag);
        let created = self.create(&path, &tag.to_string()).await;
        if !created.map_err(|failure| self.told(failure, "begin", key))? {
            return Err(Fault::new(
                ErrorCode::DestinationConflict,
                format!(
                    "begin file {key} of file system {}: this attempt has begun before",
                    self.lake.system()
                ),
            ));
        }
        let handle = StageHandle {
            key: key.to_owned(),
            tag: *tag,
            detail: BEGUN.to_owned(),
        };
        let stage = LakeStage {
            lake: Arc::clone(&self.lake),
            handle: handle.clone(),
            path,
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
        let (key, tag) = (&token.handle.key, token.handle.tag.to_string());
        let seen = self.see(key, &tag).await;
        Ok(
            match seen.map_err(|failure| self.told(failure, "look at", key))? {
                Visible::Nothing => None,
                Visible::Ours { bytes, etag } => Some(Seen {
                    ours: bytes == token.bytes,
                    bytes,
                    etag: Some(etag),
                }),
                Visible::Other { bytes, etag } => Some(Seen {
                    ours: false,
                    bytes,
                    etag: Some(etag),
                }),
            },
        )
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        check_key(key)?;
        let put = self.put_manifest(key, bytes).await;
        let system = self.lake.system();
        match put.map_err(|failure| self.told(failure, "put", key))? {
            Published::Done { .. } => Ok(()),
            Published::Conflict => Err(Fault::new(
                ErrorCode::DestinationConflict,
                format!("put file {key} of file system {system}: another file lies at that name"),
            )),
            Published::Lost | Published::Ambiguous => Err(Fault::new(
                ErrorCode::DestinationProtocol,
                format!("put file {key} of file system {system}: it did not stay where it was put"),
            )),
        }
    }

    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        check_key(folder)?;
        let listed = listing::files(&*self.lake, &format!("{folder}/")).await;
        listed
            .map(Some)
            .map_err(|failure| self.told(failure, "list the folder of", folder))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        check_key(key)?;
        let got = self.lake.get(key).await;
        got.map_err(|failure| self.told(failure, "read", key))
    }

    async fn probe(&self) -> Result<(), Fault> {
        let folder = probe::scratch();
        self.check_namespace(&folder).await?;
        let proven = probe::prove_in(self, &folder).await;
        let swept = self.lake.delete_folder(&folder).await;
        proven?;
        swept
            .map(drop)
            .map_err(|failure| self.told(failure, "sweep after", &folder))
    }
}

/// Where an attempt's file for the key is staged. The key's digest keeps an attempt that is begun at two keys apart.
fn staging(key: &str, tag: &AttemptTag) -> String {
    let (digest, _) = Uuid::new_v5(&tag.attempt.0, key.as_bytes()).as_u64_pair();
    format!("{STAGING}/{}/{}-{digest:016x}", tag.delivery, tag.attempt)
}

/// Removes the staging folders that a file was the last in, as well as it can: empty ones harm nobody.
pub(super) async fn tidy(lake: &Lake, staged: &str) {
    let mut path = staged;
    while let Some((folder, _)) = path.rsplit_once('/') {
        if !matches!(lake.delete_folder(folder).await, Ok(true)) {
            return;
        }
        path = folder;
    }
}
