//! A small file that is in memory already.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::RangeReader;

/// All bytes of a file.
pub(super) struct Held(pub(super) Bytes);

#[async_trait]
impl RangeReader for Held {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        if start <= end && end <= self.0.len() {
            return Ok(self.0.slice(start..end));
        }
        let attempted = "read beyond the end of a source file";
        Err(Fault::new(ErrorCode::SourceCorrupt, attempted))
    }
}
