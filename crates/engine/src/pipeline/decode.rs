//! The decoding stage: row groups to batches in the planned schema.
//!
//! The one law: a decoder that panics or comes up short is a corrupt source, never a short file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use offtake_model::{ErrorCode, Fault};
use tokio::sync::mpsc;

use crate::pipeline::fetch::{Fetched, Work};
use crate::pipeline::{Rows, Stop};

pub(super) fn run(
    mut groups: mpsc::Receiver<Work>,
    batches: &mpsc::Sender<Rows>,
) -> Result<u64, Stop> {
    let mut rows = 0;
    loop {
        match groups.blocking_recv() {
            Some(Work::RowGroup(fetched)) => rows += decode_whole(*fetched, batches)?,
            Some(Work::Complete) => {
                send(batches, Rows::Complete)?;
                return Ok(rows);
            }
            None => return Err(Stop::Neighbour),
        }
    }
}

fn decode_whole(fetched: Fetched, batches: &mpsc::Sender<Rows>) -> Result<u64, Stop> {
    let name = fetched.file.name.clone();
    let expected = fetched.rows();
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(fetched, batches)));
    let corrupt = |what: &str| {
        let message = format!("decode {name}: {what}");
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

fn decode(fetched: Fetched, batches: &mpsc::Sender<Rows>) -> Result<u64, Stop> {
    let Fetched {
        file,
        group,
        window,
        keep,
        _room,
    } = fetched;
    let mut rows = 0;
    for batch in file.decode(&group, window, keep.as_deref())? {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        send(batches, Rows::Batch(batch))?;
    }
    Ok(rows)
}

fn send(batches: &mpsc::Sender<Rows>, rows: Rows) -> Result<(), Stop> {
    let sent = batches.blocking_send(rows);
    sent.map_err(|_closed| Stop::Neighbour)
}
