//! A plan in its two parts: the head in the delivery's row, the tasks in compressed pieces beside it.
//!
//! The one law: of the tasks' text there is never more in memory than what passes the compressor just now.

use std::collections::HashSet;
use std::io::{BufReader, BufWriter, IntoInnerError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use offtake_model::{DeliveryId, ExportPlan, Fault, FileSlice, PlannedTask, SourceRef};
use sqlx::SqliteConnection;

use crate::failure::{Attempting, corrupt};
use crate::rows::{counter, from_json, signed};

/// Most tasks of a piece.
const PIECE_TASKS_MAX: usize = 1_000;

/// A piece whose compressed bytes have reached this takes no further task.
const PIECE_BYTES: usize = 128 * 1024;

/// Bytes that pass the compressor at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Rows that the tasks read; nothing when some slice's are not known.
pub(super) fn rows(plan: &ExportPlan) -> Option<i64> {
    let rows = |slice: &FileSlice| slice.row_range.map(|range| range.count).or(slice.rows);
    let slices = plan.tasks.iter().flat_map(|task| &task.slices);
    slices
        .map(rows)
        .try_fold(0_u64, |sum, rows| Some(sum.saturating_add(rows?)))
        .map(signed)
}

/// Saves the tasks of a plan whose head was saved.
pub(super) async fn save(db: &mut SqliteConnection, plan: &ExportPlan) -> Result<(), Fault> {
    let what = || format!("save the tasks of delivery {}", plan.delivery);
    let mut read = HashSet::new();
    let mut first = 0;
    while let Some(rest) = plan.tasks.get(first..).filter(|rest| !rest.is_empty()) {
        let (count, body) = compress(rest)?;
        let inputs: Vec<(u64, u64)> = rest
            .iter()
            .take(count)
            .map(|task| input(task, &mut read))
            .collect();
        sqlx::query(
            "INSERT INTO planned_tasks (delivery_id, first_task, inputs, tasks) VALUES (?, ?, ?, ?)",
        )
        .bind(plan.delivery.to_string())
        .bind(number(first))
        .bind(serde_json::to_string(&inputs).attempting(what())?)
        .bind(body)
        .execute(&mut *db)
        .await
        .attempting(what())?;
        first += count;
    }
    Ok(())
}

/// The plan with this head. It must have as many tasks as were counted when it was saved.
pub(super) async fn load(
    db: &mut SqliteConnection,
    delivery: DeliveryId,
    head: &str,
    task_count: Option<i64>,
) -> Result<ExportPlan, Fault> {
    let what = format!("plan of delivery {delivery}");
    let mut plan: ExportPlan = from_json(head, &what)?;
    let count: usize = counter(task_count.unwrap_or_default(), "count of tasks")?;
    plan.tasks
        .reserve_exact(count.saturating_sub(plan.tasks.len()));
    while plan.tasks.len() < count {
        let piece: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT tasks FROM planned_tasks WHERE delivery_id = ? AND first_task = ?",
        )
        .bind(delivery.to_string())
        .bind(number(plan.tasks.len()))
        .fetch_optional(&mut *db)
        .await
        .attempting(format_args!("read the {what}"))?;
        let before = plan.tasks.len();
        decompress(&piece.unwrap_or_default(), &mut plan.tasks)
            .attempting(format_args!("read stored {what}"))?;
        if plan.tasks.len() == before {
            break;
        }
    }
    if plan.tasks.len() == count {
        return Ok(plan);
    }
    Err(corrupt(format_args!(
        "stored {what} has {} tasks of {count}",
        plan.tasks.len()
    )))
}

/// As many of the tasks as make a piece, and their number.
fn compress(tasks: &[PlannedTask]) -> Result<(usize, Vec<u8>), Fault> {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, encoder);
    let mut count = 0;
    for task in tasks.iter().take(PIECE_TASKS_MAX) {
        serde_json::to_writer(&mut out, task).attempting("write a planned task")?;
        count += 1;
        if out.get_ref().get_ref().len() >= PIECE_BYTES {
            break;
        }
    }
    let body = out
        .into_inner()
        .map_err(IntoInnerError::into_error)
        .and_then(GzEncoder::finish)
        .map_err(|error| corrupt("failed to compress planned tasks").because(&error))?;
    Ok((count, body))
}

fn decompress(piece: &[u8], tasks: &mut Vec<PlannedTask>) -> Result<(), serde_json::Error> {
    if piece.is_empty() {
        return Ok(());
    }
    let text = BufReader::with_capacity(BUFFER_BYTES, GzDecoder::new(piece));
    for task in serde_json::Deserializer::from_reader(text).into_iter() {
        tasks.push(task?);
    }
    Ok(())
}

/// Files and bytes of the sources that no task before this one reads.
fn input<'a>(task: &'a PlannedTask, read: &mut HashSet<&'a SourceRef>) -> (u64, u64) {
    let first = task
        .slices
        .iter()
        .filter(|slice| read.insert(&slice.source));
    first.fold((0, 0), |(files, bytes), slice| {
        (files + 1, slice.bytes.saturating_add(bytes))
    })
}

fn number(task: usize) -> i64 {
    signed(u64::try_from(task).unwrap_or(u64::MAX))
}
