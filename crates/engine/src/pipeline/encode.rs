//! The encoding stage: batches to chunks.
//!
//! JSON is encoded in parts, several at the same time, which are joined in their order. Of Parquet, the columns of a
//! batch are encoded at the same time.

use std::sync::mpsc as sync;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use arrow::record_batch::RecordBatch;
use offtake_encode::json::JsonLines;
use offtake_encode::parquet::{ColumnDone, ColumnWork, ParquetRows};
use offtake_encode::{Encoded, Encoder, Part, RowEncoder, Rows};
use offtake_model::delivery::Passage;
use offtake_model::{ErrorCode, Fault};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::pipeline::decode::{DecodedRoom, Decoding, decode_all};
use crate::pipeline::fetch::{Fetched, Work};
use crate::pipeline::{Chunk, Outcome, Stop, at_once, ended};

pub(super) fn run(
    encoder: Encoder,
    groups: mpsc::Receiver<Work<Decoding>>,
    chunks: mpsc::Sender<Chunk>,
) -> Result<Outcome, Stop> {
    let (rows_read, encoded) = match encoder {
        Encoder::Json(lines) => in_parts(*lines, groups, chunks)?,
        Encoder::Parquet(parquet) => by_columns(*parquet, groups, &chunks)?,
    };
    Ok(Outcome {
        rows_read,
        encoded,
        passage: Passage::Encoded,
    })
}

fn by_columns(
    mut parquet: ParquetRows,
    groups: mpsc::Receiver<Work<Decoding>>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(u64, Encoded), Stop> {
    let helpers: Vec<_> = (1..at_once()).map(|_nth| Helper::start()).collect();
    let mut share = |work| share(&helpers, work);
    let mut rows = 0;
    let rows_read = each_group(groups, |group| {
        let push = |batch: RecordBatch| {
            parquet.push_by(&batch, &mut share)?;
            rows += batch.num_rows() as u64;
            send_all(&mut parquet, &mut rows, chunks)
        };
        match group {
            Decoding::Ahead(ahead) => ahead.each(push),
            Decoding::Together(fetched) => decode_all(fetched, push),
        }
    })?;
    let encoded = parquet.finish_by(&mut share)?;
    send_all(&mut parquet, &mut rows, chunks)?;
    Ok((rows_read, encoded))
}

/// Columns that nobody has taken yet.
type Columns = Arc<Mutex<vec::IntoIter<ColumnWork>>>;

/// A thread that takes columns until the file is done. It lasts, since what it allocated stays with it.
struct Helper {
    work: sync::SyncSender<Columns>,
    done: sync::Receiver<Result<Vec<ColumnDone>, Stop>>,
}

impl Helper {
    fn start() -> Self {
        let (work, taken) = sync::sync_channel::<Columns>(1);
        let (made, done) = sync::sync_channel(1);
        Handle::current().spawn_blocking(move || {
            for work in taken {
                // Whoever gave up on the file hears no more of it.
                let _unheard = made.send(work_off(&work));
            }
        });
        Self { work, done }
    }
}

/// Does the work together with the helpers. Whoever is free takes the next column.
fn share(helpers: &[Helper], work: Vec<ColumnWork>) -> Result<Vec<ColumnDone>, Stop> {
    let work = Arc::new(Mutex::new(work.into_iter()));
    let asked: Vec<_> = helpers
        .iter()
        .filter(|helper| helper.work.send(Arc::clone(&work)).is_ok())
        .collect();
    let mut done = work_off(&work)?;
    for helper in asked {
        let others = helper.done.recv().map_err(|_gone| {
            let message = "encode a column: its thread gave up";
            Stop::from(Fault::new(ErrorCode::Internal, message))
        })?;
        done.extend(others?);
    }
    Ok(done)
}

fn work_off(work: &Mutex<vec::IntoIter<ColumnWork>>) -> Result<Vec<ColumnDone>, Stop> {
    let next = || {
        let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
        work.next()
    };
    let done = std::iter::from_fn(next).map(|column| column.run().map_err(Stop::from));
    done.collect()
}

/// A part on its way to the file.
enum Next {
    Part(JoinHandle<Result<Part, Stop>>),
    /// There are no more.
    Complete,
}

/// A part to encode, and the room that its rows are in, if it matters.
type ToEncode = Box<dyn FnOnce() -> Result<(Option<DecodedRoom>, Rows), Stop> + Send>;

fn decoded_in(room: Option<DecodedRoom>, part: Rows) -> ToEncode {
    Box::new(move || Ok((room, part)))
}

fn in_parts(
    lines: JsonLines,
    groups: mpsc::Receiver<Work<Decoding>>,
    chunks: mpsc::Sender<Chunk>,
) -> Result<(u64, Encoded), Stop> {
    let encoder = lines.parts();
    // One is waited for, the others are ahead of it.
    let (sender, parts) = mpsc::channel(at_once());
    let joining = tokio::task::spawn_blocking(move || join(lines, parts, &chunks));
    let mut gathered = encoder.gather();
    let start = |rows: ToEncode| {
        let handle = Handle::current();
        let room = handle.block_on(sender.reserve());
        let room = room.map_err(|_closed| Stop::Neighbour)?;
        let encoder = Arc::clone(&encoder);
        let encode = move || {
            // Rows go before the room they are in.
            let (_room, rows) = rows().inspect_err(|_stop| encoder.give_up())?;
            encoder.encode(&rows).map_err(Stop::from)
        };
        room.send(Next::Part(handle.spawn_blocking(encode)));
        Ok(())
    };
    let read = each_group(groups, |group| match group {
        Decoding::Ahead(ahead) => {
            let decoded = ahead.room();
            let rows_read = ahead.each(|batch| {
                let part = gathered.push(batch);
                part.map_or(Ok(()), |part| start(decoded_in(decoded.clone(), part)))
            })?;
            // What the next row group waits for must not wait for that row group's rows.
            let held_back = decoded.as_ref().and_then(|_waited| gathered.cut());
            held_back.map_or(Ok(()), |part| start(decoded_in(decoded, part)))?;
            Ok(rows_read)
        }
        Decoding::Together(fetched) => {
            let mut part = gathered.take();
            let rows_read = fetched.iter().map(Fetched::rows).sum();
            start(Box::new(move || {
                decode_all(fetched, |batch| {
                    part.add(batch);
                    Ok(())
                })?;
                Ok((None, part))
            }))?;
            Ok(rows_read)
        }
    });
    let read = read.and_then(|rows_read| {
        gathered
            .rest()
            .map_or(Ok(()), |part| start(decoded_in(None, part)))?;
        let sent = sender.blocking_send(Next::Complete);
        sent.map_err(|_closed| Stop::Neighbour)?;
        Ok(rows_read)
    });
    drop(sender);
    // Whichever has a reason of its own for ending tells it.
    match (read, ended(Handle::current().block_on(joining))) {
        (Ok(rows_read), Ok(encoded)) => Ok((rows_read, encoded)),
        (Err(stop @ Stop::Fault(_)), _) | (_, Err(stop)) | (Err(stop), Ok(_)) => Err(stop),
    }
}

/// Joins parts to the file.
fn join(
    mut lines: JsonLines,
    mut parts: mpsc::Receiver<Next>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<Encoded, Stop> {
    let mut rows = 0;
    loop {
        match parts.blocking_recv() {
            Some(Next::Part(part)) => {
                let part = ended(Handle::current().block_on(part))?;
                rows += part.rows();
                lines.append(part);
                send_all(&mut lines, &mut rows, chunks)?;
            }
            Some(Next::Complete) => {
                let encoded = lines.complete();
                send_all(&mut lines, &mut rows, chunks)?;
                return Ok(encoded);
            }
            None => return Err(Stop::Neighbour),
        }
    }
}

/// Gives every row group to `take`, in order; answers how many rows there were.
fn each_group(
    mut groups: mpsc::Receiver<Work<Decoding>>,
    mut take: impl FnMut(Decoding) -> Result<u64, Stop>,
) -> Result<u64, Stop> {
    let mut rows = 0;
    loop {
        match groups.blocking_recv() {
            Some(Work::RowGroup(group)) => rows += take(group)?,
            Some(Work::Complete) => return Ok(rows),
            None => return Err(Stop::Neighbour),
        }
    }
}

fn send_all(
    encoder: &mut impl RowEncoder,
    rows: &mut u64,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), Stop> {
    while let Some(data) = encoder.drain() {
        let chunk = Chunk {
            data,
            rows: std::mem::take(rows),
        };
        let sent = chunks.blocking_send(chunk);
        sent.map_err(|_closed| Stop::Neighbour)?;
    }
    Ok(())
}
