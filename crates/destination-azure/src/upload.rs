//! A file being staged: pieces are gathered and sent, a few at a time.
//!
//! An upload's memory is bounded: [`MEMORY_BYTES_MAX`] holds the piece being gathered and the pieces under way. Pieces
//! grow with the file, so that fifty thousand of them hold more than a terabyte; a larger file is refused.
//!
//! The one law: after a failed piece nothing is sent any more, and nothing seals.

use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use offtake_model::{ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{EndOfStream, StagedUpload};
use tokio::task::JoinSet;

/// Most blocks that a blob may have.
const PIECES_MAX: u32 = 50_000;

/// Most bytes that one upload holds in memory.
const MEMORY_BYTES_MAX: usize = 60 * MEBIBYTE;

/// First bytes reserved for a piece: most small exports' files never need more.
const RESERVED_BYTES: usize = 256 * 1024;

const MEBIBYTE: usize = 1024 * 1024;

/// Bytes of the piece of this number.
const fn piece_bytes(number: u32) -> usize {
    match number {
        0..1_000 => 8 * MEBIBYTE,
        1_000..2_000 => 16 * MEBIBYTE,
        _ => 30 * MEBIBYTE,
    }
}

/// How many pieces of this size may be under way beside the one that is gathered.
const fn under_way_max(piece_bytes: usize) -> usize {
    let pieces = MEMORY_BYTES_MAX / piece_bytes;
    // More than four at a time fill no link better.
    if pieces > 5 { 4 } else { pieces - 1 }
}

/// A piece of a file.
pub(crate) struct Piece {
    /// Its number, from 0.
    pub(crate) number: u32,
    /// Where in the file it begins.
    pub(crate) offset: u64,
    /// Whether the file ends with it.
    pub(crate) last: bool,
    /// What it holds.
    pub(crate) bytes: Bytes,
}

/// Where the pieces of a file are staged.
#[async_trait]
pub(crate) trait Stage: Send + Sync {
    /// Sends a piece. Pieces may be sent in any order and more than once.
    async fn send(&self, piece: Piece) -> Result<(), Fault>;

    /// Makes the pieces durable. The answer is the token's detail.
    async fn seal(&self, pieces: u32, bytes: u64) -> Result<String, Fault>;

    /// Removes what was sent of a file that is given up, as well as it can.
    async fn give_up(&self);
}

pub(crate) struct AzureUpload {
    handle: StageHandle,
    stage: Arc<dyn Stage>,
    gathered: BytesMut,
    /// Number of the piece that is gathered.
    number: u32,
    running: JoinSet<Result<(), Fault>>,
    /// Bytes that the caller gave.
    written: u64,
    /// Bytes that pieces were made of.
    sent: u64,
    failed: Option<Fault>,
    sealed: bool,
}

impl AzureUpload {
    pub(crate) fn new(handle: StageHandle, stage: Arc<dyn Stage>) -> Self {
        Self {
            handle,
            stage,
            gathered: BytesMut::new(),
            number: 0,
            running: JoinSet::new(),
            written: 0,
            sent: 0,
            failed: None,
            sealed: false,
        }
    }

    /// Takes the chunk in. A full piece is sent only when more follows, so that the last one is known for the last.
    async fn gather(&mut self, mut chunk: Bytes) -> Result<(), Fault> {
        while !chunk.is_empty() {
            let size = piece_bytes(self.number);
            if self.gathered.len() == size {
                let piece = mem::take(&mut self.gathered).freeze();
                self.send(piece, false).await?;
                continue;
            }
            if self.gathered.is_empty() && chunk.len() > size {
                let piece = chunk.split_to(size);
                self.send(piece, false).await?;
                continue;
            }
            let take = chunk.len().min(size - self.gathered.len());
            if self.gathered.capacity() == 0 {
                let first = if self.number == 0 {
                    RESERVED_BYTES
                } else {
                    size
                };
                self.gathered.reserve(first.max(take));
            }
            self.gathered.extend_from_slice(&chunk.split_to(take));
        }
        Ok(())
    }

    /// Sends a piece beside others, once there is room for it.
    async fn send(&mut self, bytes: Bytes, last: bool) -> Result<(), Fault> {
        let number = self.number;
        if number >= PIECES_MAX {
            return Err(Fault::new(
                ErrorCode::DestinationFileTooLarge,
                format!(
                    "write file {}: {} bytes do not fit into {PIECES_MAX} blocks",
                    self.handle.key, self.written
                ),
            ));
        }
        while self.running.len() >= under_way_max(piece_bytes(number)) {
            self.settle_one().await?;
        }
        let piece = Piece {
            number,
            offset: self.sent,
            last,
            bytes,
        };
        self.sent += piece.bytes.len() as u64;
        self.number += 1;
        let stage = Arc::clone(&self.stage);
        self.running.spawn(async move { stage.send(piece).await });
        Ok(())
    }

    /// Waits for one of the pieces under way.
    async fn settle_one(&mut self) -> Result<(), Fault> {
        match self.running.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => sent,
            Some(Err(error)) => Err(Fault::new(
                ErrorCode::Internal,
                format!("send a piece of file {}", self.handle.key),
            )
            .because(&error)),
        }
    }

    async fn finish(&mut self, proof: EndOfStream) -> Result<StageToken, Fault> {
        if proof.bytes != self.written {
            return Err(self.unproven(proof));
        }
        if !self.gathered.is_empty() {
            let last = mem::take(&mut self.gathered).freeze();
            self.send(last, true).await?;
        }
        while !self.running.is_empty() {
            self.settle_one().await?;
        }
        if proof.bytes != self.sent {
            return Err(self.unproven(proof));
        }
        Ok(StageToken {
            handle: self.handle.clone(),
            bytes: proof.bytes,
            detail: self.stage.seal(self.number, proof.bytes).await?,
        })
    }

    fn unproven(&self, proof: EndOfStream) -> Fault {
        Fault::new(
            ErrorCode::RowsMismatch,
            format!(
                "seal file {}: {} bytes were written, {} were staged, the stream had {}",
                self.handle.key, self.written, self.sent, proof.bytes
            ),
        )
    }

    /// Stops everything under way, so that what fails once stays failed.
    fn fail<T>(&mut self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &outcome {
            self.running.abort_all();
            self.gathered = BytesMut::new();
            self.failed = Some(fault.clone());
        }
        outcome
    }
}

#[async_trait]
impl StagedUpload for AzureUpload {
    fn handle(&self) -> &StageHandle {
        &self.handle
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        // Counted first: should the caller give up waiting, the chunk may be missing from the pieces, and then the
        // counts must differ.
        self.written += chunk.len() as u64;
        let gathered = self.gather(chunk).await;
        self.fail(gathered)
    }

    async fn seal(mut self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let token = self.finish(proof).await;
        let token = self.fail(token)?;
        self.sealed = true;
        Ok(token)
    }
}

impl Drop for AzureUpload {
    fn drop(&mut self) {
        if self.sealed {
            return;
        }
        self.running.abort_all();
        let stage = Arc::clone(&self.stage);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Best effort: the journal's handle finds what is left here.
            runtime.spawn(async move { stage.give_up().await });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use bytes::Bytes;
    use offtake_model::{AttemptId, AttemptTag, DeliveryId, Fault, StageHandle};
    use offtake_ports::{EndOfStream, StagedUpload};
    use uuid::Uuid;

    use super::{
        AzureUpload, MEBIBYTE, MEMORY_BYTES_MAX, PIECES_MAX, Piece, Stage, piece_bytes,
        under_way_max,
    };

    #[test]
    fn pieces_under_way_and_the_one_gathered_fit_into_the_memory() {
        for number in 0..PIECES_MAX {
            let bytes = piece_bytes(number);
            let under_way = under_way_max(bytes);
            assert!(under_way >= 1, "{number}");
            assert!((under_way + 1) * bytes <= MEMORY_BYTES_MAX, "{number}");
        }
        const { assert!(MEMORY_BYTES_MAX < 64_000_000) };
    }

    /// Number, offset, length, and whether it is the last.
    type Sent = (u32, u64, usize, bool);

    #[derive(Default)]
    struct Recorder(Mutex<Vec<Sent>>);

    #[async_trait]
    impl Stage for Recorder {
        async fn send(&self, piece: Piece) -> Result<(), Fault> {
            let Piece {
                number,
                offset,
                last,
                bytes,
            } = piece;
            let mut sent = self.0.lock().unwrap();
            sent.push((number, offset, bytes.len(), last));
            Ok(())
        }

        async fn seal(&self, pieces: u32, bytes: u64) -> Result<String, Fault> {
            Ok(format!("{pieces} {bytes}"))
        }

        async fn give_up(&self) {}
    }

    async fn staged(chunks: &[usize]) -> (Vec<Sent>, String) {
        let recorder = Arc::new(Recorder::default());
        let handle = StageHandle {
            key: "file".to_owned(),
            tag: AttemptTag {
                delivery: DeliveryId(Uuid::nil()),
                task: 0,
                attempt: AttemptId(Uuid::nil()),
            },
            detail: String::new(),
        };
        let stage = Arc::<Recorder>::clone(&recorder);
        let mut upload = Box::new(AzureUpload::new(handle, stage));
        for chunk in chunks {
            upload.write(Bytes::from(vec![7; *chunk])).await.unwrap();
        }
        let bytes = chunks.iter().sum::<usize>() as u64;
        let token = upload.seal(EndOfStream { bytes }).await.unwrap();
        let mut sent = recorder.0.lock().unwrap().clone();
        sent.sort_unstable();
        (sent, token.detail)
    }

    #[tokio::test]
    async fn the_last_piece_and_only_it_is_marked_as_the_last() {
        let full = 8 * MEBIBYTE;
        let offset = full as u64;
        assert_eq!(staged(&[]).await, (vec![], "0 0".to_owned()));
        assert_eq!(staged(&[5]).await.0, [(0, 0, 5, true)]);
        assert_eq!(staged(&[full]).await.0, [(0, 0, full, true)]);
        for chunks in [&[full + 1][..], &[full, 1], &[1, full], &[full - 1, 2]] {
            let (sent, detail) = staged(chunks).await;
            assert_eq!(
                sent,
                [(0, 0, full, false), (1, offset, 1, true)],
                "{chunks:?}"
            );
            assert_eq!(detail, format!("2 {}", full + 1));
        }
    }
}
