//! The deliveries of a run as its view shows them.
//!
//! The one law: files are shown only of deliveries that succeeded.

use std::collections::HashMap;

use offtake_model::run::{DeliveredFile, DeliveryView};
use offtake_model::{DatasetId, DeliveryState, Fault, Millis, RunMetrics};
use sqlx::{FromRow, SqliteConnection};

use super::json_list;
use crate::failure::Attempting;
use crate::rows::{counter, from_json, parse_id, parse_state};

/// The views of the deliveries of each of these runs, in the order they were inserted.
pub(super) async fn of_runs(
    db: &mut SqliteConnection,
    runs: &[String],
) -> Result<HashMap<String, Vec<DeliveryView>>, Fault> {
    let rows: Vec<ViewRow> = sqlx::query_as(
        "SELECT id, run_id, dataset_id, state, attempt, not_before, fault, metrics, started_at, completed_at,
                updated_at, expired_at, manifest_key, planned_rows
         FROM delivery WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY n",
    )
    .bind(json_list(runs)?)
    .fetch_all(&mut *db)
    .await
    .attempting("read the deliveries of runs")?;
    let mut files = files(db, &rows).await?;
    let mut views: HashMap<String, Vec<DeliveryView>> = HashMap::new();
    for row in rows {
        let state = parse_state(&row.state)?;
        let files = files.remove(&row.id).unwrap_or_default();
        let progress = match &row.metrics {
            Some(json) => Progress {
                metrics: from_json(json, "metrics")?,
                planned_rows: None,
            },
            None if state.terminal() => Progress::default(),
            None => Progress {
                metrics: if shows_sealed(state) {
                    so_far(db, &row.id).await?
                } else {
                    RunMetrics::default()
                },
                planned_rows: row
                    .planned_rows
                    .map(|rows| counter(rows, "row count"))
                    .transpose()?,
            },
        };
        let of_run = views.entry(row.run_id.clone()).or_default();
        of_run.push(row.into_view(state, &progress, files)?);
    }
    Ok(views)
}

const fn shows_sealed(state: DeliveryState) -> bool {
    match state {
        DeliveryState::Executing
        | DeliveryState::Publishing
        | DeliveryState::Manifesting
        | DeliveryState::RetryWait
        | DeliveryState::Quarantined
        | DeliveryState::Succeeded => true,
        DeliveryState::Queued
        | DeliveryState::Planning
        | DeliveryState::Aborting
        | DeliveryState::Failed
        | DeliveryState::Cancelled
        | DeliveryState::Skipped => false,
    }
}

const fn shows_fault(state: DeliveryState) -> bool {
    matches!(
        state,
        DeliveryState::RetryWait
            | DeliveryState::Aborting
            | DeliveryState::Quarantined
            | DeliveryState::Failed
            | DeliveryState::Cancelled
            | DeliveryState::Skipped
    )
}

#[derive(FromRow)]
struct FileRow {
    delivery_id: String,
    key: String,
    bytes: i64,
    rows: i64,
}

/// The files of those deliveries that succeeded, by the delivery's id.
async fn files(
    db: &mut SqliteConnection,
    deliveries: &[ViewRow],
) -> Result<HashMap<String, Vec<FileRow>>, Fault> {
    let mut ids = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if parse_state(&delivery.state)? == DeliveryState::Succeeded {
            ids.push(delivery.id.clone());
        }
    }
    let rows: Vec<FileRow> = sqlx::query_as(
        "SELECT delivery_id, key, bytes, rows FROM winner
         WHERE delivery_id IN (SELECT value FROM json_each(?)) ORDER BY delivery_id, task",
    )
    .bind(json_list(&ids)?)
    .fetch_all(db)
    .await
    .attempting("read the files of deliveries")?;
    let mut files: HashMap<String, Vec<FileRow>> = HashMap::new();
    for row in rows {
        files.entry(row.delivery_id.clone()).or_default().push(row);
    }
    Ok(files)
}

/// How far a delivery is.
#[derive(Default)]
struct Progress {
    metrics: RunMetrics,
    planned_rows: Option<u64>,
}

/// Counts what the sealed files read and wrote, without reading the plan.
///
/// Beside a plan that holds its tasks itself nothing is noted of what they read; it counts as nothing.
async fn so_far(db: &mut SqliteConnection, delivery: &str) -> Result<RunMetrics, Fault> {
    let sealed: Sealed = sqlx::query_as(
        "SELECT count(*) AS files, coalesce(sum(bytes), 0) AS bytes, coalesce(sum(rows), 0) AS rows,
                coalesce(sum(input_rows), 0) AS input_rows
         FROM winner WHERE delivery_id = ?",
    )
    .bind(delivery)
    .fetch_one(&mut *db)
    .await
    .attempting(format_args!("count the files of delivery {delivery}"))?;
    let (input_files, input_bytes): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(input.value ->> 0), 0), coalesce(sum(input.value ->> 1), 0)
         FROM planned_tasks p JOIN json_each(p.inputs) input
           JOIN winner w ON w.delivery_id = p.delivery_id AND w.task = p.first_task + input.key
         WHERE p.delivery_id = ?",
    )
    .bind(delivery)
    .fetch_one(db)
    .await
    .attempting(format_args!("count what delivery {delivery} has read"))?;
    Ok(RunMetrics {
        input_rows: counter(sealed.input_rows, "row count")?,
        output_rows: counter(sealed.rows, "row count")?,
        input_bytes: counter(input_bytes, "file size")?,
        output_bytes: counter(sealed.bytes, "file size")?,
        input_files: counter(input_files, "count of files")?,
        output_files: counter(sealed.files, "count of files")?,
    })
}

#[derive(FromRow)]
struct Sealed {
    files: i64,
    bytes: i64,
    rows: i64,
    input_rows: i64,
}

#[derive(FromRow)]
struct ViewRow {
    id: String,
    run_id: String,
    dataset_id: String,
    state: String,
    attempt: i64,
    not_before: Option<i64>,
    fault: Option<String>,
    metrics: Option<String>,
    started_at: Option<i64>,
    completed_at: Option<i64>,
    updated_at: i64,
    expired_at: Option<i64>,
    manifest_key: Option<String>,
    planned_rows: Option<i64>,
}

impl ViewRow {
    fn into_view(
        self,
        state: DeliveryState,
        progress: &Progress,
        files: Vec<FileRow>,
    ) -> Result<DeliveryView, Fault> {
        let delivered = state == DeliveryState::Succeeded;
        Ok(DeliveryView {
            id: parse_id(&self.id, "delivery")?,
            dataset: DatasetId(self.dataset_id),
            state,
            attempt: counter(self.attempt, "attempt count")?,
            not_before: self.not_before.map(Millis),
            fault: self
                .fault
                .filter(|_| shows_fault(state))
                .map(|fault| from_json(&fault, "fault"))
                .transpose()?,
            metrics: progress.metrics,
            planned_rows: progress.planned_rows,
            started_at: self.started_at.map(Millis),
            completed_at: self.completed_at.map(Millis),
            updated_at: Millis(self.updated_at),
            expired_at: self.expired_at.map(Millis),
            // One that was skipped has a key only when its rows had been delivered already.
            manifest_key: self
                .manifest_key
                .filter(|_| delivered || state == DeliveryState::Skipped),
            files: files
                .into_iter()
                .map(delivered_file)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn delivered_file(row: FileRow) -> Result<DeliveredFile, Fault> {
    Ok(DeliveredFile {
        key: row.key,
        bytes: counter(row.bytes, "file size")?,
        rows: counter(row.rows, "row count")?,
    })
}
