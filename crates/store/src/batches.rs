//! Batches in their table.
//!
//! The one law: a client's request finds a batch only under its own tenant; only the promoter looks across.

use async_trait::async_trait;
use offtake_model::audit::AuditObject;
use offtake_model::batch::{Batch, BatchQuery, BatchState};
use offtake_model::resource::Audit;
use offtake_model::{
    Actor, BatchId, DatasetId, Fault, Millis, OrgId, Revision, SandboxName, Tenant,
};
use offtake_ports::{BatchStore, Inserted, Page, PageRequest, Replaced};
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::failure::{Attempting, corrupt};
use crate::resources::{cut, newest_first};
use crate::rows::{counter, from_json, signed, to_json};
use crate::store::{Store, commit};

#[async_trait]
impl BatchStore for Store {
    async fn insert(&self, batch: &Batch, by: &Actor) -> Result<Inserted, Fault> {
        let details = to_json(&batch.details, "batch")?;
        let mut tx = self.write().await?;
        let known: Option<BatchRow> = sqlx::query_as(
            "SELECT * FROM batch WHERE org = ? AND sandbox = ? AND dataset_id = ? AND external_id = ?
               AND state NOT IN ('failed', 'aborted', 'inactive')",
        )
        .bind(batch.tenant.org.as_str())
        .bind(batch.tenant.sandbox.as_str())
        .bind(batch.dataset.as_str())
        .bind(batch.external_id.as_deref())
        .fetch_optional(&mut *tx)
        .await
        .attempting("look for a batch by its external id")?;
        if let Some(row) = known {
            return Ok(Inserted::Known(Box::new(row.into_batch()?)));
        }
        let audit = &batch.audit;
        sqlx::query(
            "INSERT INTO batch (id, org, sandbox, dataset_id, state, external_id, revision, created_at, updated_at,
                                created_by, updated_by, created_client, updated_client, details)
             VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(batch.id.as_str())
        .bind(batch.tenant.org.as_str())
        .bind(batch.tenant.sandbox.as_str())
        .bind(batch.dataset.as_str())
        .bind(batch.state.name())
        .bind(batch.external_id.as_deref())
        .bind(audit.created_at.0)
        .bind(audit.updated_at.0)
        .bind(&audit.created_by)
        .bind(&audit.updated_by)
        .bind(&audit.created_client)
        .bind(&audit.updated_client)
        .bind(&details)
        .execute(&mut *tx)
        .await
        .attempting(format_args!("insert batch {}", batch.id))?;
        let after = audit::digest_of(&[batch.state.name(), &details]);
        audit::record(&mut tx, self.now(), by, &object(batch), None, Some(after)).await?;
        commit(tx).await?;
        Ok(Inserted::New)
    }

    async fn get(&self, tenant: &Tenant, id: &BatchId) -> Result<Option<Batch>, Fault> {
        let mut tx = self.read().await?;
        let row: Option<BatchRow> =
            sqlx::query_as("SELECT * FROM batch WHERE org = ? AND sandbox = ? AND id = ?")
                .bind(tenant.org.as_str())
                .bind(tenant.sandbox.as_str())
                .bind(id.as_str())
                .fetch_optional(&mut *tx)
                .await
                .attempting(format_args!("read batch {id}"))?;
        row.map(BatchRow::into_batch).transpose()
    }

    async fn list(
        &self,
        tenant: &Tenant,
        query: &BatchQuery,
        page: &PageRequest,
    ) -> Result<Page<Batch>, Fault> {
        let states: Vec<&str> = query.states.iter().map(|state| state.name()).collect();
        let states = serde_json::to_string(&states).attempting("spell states of batches")?;
        let (before, id) = newest_first(page);
        let mut tx = self.read().await?;
        let rows: Vec<BatchRow> = sqlx::query_as(
            "SELECT * FROM batch
             WHERE org = ?1 AND sandbox = ?2 AND (?3 IS NULL OR dataset_id = ?3)
               AND (?4 = '[]' OR state IN (SELECT value FROM json_each(?4)))
               AND (created_at, id) < (?5, ?6)
             ORDER BY created_at DESC, id DESC LIMIT ?7 OFFSET ?8",
        )
        .bind(tenant.org.as_str())
        .bind(tenant.sandbox.as_str())
        .bind(query.dataset.as_ref().map(DatasetId::as_str))
        .bind(states)
        .bind(before)
        .bind(id)
        .bind(i64::from(page.limit) + 1)
        .bind(signed(page.offset))
        .fetch_all(&mut *tx)
        .await
        .attempting("list batches")?;
        Ok(cut(batches(rows)?, page.limit, |it| {
            (it.audit.created_at.0, it.id.0.clone())
        }))
    }

    async fn replace(
        &self,
        batch: &Batch,
        expected: Revision,
        by: Option<&Actor>,
    ) -> Result<Replaced, Fault> {
        let details = to_json(&batch.details, "batch")?;
        let mut tx = self.write().await?;
        let before = stored_digest(&mut tx, batch).await?;
        let done = sqlx::query(
            "UPDATE batch SET state = ?, details = ?, revision = revision + 1, updated_at = ?, updated_by = ?,
                              updated_client = ?
             WHERE org = ? AND sandbox = ? AND id = ? AND revision = ?",
        )
        .bind(batch.state.name())
        .bind(&details)
        .bind(batch.audit.updated_at.0)
        .bind(&batch.audit.updated_by)
        .bind(&batch.audit.updated_client)
        .bind(batch.tenant.org.as_str())
        .bind(batch.tenant.sandbox.as_str())
        .bind(batch.id.as_str())
        .bind(signed(expected.0))
        .execute(&mut *tx)
        .await
        .attempting(format_args!("change batch {}", batch.id))?;
        if done.rows_affected() == 0 {
            return Ok(Replaced::Conflict);
        }
        if let Some(by) = by {
            let after = audit::digest_of(&[batch.state.name(), &details]);
            audit::record(&mut tx, self.now(), by, &object(batch), before, Some(after)).await?;
        }
        commit(tx).await?;
        Ok(Replaced::Done)
    }

    async fn waiting(&self, limit: u32) -> Result<Vec<Batch>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<BatchRow> = sqlx::query_as(
            "SELECT * FROM batch WHERE state IN ('loaded', 'staging') ORDER BY updated_at, id LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .attempting("list batches that wait")?;
        batches(rows)
    }

    async fn stale(&self, before: Millis, limit: u32) -> Result<Vec<Batch>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<BatchRow> = sqlx::query_as(
            "SELECT * FROM batch WHERE state = 'loading' AND updated_at < ? ORDER BY updated_at, id LIMIT ?",
        )
        .bind(before.0)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .attempting("list forgotten batches")?;
        batches(rows)
    }
}

fn object(batch: &Batch) -> AuditObject {
    AuditObject::new("batches", batch.id.as_str())
}

async fn stored_digest(db: &mut SqliteConnection, batch: &Batch) -> Result<Option<String>, Fault> {
    let row: Option<(String, String)> =
        sqlx::query_as("SELECT state, details FROM batch WHERE org = ? AND sandbox = ? AND id = ?")
            .bind(batch.tenant.org.as_str())
            .bind(batch.tenant.sandbox.as_str())
            .bind(batch.id.as_str())
            .fetch_optional(db)
            .await
            .attempting(format_args!("read batch {}", batch.id))?;
    Ok(row.map(|(state, details)| audit::digest_of(&[&state, &details])))
}

#[derive(FromRow)]
struct BatchRow {
    id: String,
    org: String,
    sandbox: String,
    dataset_id: String,
    state: String,
    external_id: Option<String>,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    created_by: String,
    updated_by: String,
    created_client: String,
    updated_client: String,
    details: String,
}

impl BatchRow {
    fn into_batch(self) -> Result<Batch, Fault> {
        let state = BatchState::parse(&self.state)
            .ok_or_else(|| corrupt(format_args!("stored batch state {:?} is none", self.state)))?;
        Ok(Batch {
            details: from_json(&self.details, "batch")?,
            id: BatchId(self.id),
            tenant: Tenant {
                org: OrgId(self.org),
                sandbox: SandboxName(self.sandbox),
            },
            dataset: DatasetId(self.dataset_id),
            revision: Revision(counter(self.revision, "revision")?),
            audit: Audit {
                created_at: Millis(self.created_at),
                updated_at: Millis(self.updated_at),
                created_by: self.created_by,
                updated_by: self.updated_by,
                created_client: self.created_client,
                updated_client: self.updated_client,
            },
            state,
            external_id: self.external_id,
        })
    }
}

fn batches(rows: Vec<BatchRow>) -> Result<Vec<Batch>, Fault> {
    rows.into_iter().map(BatchRow::into_batch).collect()
}
