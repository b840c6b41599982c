//! Where the pieces of one attempt's file go: a file of the attempt's own in the staging folder.
//!
//! The one law: a file is written by the one upload that created it.

use std::sync::Arc;

use async_trait::async_trait;
use offtake_model::{ErrorCode, Fault, StageHandle};
use serde::{Deserialize, Serialize};

use super::calls::Lake;
use super::sink::tidy;
use crate::client::Failure;
use crate::refusal::Meaning;
use crate::upload::{Piece, Stage};

/// What a token says of the staged file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// Its etag once nothing is written to it any more.
    pub(crate) etag: String,
}

pub(crate) struct LakeStage {
    pub(crate) lake: Arc<Lake>,
    pub(crate) handle: StageHandle,
    /// Where the file lies.
    pub(crate) path: String,
}

impl LakeStage {
    fn told(&self, failure: Failure, attempted: &str) -> Fault {
        let key = &self.handle.key;
        match failure.meaning() {
            Some(Meaning::Missing) => Fault::new(
                ErrorCode::StagedLost,
                format!("{attempted} file {key}: its upload was discarded while it was written"),
            ),
            Some(_) | None => self.lake.fault(failure, attempted, key),
        }
    }
}

#[async_trait]
impl Stage for LakeStage {
    async fn send(&self, piece: Piece) -> Result<(), Fault> {
        let sent = self
            .lake
            .append(&self.path, piece.offset, piece.bytes)
            .await;
        sent.map_err(|failure| self.told(failure, "write"))
    }

    async fn seal(&self, _pieces: u32, bytes: u64) -> Result<String, Fault> {
        let etag = self.lake.flush(&self.path, bytes).await;
        let etag = etag.map_err(|failure| self.told(failure, "seal"))?;
        serde_json::to_string(&Sealed { etag }).map_err(|error| {
            let attempted = format!("seal file {}", self.handle.key);
            Fault::new(ErrorCode::Internal, attempted).because(&error)
        })
    }

    async fn give_up(&self) {
        let _left = self.lake.delete(&self.path, None).await;
        tidy(&self.lake, &self.path).await;
    }
}
