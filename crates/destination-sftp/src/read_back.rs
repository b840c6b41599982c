//! Reads back what several connections wrote, and holds it against what was to be written.
//!
//! A server that went down between two connections may have lost bytes that it had acknowledged, and show the file at
//! its full size all the same. Whoever wrote over one connection needs none of this: the server has synced.

use crc_fast::{CrcAlgorithm, Digest};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::lane::Lane;
use crate::trouble::Trouble;

/// How much one request asks for, and how many are under way.
const READ_BYTES: usize = 32 * 1024;
const READS_MAX: usize = 32;

/// The sum of a stream of bytes.
#[derive(Debug)]
pub(crate) struct Sum(Digest);

impl Sum {
    pub(crate) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.finalize()
    }
}

/// Whether the file's first `bytes` have that sum. None where the account may write and not read.
pub(crate) async fn has_sum(
    lane: &Lane,
    path: &str,
    bytes: u64,
    wanted: u64,
) -> Result<Option<bool>, Trouble> {
    let file = match lane.open_to_read(path).await {
        Ok(file) => file,
        Err(Trouble::Denied(_)) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let pieces = (0..bytes).step_by(READ_BYTES);
    let reads = pieces.map(|offset| {
        let size = usize::try_from(bytes - offset).unwrap_or(READ_BYTES);
        whole(lane, &file, offset, size.min(READ_BYTES))
    });
    let sum = stream::iter(reads)
        .buffered(READS_MAX)
        .try_fold(Sum::new(), |mut sum, piece| async move {
            sum.add(&piece);
            Ok(sum)
        })
        .await;
    lane.close(&file).await?;
    Ok(Some(sum?.value() == wanted))
}

/// One piece; a server may answer with less than was asked for. Shorter than asked where the file ends.
async fn whole(lane: &Lane, file: &str, offset: u64, size: usize) -> Result<Vec<u8>, Trouble> {
    let mut read = Vec::with_capacity(size);
    while read.len() < size {
        let asked = u32::try_from(size - read.len()).unwrap_or(u32::MAX);
        let more = lane.read(file, offset + read.len() as u64, asked).await?;
        if more.is_empty() {
            break;
        }
        read.extend_from_slice(&more);
    }
    Ok(read)
}
