//! The deliveries of a run as its view shows them.
//!
//! The one law: files are shown only of deliveries that succeeded.

use std::collections::{BTreeSet, HashMap};

use offtake_model::run::{DeliveredFile, DeliveryView};
use offtake_model::{
    DatasetId, DeliveryState, ExportPlan, Fault, FileSlice, Millis, RunMetrics, SourceRef,
};
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
                updated_at, expired_at, manifest_key
         FROM delivery WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY n",
    )
    .bind(json_list(runs)?)
    .fetch_all(&mut *db)
    .await
    .attempting("read the deliveries of runs")?;
    let mut winners = winners(db, &rows).await?;
    let mut views: HashMap<String, Vec<DeliveryView>> = HashMap::new();
    for row in rows {
        let state = parse_state(&row.state)?;
        let winners = winners.remove(&row.id).unwrap_or_default();
        let progress = match &row.metrics {
            Some(json) => Progress {
                metrics: from_json(json, "metrics")?,
                planned_rows: None,
            },
            None if state.terminal() => Progress::default(),
            None => progress(db, &row.id, &winners).await?,
        };
        let of_run = views.entry(row.run_id.clone()).or_default();
        of_run.push(row.into_view(state, &progress, winners)?);
    }
    Ok(views)
}

const fn shows_winners(state: DeliveryState) -> bool {
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
struct WinnerRow {
    delivery_id: String,
    task: u32,
    key: String,
    bytes: i64,
    rows: i64,
    input_rows: i64,
}

/// The sealed files of those deliveries that show any, by the delivery's id.
async fn winners(
    db: &mut SqliteConnection,
    deliveries: &[ViewRow],
) -> Result<HashMap<String, Vec<WinnerRow>>, Fault> {
    let mut ids = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if shows_winners(parse_state(&delivery.state)?) {
            ids.push(delivery.id.clone());
        }
    }
    let rows: Vec<WinnerRow> = sqlx::query_as(
        "SELECT delivery_id, task, key, bytes, rows, input_rows FROM winner
         WHERE delivery_id IN (SELECT value FROM json_each(?)) ORDER BY delivery_id, task",
    )
    .bind(json_list(&ids)?)
    .fetch_all(db)
    .await
    .attempting("read the files of deliveries")?;
    let mut winners: HashMap<String, Vec<WinnerRow>> = HashMap::new();
    for row in rows {
        winners
            .entry(row.delivery_id.clone())
            .or_default()
            .push(row);
    }
    Ok(winners)
}

/// How far a delivery is.
#[derive(Default)]
struct Progress {
    metrics: RunMetrics,
    planned_rows: Option<u64>,
}

/// Counts what the tasks that have winners read and wrote, and what the plan holds in all.
async fn progress(
    db: &mut SqliteConnection,
    delivery: &str,
    winners: &[WinnerRow],
) -> Result<Progress, Fault> {
    let plan: Option<String> = sqlx::query_scalar("SELECT plan FROM delivery WHERE id = ?")
        .bind(delivery)
        .fetch_one(db)
        .await
        .attempting(format_args!("read the plan of delivery {delivery}"))?;
    let plan: Option<ExportPlan> = plan
        .map(|plan| from_json(&plan, format_args!("plan of delivery {delivery}")))
        .transpose()?;
    let slices = plan
        .iter()
        .flat_map(|plan| &plan.tasks)
        .flat_map(|task| &task.slices);
    let planned_rows = plan.as_ref().and_then(|_| {
        let rows = |slice: &FileSlice| slice.row_range.map(|range| range.count).or(slice.rows);
        slices.map(rows).sum()
    });
    Ok(Progress {
        metrics: metrics_so_far(plan.as_ref(), winners)?,
        planned_rows,
    })
}

/// A source file read by several tasks counts once.
fn metrics_so_far(plan: Option<&ExportPlan>, winners: &[WinnerRow]) -> Result<RunMetrics, Fault> {
    let done: BTreeSet<u32> = winners.iter().map(|winner| winner.task).collect();
    let sources: HashMap<&SourceRef, u64> = plan
        .iter()
        .flat_map(|plan| &plan.tasks)
        .filter(|task| done.contains(&task.index))
        .flat_map(|task| &task.slices)
        .map(|slice| (&slice.source, slice.bytes))
        .collect();
    let mut metrics = RunMetrics {
        input_files: u64::try_from(sources.len()).unwrap_or(u64::MAX),
        input_bytes: sources.values().sum(),
        output_files: u64::try_from(winners.len()).unwrap_or(u64::MAX),
        ..RunMetrics::default()
    };
    for winner in winners {
        metrics.input_rows += counter::<u64>(winner.input_rows, "row count")?;
        metrics.output_rows += counter::<u64>(winner.rows, "row count")?;
        metrics.output_bytes += counter::<u64>(winner.bytes, "file size")?;
    }
    Ok(metrics)
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
}

impl ViewRow {
    fn into_view(
        self,
        state: DeliveryState,
        progress: &Progress,
        winners: Vec<WinnerRow>,
    ) -> Result<DeliveryView, Fault> {
        let delivered = state == DeliveryState::Succeeded;
        let files = if delivered { winners } else { Vec::new() };
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

fn delivered_file(row: WinnerRow) -> Result<DeliveredFile, Fault> {
    Ok(DeliveredFile {
        key: row.key,
        bytes: counter(row.bytes, "file size")?,
        rows: counter(row.rows, "row count")?,
    })
}
