//! Reading what the store knows of a held flow.
//!
//! The one law: what ended after the restore ended by a process that knew less than the one that was lost.

use offtake_model::delivery::Cursor;
use offtake_model::{
    DatasetId, ExportPlan, ExportSpec, Fault, FlowId, KnownDataset, KnownManifest, OpenDelivery,
};
use sqlx::{FromRow, SqliteConnection};

use crate::failure::Attempting;
use crate::journal::record;
use crate::rows::{from_json, parse_id};

#[derive(FromRow)]
struct DeliveryRow {
    id: String,
    state: String,
    manifest_key: Option<String>,
    plan: Option<String>,
    /// Ended without a manifest before the restore, and so by the process that was backed up.
    undelivered: bool,
}

/// What is known of one dataset.
pub(super) async fn known_dataset(
    db: &mut SqliteConnection,
    flow: FlowId,
    dataset: DatasetId,
) -> Result<KnownDataset, Fault> {
    let cursor: Option<Cursor> = record::cursor(db, flow, &dataset).await?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "SELECT id, state, manifest_key, CASE WHEN completed_at IS NULL THEN plan END AS plan,
                state IN ('failed', 'cancelled')
                  AND completed_at < coalesce((SELECT restored_at FROM incarnation), 0) AS undelivered
         FROM delivery WHERE flow_id = ? AND dataset_id = ? ORDER BY n",
    )
    .bind(flow.to_string())
    .bind(dataset.as_str())
    .fetch_all(&mut *db)
    .await
    .attempting(format_args!("read the deliveries of flow {flow}"))?;
    let newest = newest_manifest(db, flow, &dataset).await?;
    let mut known = KnownDataset {
        dataset,
        cursor,
        newest,
        open: Vec::new(),
        delivered: Vec::new(),
        undelivered: Vec::new(),
    };
    for row in rows {
        let id = parse_id(&row.id, "delivery")?;
        match row.state.as_str() {
            "succeeded" => known.delivered.push(id),
            "skipped" if row.manifest_key.is_some() => known.delivered.push(id),
            "failed" | "cancelled" if row.undelivered => known.undelivered.push(id),
            "skipped" | "failed" | "cancelled" => {}
            _ => {
                let plan: Option<ExportPlan> =
                    row.plan.map(|it| from_json(&it, "plan")).transpose()?;
                let mover = plan.filter(|plan| plan.kind.moves_cursor());
                known.open.push(OpenDelivery {
                    id,
                    seq: mover.map(|plan| plan.seq),
                });
            }
        }
    }
    Ok(known)
}

async fn newest_manifest(
    db: &mut SqliteConnection,
    flow: FlowId,
    dataset: &DatasetId,
) -> Result<Option<KnownManifest>, Fault> {
    let row: Option<(String, String, String)> = sqlx::query_as(
        "SELECT d.manifest_key, d.manifest_sha256, r.spec FROM delivery d JOIN run r ON r.id = d.run_id
         WHERE d.flow_id = ? AND d.dataset_id = ? AND d.state IN ('succeeded', 'skipped')
           AND d.manifest_key IS NOT NULL AND d.manifest_sha256 IS NOT NULL AND r.kind IN ('scheduled', 'now')
         ORDER BY d.completed_at DESC, d.n DESC LIMIT 1",
    )
    .bind(flow.to_string())
    .bind(dataset.as_str())
    .fetch_optional(db)
    .await
    .attempting(format_args!("read the newest manifest of flow {flow}"))?;
    row.map(|(key, sha256, spec)| {
        let spec: ExportSpec = from_json(&spec, "spec of a run")?;
        Ok(KnownManifest {
            sink: spec.sink,
            key,
            sha256,
        })
    })
    .transpose()
}
