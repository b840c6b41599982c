//! The encoding stage: batches to chunks.

use offtake_encode::{Encoded, RowEncoder};
use tokio::sync::mpsc;

use crate::pipeline::{Chunk, Rows, Stop};

pub(super) fn run(
    mut encoder: Box<dyn RowEncoder>,
    mut batches: mpsc::Receiver<Rows>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<Encoded, Stop> {
    let mut rows = 0;
    loop {
        match batches.blocking_recv() {
            Some(Rows::Batch(batch)) => {
                encoder.push(&batch)?;
                rows += batch.num_rows() as u64;
                send_all(encoder.as_mut(), &mut rows, chunks)?;
            }
            Some(Rows::Complete) => {
                let encoded = encoder.finish()?;
                send_all(encoder.as_mut(), &mut rows, chunks)?;
                return Ok(encoded);
            }
            None => return Err(Stop::Neighbour),
        }
    }
}

fn send_all(
    encoder: &mut dyn RowEncoder,
    rows: &mut u64,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), Stop> {
    while let Some(data) = encoder.drain() {
        let chunk = Chunk {
            data,
            rows: std::mem::take(rows),
        };
        chunks
            .blocking_send(chunk)
            .map_err(|_closed| Stop::Neighbour)?;
    }
    Ok(())
}
