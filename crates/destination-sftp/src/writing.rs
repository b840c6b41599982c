//! One channel with a file open for writing.
//!
//! The one law: a write keeps its bytes until it was answered, so that they can be sent again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::lane::Lane;
use crate::trouble::Trouble;

/// One channel with the file open.
pub(crate) struct Writing {
    pub(crate) lane: Arc<Lane>,
    pub(crate) file: Arc<str>,
    pub(crate) flying_bytes: usize,
}

/// A write that was answered, or never will be.
pub(crate) struct Landed {
    pub(crate) lane: usize,
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
    pub(crate) took: Duration,
    pub(crate) answer: Result<(), Trouble>,
}

impl Writing {
    pub(crate) fn new(lane: Arc<Lane>, file: String) -> Self {
        Self {
            lane,
            file: file.into(),
            flying_bytes: 0,
        }
    }

    /// A write that is sent when it is first polled; `number` tells its channel among the upload's.
    pub(crate) fn write(
        &mut self,
        number: usize,
        offset: u64,
        bytes: Bytes,
    ) -> BoxFuture<'static, Landed> {
        self.flying_bytes += bytes.len();
        let (lane, file) = (Arc::clone(&self.lane), Arc::clone(&self.file));
        Box::pin(async move {
            let sent = Instant::now();
            let answer = lane.write(&file, offset, &bytes).await;
            Landed {
                lane: number,
                offset,
                bytes,
                took: sent.elapsed(),
                answer,
            }
        })
    }
}
