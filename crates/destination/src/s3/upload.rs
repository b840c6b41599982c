//! A file being staged: parts are gathered, summed and sent, a few at a time.
//!
//! An upload's memory is bounded: [`MEMORY_BYTES_MAX`] holds the part being gathered and the parts under way. Parts
//! grow with the file, so that ten thousand of them hold some 250 GiB; a larger file is refused.
//!
//! The one law: after a failed part nothing is sent any more, and nothing seals.

use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use offtake_model::{ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{EndOfStream, StagedUpload};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::checksum::Sum;
use super::client::Client;
use super::codes::Meaning;
use super::xml::Part;

/// Most parts that an upload may have, at every store.
const PARTS_MAX: u32 = 10_000;

/// Most bytes that one upload holds in memory.
const MEMORY_BYTES_MAX: usize = 60 * MEBIBYTE;

/// First bytes reserved for a part: most manifests' and small exports' files never need more.
const RESERVED_BYTES: usize = 256 * 1024;

const MEBIBYTE: usize = 1024 * 1024;

/// Bytes of the part of this number.
const fn part_bytes(number: u32) -> usize {
    match number {
        0..=1_000 => 8 * MEBIBYTE,
        1_001..=2_000 => 16 * MEBIBYTE,
        _ => 30 * MEBIBYTE,
    }
}

/// How many parts of this size may be under way beside the one that is gathered.
const fn parts_under_way_max(part_bytes: usize) -> usize {
    let parts = MEMORY_BYTES_MAX / part_bytes;
    // More than four at a time fill no link better.
    if parts > 5 { 4 } else { parts - 1 }
}

/// What a token says of the staged parts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// The parts in order.
    pub(crate) parts: Vec<Part>,
    /// The sum of the whole, when one was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole: Option<Sum>,
}

pub(crate) struct S3Upload {
    handle: StageHandle,
    client: Arc<Client>,
    gathered: BytesMut,
    /// Number of the part that is gathered.
    number: u32,
    parts: Vec<Option<Part>>,
    running: JoinSet<(u32, Result<Part, Fault>)>,
    whole: Option<Sum>,
    /// Bytes that the caller gave.
    written: u64,
    /// Bytes that parts were made of.
    sent: u64,
    failed: Option<Fault>,
    sealed: bool,
}

impl S3Upload {
    pub(crate) fn new(handle: StageHandle, client: Arc<Client>) -> Self {
        Self {
            handle,
            whole: client.checksum().map(|algorithm| algorithm.of(&[])),
            client,
            gathered: BytesMut::new(),
            number: 1,
            parts: Vec::new(),
            running: JoinSet::new(),
            written: 0,
            sent: 0,
            failed: None,
            sealed: false,
        }
    }

    async fn gather(&mut self, mut chunk: Bytes) -> Result<(), Fault> {
        while !chunk.is_empty() {
            let size = part_bytes(self.number);
            if self.gathered.is_empty() && chunk.len() >= size {
                let part = chunk.split_to(size);
                self.send(part).await?;
                continue;
            }
            let take = chunk.len().min(size - self.gathered.len());
            if self.gathered.capacity() == 0 {
                let first = if self.number == 1 {
                    RESERVED_BYTES
                } else {
                    size
                };
                self.gathered.reserve(first.max(take));
            }
            self.gathered.extend_from_slice(&chunk.split_to(take));
            if self.gathered.len() == size {
                let part = mem::take(&mut self.gathered).freeze();
                self.send(part).await?;
            }
        }
        Ok(())
    }

    /// Sends a part beside others, once there is room for it.
    async fn send(&mut self, part: Bytes) -> Result<(), Fault> {
        let number = self.number;
        if number > PARTS_MAX {
            return Err(Fault::new(
                ErrorCode::DestinationFileTooLarge,
                format!(
                    "write file {}: {} bytes do not fit into {PARTS_MAX} parts",
                    self.handle.key, self.written
                ),
            ));
        }
        while self.running.len() >= parts_under_way_max(part_bytes(number)) {
            self.settle_one().await?;
        }
        let length = part.len() as u64;
        let sum = self.client.checksum().map(|algorithm| algorithm.of(&part));
        self.whole = match (self.whole, sum) {
            (Some(whole), Some(sum)) => Some(whole.then(sum, length)),
            (_, _) => None,
        };
        let (client, handle) = (Arc::clone(&self.client), self.handle.clone());
        self.running.spawn(async move {
            let sent = client
                .upload_part(&handle.key, &handle.detail, number, sum, part)
                .await;
            let part = sent.map_err(|failure| match failure.meaning() {
                Some(Meaning::NoUpload | Meaning::NoKey) => discarded(&handle.key),
                _ => client.fault(failure, "write", &handle.key),
            });
            (number, part)
        });
        self.sent += length;
        self.number += 1;
        self.parts.push(None);
        Ok(())
    }

    /// Waits for one of the parts under way.
    async fn settle_one(&mut self) -> Result<(), Fault> {
        let Some(ended) = self.running.join_next().await else {
            return Ok(());
        };
        let (number, part) = ended.map_err(|error| {
            Fault::new(ErrorCode::Internal, "send a part of a file").because(&error)
        })?;
        let part = part?;
        let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
        if let Some(place) = self.parts.get_mut(place) {
            *place = Some(part);
        }
        Ok(())
    }

    async fn finish(&mut self, proof: EndOfStream) -> Result<StageToken, Fault> {
        // An upload without parts cannot be completed: an empty file has one empty part.
        if !self.gathered.is_empty() || self.parts.is_empty() {
            let last = mem::take(&mut self.gathered).freeze();
            self.send(last).await?;
        }
        while !self.running.is_empty() {
            self.settle_one().await?;
        }
        let key = &self.handle.key;
        if proof.bytes != self.written || proof.bytes != self.sent {
            return Err(Fault::new(
                ErrorCode::RowsMismatch,
                format!(
                    "seal file {key}: {} bytes were written, {} were staged, the stream had {}",
                    self.written, self.sent, proof.bytes
                ),
            ));
        }
        let parts: Option<Vec<Part>> = self.parts.iter().cloned().collect();
        let parts = parts.ok_or_else(|| {
            Fault::new(
                ErrorCode::Internal,
                format!("seal file {key}: a part has no answer"),
            )
        })?;
        let sealed = Sealed {
            parts,
            whole: self.whole,
        };
        let detail = serde_json::to_string(&sealed).map_err(|error| {
            Fault::new(ErrorCode::Internal, format!("seal file {key}")).because(&error)
        })?;
        Ok(StageToken {
            handle: self.handle.clone(),
            bytes: proof.bytes,
            detail,
        })
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
impl StagedUpload for S3Upload {
    fn handle(&self) -> &StageHandle {
        &self.handle
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        // Counted first: should the caller give up waiting, the chunk may be missing from the parts, and then the
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

impl Drop for S3Upload {
    fn drop(&mut self) {
        if self.sealed {
            return;
        }
        self.running.abort_all();
        let (client, handle) = (Arc::clone(&self.client), self.handle.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Best effort: the journal's handle finds what is left here.
            runtime.spawn(async move { client.abort(&handle.key, &handle.detail).await });
        }
    }
}

fn discarded(key: &str) -> Fault {
    Fault::new(
        ErrorCode::StagedLost,
        format!("write file {key}: its upload was discarded while it was written"),
    )
}

#[cfg(test)]
mod tests {
    use super::{MEBIBYTE, MEMORY_BYTES_MAX, PARTS_MAX, part_bytes, parts_under_way_max};

    #[test]
    fn parts_under_way_and_the_one_gathered_fit_into_the_memory() {
        for number in 1..=PARTS_MAX {
            let bytes = part_bytes(number);
            let under_way = parts_under_way_max(bytes);
            assert!(under_way >= 1, "{number}");
            assert!((under_way + 1) * bytes <= MEMORY_BYTES_MAX, "{number}");
            assert!(bytes >= 5 * MEBIBYTE, "{number}");
        }
        const { assert!(MEMORY_BYTES_MAX < 64_000_000) };
    }

    #[test]
    fn all_parts_together_hold_250_gibibytes() {
        let all: u64 = (1..=PARTS_MAX)
            .map(|number| part_bytes(number) as u64)
            .sum();
        assert!(all >= 250 << 30);
    }
}
