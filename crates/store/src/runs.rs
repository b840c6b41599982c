//! What became of runs, read from their deliveries.
//!
//! The one law: a view shows committed state of one instant.

mod delivery;
mod purge;

use async_trait::async_trait;
use offtake_model::run::RunView;
use offtake_model::{Fault, FlowId, Millis, Run, RunId, Tenant};
use offtake_ports::{Page, PageRequest, RunLog, RunQuery};
use sqlx::SqliteConnection;

use crate::failure::Attempting;
use crate::rows::run::RunRow;
use crate::select::Selection;
use crate::store::{Store, commit};

#[async_trait]
impl RunLog for Store {
    async fn get(&self, tenant: &Tenant, run: RunId) -> Result<Option<RunView>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<RunRow> =
            sqlx::query_as("SELECT * FROM run WHERE org = ? AND sandbox = ? AND id = ?")
                .bind(tenant.org.as_str())
                .bind(tenant.sandbox.as_str())
                .bind(run.to_string())
                .fetch_all(&mut *tx)
                .await
                .attempting(format_args!("read run {run}"))?;
        Ok(views(&mut tx, rows).await?.pop())
    }

    async fn purge(&self, before: Millis, limit: u32) -> Result<u64, Fault> {
        let mut tx = self.write().await?;
        let removed = purge::purge(&mut tx, before, limit).await?;
        commit(tx).await?;
        Ok(removed)
    }

    async fn list(
        &self,
        tenant: &Tenant,
        query: &RunQuery,
        page: &PageRequest,
    ) -> Result<Page<RunView>, Fault> {
        let mut tx = self.read().await?;
        let rows = selection(tenant, query)
            .page(&mut tx, page, |row: &RunRow| {
                (row.created_at, row.id.clone())
            })
            .await?;
        Ok(Page {
            items: views(&mut tx, rows.items).await?,
            next: rows.next,
        })
    }

    async fn count(&self, tenant: &Tenant, query: &RunQuery) -> Result<u64, Fault> {
        let mut tx = self.read().await?;
        selection(tenant, query).count(&mut tx).await
    }

    async fn latest(&self, tenant: &Tenant, flows: &[FlowId]) -> Result<Vec<RunView>, Fault> {
        let ids: Vec<String> = flows.iter().map(FlowId::to_string).collect();
        let mut tx = self.read().await?;
        let rows = sqlx::query_as(LATEST)
            .bind(tenant.org.as_str())
            .bind(tenant.sandbox.as_str())
            .bind(json_list(&ids)?)
            .fetch_all(&mut *tx)
            .await
            .attempting("read the latest runs of flows")?;
        views(&mut tx, rows).await
    }
}

const LATEST: &str = "
    SELECT run.* FROM json_each(?3) flow JOIN run ON run.rowid = (
        SELECT rowid FROM run WHERE org = ?1 AND sandbox = ?2 AND flow_id = flow.value
        ORDER BY created_at DESC, id DESC LIMIT 1)
    ORDER BY flow.key";

/// A flow leads to the fewest rows, its spec to the most.
fn selection(tenant: &Tenant, query: &RunQuery) -> Selection {
    let flow = query.flow.map(|flow| flow.to_string());
    let mut selection = Selection::of("run", "run_newest", tenant);
    selection.by_first_of(&[
        ("flow_id", "run_of_flow", flow.as_deref()),
        ("status", "run_by_status", query.status.as_deref()),
        ("flow_spec", "run_by_spec", query.spec.as_deref()),
    ]);
    selection.created(&query.created);
    selection.tested_within("started_at", &query.started);
    selection
}

async fn views(db: &mut SqliteConnection, rows: Vec<RunRow>) -> Result<Vec<RunView>, Fault> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let mut deliveries = delivery::of_runs(db, &ids).await?;
    rows.into_iter()
        .map(|row| {
            let deliveries = deliveries.remove(&row.id).unwrap_or_default();
            let run = Run::try_from(row)?;
            Ok(RunView { run, deliveries })
        })
        .collect()
}

/// Texts as a statement's `json_each` reads them.
fn json_list(texts: &[String]) -> Result<String, Fault> {
    serde_json::to_string(texts).attempting("write a list of ids")
}
