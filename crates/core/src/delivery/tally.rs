//! What a commit writes beside the state: the delivery's counters and the cursor's move.
//!
//! The one law: the cursor moves only for kinds of run that move it, and exactly to where the plan says.

use std::collections::BTreeMap;

use offtake_model::delivery::{CursorMove, SeenMove};
use offtake_model::plan::PlanMode;
use offtake_model::{DeliveryRecord, ExportPlan, FolderFile, Position, RunMetrics, SeenFolder};

/// Counters of a delivery whose files are all won (contract, 8.3).
pub(super) fn metrics(record: &DeliveryRecord) -> RunMetrics {
    let mut metrics = RunMetrics::default();
    for winner in &record.winners {
        metrics.input_rows = metrics.input_rows.saturating_add(winner.file.input_rows);
        metrics.output_rows = metrics.output_rows.saturating_add(winner.file.rows);
        metrics.output_bytes = metrics.output_bytes.saturating_add(winner.file.bytes);
        metrics.output_files = metrics.output_files.saturating_add(1);
    }
    for bytes in sources(record).into_values() {
        metrics.input_bytes = metrics.input_bytes.saturating_add(bytes);
        metrics.input_files = metrics.input_files.saturating_add(1);
    }
    metrics
}

/// Each source file once, however many tasks read parts of it.
fn sources(record: &DeliveryRecord) -> BTreeMap<(&str, &str), u64> {
    let slices = record
        .plan
        .iter()
        .flat_map(|plan| &plan.tasks)
        .flat_map(|task| &task.slices);
    slices
        .map(|slice| {
            (
                (slice.source.root.as_str(), slice.source.path.as_str()),
                slice.bytes,
            )
        })
        .collect()
}

/// The cursor's move, for kinds that move it.
pub(super) fn cursor(record: &DeliveryRecord) -> Option<CursorMove> {
    let plan = record.plan.as_ref()?;
    plan.kind.moves_cursor().then(|| CursorMove {
        flow: record.run.flow,
        dataset: record.dataset.clone(),
        to: plan.to.clone(),
        seq: plan.seq,
        seen: seen(plan),
    })
}

/// The files that the plan sends, when they are a folder's.
fn seen(plan: &ExportPlan) -> Option<SeenMove> {
    match &plan.to {
        Position::Delta { .. } => None,
        Position::Folder { .. } => {
            let slices = plan.tasks.iter().flat_map(|task| &task.slices);
            let files: BTreeMap<&str, FolderFile> = slices
                .map(|slice| {
                    let file = FolderFile {
                        path: slice.source.path.clone(),
                        bytes: slice.bytes,
                        tag: slice.etag.clone(),
                    };
                    (slice.source.path.as_str(), file)
                })
                .collect();
            Some(SeenMove {
                delivered: SeenFolder {
                    files: files.into_values().collect(),
                    schema: plan.schema.clone(),
                },
                whole: plan.mode != PlanMode::Incremental,
            })
        }
    }
}
