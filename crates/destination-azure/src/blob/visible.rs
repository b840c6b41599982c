//! What lies at a name, and making content visible there.
//!
//! It knows tags and contents, no attempts.
//!
//! The one law: a commit that was not answered is judged by what lies at the name afterwards.

use offtake_model::{ErrorCode, Fault};
use offtake_ports::Published;

use super::blocks::From;
use super::calls::{Blobs, Content, Only};
use crate::client::Failure;
use crate::refusal::Meaning;

/// How often an outcome is asked for anew when the name changed between two calls.
pub(crate) const TURNS_MAX: u32 = 4;

/// Stands before the tag of a blob that was made visible only to consume its blocks.
pub(crate) const DYING: &str = "discarded/";

/// What lies at a name, from the view of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Visible {
    Nothing,
    Ours {
        bytes: u64,
        etag: String,
    },
    /// A blob on its way out, the tag's own or another's.
    Dying {
        ours: bool,
        etag: String,
    },
    Other {
        bytes: u64,
        etag: String,
    },
}

impl Blobs {
    /// What lies at the key, from the view of the tag.
    pub(crate) async fn see(&self, key: &str, tag: &str) -> Result<Visible, Failure> {
        let Some(head) = self.head(key).await? else {
            return Ok(Visible::Nothing);
        };
        let (bytes, etag) = (head.bytes, head.etag);
        Ok(match head.tag.as_deref() {
            Some(found) if found == tag => Visible::Ours { bytes, etag },
            Some(found) => match found.strip_prefix(DYING) {
                Some(found) => Visible::Dying {
                    ours: found == tag,
                    etag,
                },
                None => Visible::Other { bytes, etag },
            },
            None => Visible::Other { bytes, etag },
        })
    }

    /// Commits the content where nothing lies, and finds out what came of it.
    pub(crate) async fn make_visible(
        &self,
        key: &str,
        content: &Content<'_>,
        bytes: u64,
    ) -> Result<Published, Failure> {
        for _ in 0..TURNS_MAX {
            let committed = self.commit(key, content, From::Latest, Only::Absent).await;
            let failure = match committed {
                Ok(etag) => return Ok(Published::Done { etag }),
                Err(failure) => failure,
            };
            let consumed = failure.meaning() == Some(Meaning::BlocksGone);
            let taken = matches!(failure.meaning(), Some(Meaning::Taken | Meaning::Unlike));
            if !consumed && !taken && !failure.doubtful() {
                return Err(failure);
            }
            match self.see(key, content.tag).await {
                Ok(Visible::Ours { bytes: there, etag }) if there == bytes => {
                    return Ok(Published::Done { etag: Some(etag) });
                }
                Ok(Visible::Ours { .. } | Visible::Other { .. }) => return Ok(Published::Conflict),
                Ok(Visible::Dying { ours: true, .. }) => return Ok(Published::Lost),
                // Left by a discard that was cut off before its end.
                Ok(Visible::Dying { ours: false, etag }) => {
                    self.delete(key, &etag).await?;
                }
                Ok(Visible::Nothing) if consumed => return Ok(Published::Lost),
                // What lay there has been removed since.
                Ok(Visible::Nothing) if taken => {}
                Ok(Visible::Nothing) => return Err(failure),
                Err(denied) if denied.meaning() == Some(Meaning::Denied) => {
                    return self.claim(key, content).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(unsettled(key))
    }

    /// Tells without the right to read whether the content is what lies at the name: its own blocks, and nobody
    /// else's, can be committed once more there.
    pub(crate) async fn claim(
        &self,
        key: &str,
        content: &Content<'_>,
    ) -> Result<Published, Failure> {
        if content.blocks.count == 0 {
            return Ok(Published::Ambiguous);
        }
        let again = self
            .commit(key, content, From::Committed, Only::Present)
            .await;
        match again {
            Ok(etag) => Ok(Published::Done { etag }),
            Err(failure) => match failure.meaning() {
                Some(Meaning::BlocksGone) => Ok(Published::Conflict),
                Some(Meaning::Unlike | Meaning::Missing) => Ok(Published::Lost),
                Some(_) | None => Err(failure),
            },
        }
    }
}

/// The name changed in every turn.
pub(crate) fn unsettled(key: &str) -> Failure {
    Failure::Silent(Fault::new(
        ErrorCode::DestinationProtocol,
        format!("what lies at {key} changes all the time"),
    ))
}
