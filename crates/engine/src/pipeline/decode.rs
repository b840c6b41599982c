//! Decoding: row groups to batches in the planned schema, several at the same time.
//!
//! The one law: a decoder that panics or comes up short is a corrupt source, never a short file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use offtake_model::{ErrorCode, Fault};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;

use crate::pipeline::fetch::Fetched;
use crate::pipeline::{Stop, ended};

/// Batches that nobody has taken yet.
const BATCHES: usize = 2;

/// Row groups that are decoded.
pub(super) enum Decoding {
    /// Ahead of whoever takes the rows.
    Ahead(Ahead),
    /// Small ones, by whoever takes the rows: what few rows take stays with one thread.
    Together(Vec<Fetched>),
}

/// Row groups that are being decoded, one after the other.
pub(super) struct Ahead {
    batches: mpsc::Receiver<RecordBatch>,
    decoder: JoinHandle<Result<u64, Stop>>,
    room: Option<DecodedRoom>,
}

/// Room that a row group takes, decompressed, until nobody holds it any more.
pub(super) type DecodedRoom = Arc<OwnedSemaphorePermit>;

impl Ahead {
    /// Starts to decode, in that room. With `alone` nothing else may be decoded while there are batches of it.
    pub(super) fn start(fetched: Vec<Fetched>, room: OwnedSemaphorePermit, alone: bool) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES);
        let room = Arc::new(room);
        let kept = alone.then(|| Arc::clone(&room));
        let decoder = tokio::task::spawn_blocking(move || {
            let _room = room;
            decode_all(fetched, |batch| {
                let sent = sender.blocking_send(batch);
                sent.map_err(|_closed| Stop::Neighbour)
            })
        });
        Self {
            batches,
            decoder,
            room: kept,
        }
    }

    /// What is to be held as long as there are batches of it: they share its pages. Absent where it is too small to
    /// matter.
    pub(super) fn room(&self) -> Option<DecodedRoom> {
        self.room.clone()
    }

    /// Gives every batch to `take`, in order; answers how many rows there were. For threads that may wait.
    pub(super) fn each(
        mut self,
        mut take: impl FnMut(RecordBatch) -> Result<(), Stop>,
    ) -> Result<u64, Stop> {
        while let Some(batch) = self.batches.blocking_recv() {
            take(batch)?;
        }
        ended(Handle::current().block_on(self.decoder))
    }
}

/// Gives every batch of the row groups to `take`, in order; answers how many rows there were.
pub(super) fn decode_all(
    fetched: Vec<Fetched>,
    mut take: impl FnMut(RecordBatch) -> Result<(), Stop>,
) -> Result<u64, Stop> {
    let decoded = fetched.into_iter().map(|it| decode_whole(it, &mut take));
    decoded.sum()
}

fn decode_whole(
    fetched: Fetched,
    take: &mut impl FnMut(RecordBatch) -> Result<(), Stop>,
) -> Result<u64, Stop> {
    let file = Arc::clone(&fetched.file);
    let expected = fetched.rows();
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(fetched, take)));
    let corrupt = |what: &str| {
        let message = format!("decode {}: {what}", file.name);
        Stop::Fault(Fault::new(ErrorCode::SourceCorrupt, message))
    };
    let rows = decoded.unwrap_or_else(|_panic| Err(corrupt("the decoder gave up on it")))?;
    if rows == expected {
        return Ok(rows);
    }
    Err(corrupt(&format!(
        "{rows} rows where its footer promises {expected}"
    )))
}

fn decode(
    fetched: Fetched,
    take: &mut impl FnMut(RecordBatch) -> Result<(), Stop>,
) -> Result<u64, Stop> {
    let Fetched {
        file,
        group,
        window,
        keep,
    } = fetched;
    let mut rows = 0;
    for batch in file.decode(&group, window, keep.as_deref())? {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        take(batch)?;
    }
    Ok(rows)
}
