//! Writing down what a held flow had delivered.
//!
//! The one law: what may have been delivered is never taken away.

use offtake_model::delivery::CursorMove;
use offtake_model::{
    CatchUp, ErrorCode, ExportSpec, Fault, FoundManifest, HeldFlow, Manifest, Millis, RunId,
    RunMetrics,
};
use sqlx::SqliteConnection;

use super::{KEEP_OF_DELIVERY, keep_attempts};
use crate::failure::Attempting;
use crate::journal::seen;
use crate::rows::run::run_kind_name;
use crate::rows::{signed, to_json};

/// Who is said to have made runs that the store had forgotten.
const MAKER: &str = "reconcile";

/// One flow's release, within the caller's transaction.
pub(super) struct Release<'a> {
    pub(super) db: &'a mut SqliteConnection,
    pub(super) flow: &'a HeldFlow,
    pub(super) spec: &'a ExportSpec,
    pub(super) now: Millis,
}

impl Release<'_> {
    /// Writes down one dataset's step.
    pub(super) async fn catch_up(&mut self, step: &CatchUp) -> Result<(), Fault> {
        let count = i64::try_from(step.delivered.len()).unwrap_or(i64::MAX);
        for (before, found) in (0_i64..).zip(&step.delivered) {
            // They ended one after the other, a while ago.
            let ended_at = self.now.plus_millis(before - count);
            self.write_down(found, ended_at).await?;
        }
        if let Some(cursor) = &step.cursor {
            self.move_cursor(step, cursor).await?;
        }
        for delivery in &step.superseded {
            self.abort(&delivery.to_string()).await?;
        }
        Ok(())
    }

    async fn write_down(&mut self, found: &FoundManifest, ended_at: Millis) -> Result<(), Fault> {
        let manifest = &found.manifest;
        self.insert_run(manifest).await?;
        let what = format!("write down delivery {}", manifest.delivery);
        let id = manifest.delivery.to_string();
        keep_attempts(self.db, KEEP_OF_DELIVERY, &id).await?;
        sqlx::query(
            "INSERT INTO delivery (id, org, sandbox, run_id, flow_id, dataset_id, state, created_at, started_at,
                                   completed_at, updated_at, manifest_key, manifest_sha256, fault, metrics)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'skipped', ?7, ?7, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (id) DO UPDATE SET state = 'skipped', completed_at = ?7, updated_at = ?8, resume = NULL,
                 not_before = NULL, lease_owner = NULL, lease_expires_at = NULL, manifest_key = ?9,
                 manifest_sha256 = ?10, fault = ?11, metrics = ?12",
        )
        .bind(&id)
        .bind(self.flow.tenant.org.as_str())
        .bind(self.flow.tenant.sandbox.as_str())
        .bind(manifest.run.to_string())
        .bind(manifest.flow.to_string())
        .bind(manifest.dataset.as_str())
        .bind(ended_at.0)
        .bind(self.now.0)
        .bind(&found.key)
        .bind(&found.sha256)
        .bind(to_json(&note(found), "fault")?)
        .bind(to_json(&metrics(manifest), "metrics")?)
        .execute(&mut *self.db)
        .await
        .attempting(what)?;
        Ok(())
    }

    async fn insert_run(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        let spec = ExportSpec {
            datasets: vec![manifest.dataset.clone()],
            encoding: manifest.encoding,
            ..self.spec.clone()
        };
        sqlx::query(
            "INSERT INTO run (id, org, sandbox, flow_id, flow_generation, kind, trigger_key, occurrence, whole, spec,
                              created_by, created_at)
             VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(manifest.run.to_string())
        .bind(self.flow.tenant.org.as_str())
        .bind(self.flow.tenant.sandbox.as_str())
        .bind(manifest.flow.to_string())
        .bind(run_kind_name(manifest.kind))
        .bind(trigger_of(manifest))
        .bind(manifest.occurrence.0)
        .bind(manifest.from.is_none())
        .bind(to_json(&spec, "run spec")?)
        .bind(MAKER)
        .bind(self.now.0)
        .execute(&mut *self.db)
        .await
        .attempting(format_args!("write down run {}", manifest.run))?;
        Ok(())
    }

    async fn move_cursor(&mut self, step: &CatchUp, cursor: &CursorMove) -> Result<(), Fault> {
        let (flow, dataset) = (cursor.flow.to_string(), cursor.dataset.as_str());
        let what = format!("move the cursor of flow {flow} and dataset {dataset}");
        let stood: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM cursor WHERE flow_id = ? AND dataset_id = ?")
                .bind(&flow)
                .bind(dataset)
                .fetch_optional(&mut *self.db)
                .await
                .attempting(&what)?;
        if stood.unwrap_or(0) != signed(step.stood) {
            return Err(Fault::new(
                ErrorCode::Quarantined,
                format!("refused to {what}: it has moved meanwhile"),
            ));
        }
        sqlx::query(
            "INSERT INTO cursor (org, sandbox, flow_id, dataset_id, position, seq) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (flow_id, dataset_id) DO UPDATE SET position = excluded.position, seq = excluded.seq",
        )
        .bind(self.flow.tenant.org.as_str())
        .bind(self.flow.tenant.sandbox.as_str())
        .bind(&flow)
        .bind(dataset)
        .bind(to_json(&cursor.to, "position")?)
        .bind(signed(cursor.seq))
        .execute(&mut *self.db)
        .await
        .attempting(&what)?;
        let last = step.delivered.iter().rev();
        let last = last
            .map(|it| &it.manifest)
            .find(|it| it.kind.moves_cursor());
        match (&cursor.seen, last) {
            (Some(moved), Some(last)) => {
                seen::advance(self.db, &last.delivery.to_string(), moved).await
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Its rows were delivered by another delivery, so whatever it had written goes away again.
    async fn abort(&mut self, delivery: &str) -> Result<(), Fault> {
        let why = Fault::new(
            ErrorCode::Cancelled,
            "another delivery had sent its rows before the store was restored",
        );
        sqlx::query(
            "UPDATE delivery SET state = 'aborting', abort_then = 'failed', fault = ?, resume = NULL,
                    not_before = NULL, lease_owner = NULL, lease_expires_at = NULL, updated_at = ?
             WHERE id = ? AND completed_at IS NULL",
        )
        .bind(to_json(&why, "fault")?)
        .bind(self.now.0)
        .bind(delivery)
        .execute(&mut *self.db)
        .await
        .attempting(format_args!("abort delivery {delivery}"))?;
        Ok(())
    }
}

/// The trigger key of a run that is known by its manifest alone. Those of the schedule can be told.
fn trigger_of(manifest: &Manifest) -> String {
    let due = format!("sched:{}", manifest.occurrence.0.div_euclid(1_000));
    if RunId::derive(manifest.flow, &due) == manifest.run {
        return due;
    }
    format!("forgotten:{}", manifest.run)
}

fn note(found: &FoundManifest) -> Fault {
    Fault::new(
        ErrorCode::DeliveredBeforeRestore,
        format!(
            "delivered before the store was restored, as number {}; its manifest is {}",
            found.manifest.seq, found.key
        ),
    )
}

fn metrics(manifest: &Manifest) -> RunMetrics {
    RunMetrics {
        output_rows: manifest.total_rows,
        output_bytes: manifest.total_bytes,
        output_files: u64::try_from(manifest.files.len()).unwrap_or(u64::MAX),
        ..RunMetrics::default()
    }
}
