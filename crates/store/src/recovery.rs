//! What a person settles in the store: held flows, read in [`known`] and released in [`release`], and quarantined
//! deliveries, taken up in [`resolve`].
//!
//! Which manifests count and where a cursor goes was decided before; here it is written down.
//!
//! The one law: a flow is released in the transaction that writes down what it had delivered.

mod known;
mod release;
mod resolve;

use async_trait::async_trait;
use offtake_model::audit::AuditObject;
use offtake_model::{
    Actor, CatchUp, DatasetId, ErrorCode, ExportSpec, Fault, FlowId, HeldFlow, KnownFlow, Millis,
    OrgId, Resolution, RunId, SandboxName, SeenFolder, Tenant,
};
use offtake_ports::RecoveryStore;
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::failure::Attempting;
use crate::journal::seen;
use crate::rows::{from_json, parse_id, to_json};
use crate::store::{Store, commit};

use known::known_dataset;
use release::Release;

#[async_trait]
impl RecoveryStore for Store {
    async fn held(&self) -> Result<Vec<HeldFlow>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<HeldRow> = sqlx::query_as("SELECT * FROM held_flow ORDER BY flow_id")
            .fetch_all(&mut *tx)
            .await
            .attempting("list held flows")?;
        rows.into_iter().map(HeldRow::into_held).collect()
    }

    async fn known(&self, flow: &HeldFlow) -> Result<KnownFlow, Fault> {
        let mut tx = self.read().await?;
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT dataset_id FROM cursor WHERE flow_id = ?1
             UNION SELECT dataset_id FROM delivery WHERE flow_id = ?1 ORDER BY 1",
        )
        .bind(flow.flow.to_string())
        .fetch_all(&mut *tx)
        .await
        .attempting(format_args!("list the datasets of flow {}", flow.flow))?;
        let mut datasets = Vec::with_capacity(names.len());
        for name in names {
            datasets.push(known_dataset(&mut tx, flow.flow, DatasetId(name)).await?);
        }
        let specs: Vec<String> = sqlx::query_scalar(
            "SELECT spec FROM run WHERE flow_id = ?1
               AND (id IN (SELECT run_id FROM delivery WHERE flow_id = ?1 AND completed_at IS NULL)
                 OR id = (SELECT id FROM run WHERE flow_id = ?1 ORDER BY created_at DESC, id DESC LIMIT 1))
             ORDER BY created_at DESC, id DESC",
        )
        .bind(flow.flow.to_string())
        .fetch_all(&mut *tx)
        .await
        .attempting(format_args!("read the runs of flow {}", flow.flow))?;
        let specs = specs.iter().map(|spec| from_json(spec, "spec of a run"));
        Ok(KnownFlow {
            datasets,
            specs: specs.collect::<Result<_, _>>()?,
        })
    }

    async fn seen(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<SeenFolder>, Fault> {
        let mut tx = self.read().await?;
        seen::read(&mut tx, flow, dataset).await
    }

    async fn refuse(&self, flow: FlowId, why: &Fault) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE held_flow SET refusal = ? WHERE flow_id = ?")
            .bind(to_json(why, "fault")?)
            .bind(flow.to_string())
            .execute(&mut *tx)
            .await
            .attempting(format_args!("keep why flow {flow} is held"))?;
        commit(tx).await
    }

    async fn catch_up(
        &self,
        flow: &HeldFlow,
        spec: &ExportSpec,
        steps: &[CatchUp],
        by: &Actor,
    ) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        if !end_hold(&mut tx, &flow.flow.to_string()).await? {
            return Ok(false);
        }
        let now = self.now();
        for step in steps {
            let mut release = Release {
                db: &mut tx,
                flow,
                spec,
                now,
            };
            release.catch_up(step).await?;
        }
        let object = AuditObject::new("held-flows", flow.flow.to_string());
        audit::record(&mut tx, now, by, &object, None, None).await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn resolve(
        &self,
        tenant: &Tenant,
        run: RunId,
        dataset: Option<&DatasetId>,
        resolution: Resolution,
        by: &Actor,
    ) -> Result<u64, Fault> {
        let mut tx = self.write().await?;
        let now = self.now();
        let resolved = resolve::resolve(&mut tx, tenant, run, dataset, resolution, now).await?;
        if resolved > 0 {
            let object = AuditObject::new("runs", run.to_string());
            audit::record(&mut tx, now, by, &object, None, None).await?;
        }
        commit(tx).await?;
        Ok(resolved)
    }
}

/// Ends the hold of a flow; false when there was none.
async fn end_hold(db: &mut SqliteConnection, flow: &str) -> Result<bool, Fault> {
    let done = sqlx::query("DELETE FROM held_flow WHERE flow_id = ?")
        .bind(flow)
        .execute(db)
        .await
        .attempting(format_args!("end the hold of flow {flow}"))?;
    Ok(done.rows_affected() == 1)
}

/// Ends the hold of a flow that is deleted. What its deliveries had put where is not known, so they end as they are:
/// nothing of theirs is ever removed.
pub(crate) async fn forget(
    db: &mut SqliteConnection,
    flow: &str,
    now: Millis,
) -> Result<(), Fault> {
    if !end_hold(db, flow).await? {
        return Ok(());
    }
    let what = format!("end the deliveries of held flow {flow}");
    keep_attempts(db, KEEP_OF_FLOW, flow).await?;
    let why = Fault::new(
        ErrorCode::Cancelled,
        "the flow was deleted before it was reconciled; what this delivery had written stays where it is",
    );
    sqlx::query(
        "UPDATE delivery SET state = 'cancelled', fault = ?1, completed_at = ?2, updated_at = ?2, resume = NULL,
                not_before = NULL, lease_owner = NULL, lease_expires_at = NULL
         WHERE flow_id = ?3 AND completed_at IS NULL",
    )
    .bind(to_json(&why, "fault")?)
    .bind(now.0)
    .bind(flow)
    .execute(db)
    .await
    .attempting(what)?;
    Ok(())
}

/// Runs a statement about attempts, which keeps the janitor from files that may have been delivered.
async fn keep_attempts(
    db: &mut SqliteConnection,
    statement: &'static str,
    id: &str,
) -> Result<(), Fault> {
    sqlx::query(statement)
        .bind(id)
        .execute(db)
        .await
        .attempting(format_args!("keep the files of {id}"))?;
    Ok(())
}

const KEEP_OF_FLOW: &str = "
    UPDATE attempt SET state = 'delivered'
    WHERE delivery_id IN (SELECT id FROM delivery WHERE flow_id = ? AND completed_at IS NULL)";

const KEEP_OF_DELIVERY: &str = "UPDATE attempt SET state = 'delivered' WHERE delivery_id = ?";

#[derive(FromRow)]
struct HeldRow {
    flow_id: String,
    org: String,
    sandbox: String,
    refusal: Option<String>,
}

impl HeldRow {
    fn into_held(self) -> Result<HeldFlow, Fault> {
        let refusal = self.refusal.map(|fault| from_json(&fault, "fault"));
        Ok(HeldFlow {
            tenant: Tenant {
                org: OrgId(self.org),
                sandbox: SandboxName(self.sandbox),
            },
            flow: parse_id(&self.flow_id, "flow")?,
            refusal: refusal.transpose()?,
        })
    }
}
