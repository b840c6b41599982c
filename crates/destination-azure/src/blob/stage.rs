//! Where the pieces of one attempt's file go: blocks of the final name that no list names yet.
//!
//! The one law: a block is named after its attempt, so what one attempt sends never becomes part of another's file.

use std::sync::Arc;

use async_trait::async_trait;
use offtake_model::{ErrorCode, Fault, StageHandle};
use serde::{Deserialize, Serialize};

use super::blocks;
use super::calls::Blobs;
use crate::upload::{Piece, Stage};

/// What a token says of the staged blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// How many there are.
    pub(crate) blocks: u32,
}

pub(crate) struct BlobStage {
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) handle: StageHandle,
}

#[async_trait]
impl Stage for BlobStage {
    async fn send(&self, piece: Piece) -> Result<(), Fault> {
        let StageHandle { key, tag, .. } = &self.handle;
        let name = blocks::name(tag.attempt.0, piece.number, piece.last);
        let sent = self.blobs.put_block(key, &name, piece.bytes).await;
        sent.map_err(|failure| self.blobs.fault(failure, "write", key))
    }

    async fn seal(&self, pieces: u32, _bytes: u64) -> Result<String, Fault> {
        serde_json::to_string(&Sealed { blocks: pieces }).map_err(|error| {
            let attempted = format!("seal file {}", self.handle.key);
            Fault::new(ErrorCode::Internal, attempted).because(&error)
        })
    }

    /// Blocks cannot be removed: they vanish when the name is committed, or in a week.
    async fn give_up(&self) {}
}
