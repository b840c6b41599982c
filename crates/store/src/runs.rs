//! What became of runs, read from their deliveries.
//!
//! The one law: a view shows committed state of one instant.

mod delivery;

use async_trait::async_trait;
use offtake_model::run::RunView;
use offtake_model::{Fault, FlowId, Run, RunId, Tenant};
use offtake_ports::{Page, PageRequest, RunLog, RunQuery};
use sqlx::SqliteConnection;

use crate::failure::Attempting;
use crate::resources::{cut, newest_first};
use crate::rows::run::RunRow;
use crate::rows::{counter, signed};
use crate::store::Store;

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

    async fn list(
        &self,
        tenant: &Tenant,
        query: &RunQuery,
        page: &PageRequest,
    ) -> Result<Page<RunView>, Fault> {
        let mut tx = self.read().await?;
        let (before, id) = newest_first(page);
        let sql = if query.flow.is_some() {
            LIST_OF_FLOW
        } else {
            LIST
        };
        let rows: Vec<RunRow> = sqlx::query_as(sql)
            .bind(tenant.org.as_str())
            .bind(tenant.sandbox.as_str())
            .bind(query.flow.map(|flow| flow.to_string()))
            .bind(before)
            .bind(id)
            .bind(i64::from(page.limit) + 1)
            .bind(signed(page.offset))
            .fetch_all(&mut *tx)
            .await
            .attempting("list runs")?;
        let rows = cut(rows, page.limit, |row| (row.created_at, row.id.clone()));
        Ok(Page {
            items: views(&mut tx, rows.items).await?,
            next: rows.next,
        })
    }

    async fn count(&self, tenant: &Tenant, query: &RunQuery) -> Result<u64, Fault> {
        let mut tx = self.read().await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM run WHERE org = ?1 AND sandbox = ?2 AND (?3 IS NULL OR flow_id = ?3)",
        )
        .bind(tenant.org.as_str())
        .bind(tenant.sandbox.as_str())
        .bind(query.flow.map(|flow| flow.to_string()))
        .fetch_one(&mut *tx)
        .await
        .attempting("count runs")?;
        counter(count, "count")
    }

    async fn latest(&self, tenant: &Tenant, flows: &[FlowId]) -> Result<Vec<RunView>, Fault> {
        let mut tx = self.read().await?;
        let mut rows = Vec::with_capacity(flows.len());
        for flow in flows {
            let row: Option<RunRow> = sqlx::query_as(
                "SELECT * FROM run WHERE org = ? AND sandbox = ? AND flow_id = ?
                 ORDER BY created_at DESC, id DESC LIMIT 1",
            )
            .bind(tenant.org.as_str())
            .bind(tenant.sandbox.as_str())
            .bind(flow.to_string())
            .fetch_optional(&mut *tx)
            .await
            .attempting(format_args!("read the latest run of flow {flow}"))?;
            rows.extend(row);
        }
        views(&mut tx, rows).await
    }
}

const LIST: &str = "
    SELECT * FROM run
    WHERE org = ?1 AND sandbox = ?2 AND ?3 IS NULL AND (created_at, id) < (?4, ?5)
    ORDER BY created_at DESC, id DESC LIMIT ?6 OFFSET ?7";

const LIST_OF_FLOW: &str = "
    SELECT * FROM run
    WHERE org = ?1 AND sandbox = ?2 AND flow_id = ?3 AND (created_at, id) < (?4, ?5)
    ORDER BY created_at DESC, id DESC LIMIT ?6 OFFSET ?7";

async fn views(db: &mut SqliteConnection, rows: Vec<RunRow>) -> Result<Vec<RunView>, Fault> {
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let run = Run::try_from(row)?;
        let deliveries = delivery::of_run(db, run.id).await?;
        views.push(RunView { run, deliveries });
    }
    Ok(views)
}
