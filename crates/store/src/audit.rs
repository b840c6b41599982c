//! The audit log in its table.
//!
//! What stands in it of an object is a digest: enough to prove what it was, too little to learn it.
//!
//! The one law: an entry is committed with its change or not at all, and never changed.

use async_trait::async_trait;
use aws_lc_rs::digest::{self, SHA256};
use offtake_model::audit::{Actor, AuditEntry, AuditObject, AuditPage, AuditQuery};
use offtake_model::{ClientId, Fault, Millis, OrgId, SandboxName, Tenant};
use offtake_ports::AuditLog;
use sqlx::{FromRow, SqliteConnection};

use crate::failure::Attempting;
use crate::rows::{counter, signed};
use crate::store::{Store, commit};

#[async_trait]
impl AuditLog for Store {
    async fn record(&self, by: &Actor, object: &AuditObject) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        record(&mut tx, self.now(), by, object, None, None).await?;
        commit(tx).await
    }

    async fn entries(
        &self,
        query: &AuditQuery,
        page: &AuditPage,
    ) -> Result<Vec<AuditEntry>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<AuditRow> = sqlx::query_as(
            "SELECT * FROM audit
             WHERE org = ?1 AND n < ?2
               AND (?3 IS NULL OR client = ?3) AND (?4 IS NULL OR sandbox = ?4)
               AND (?5 IS NULL OR collection = ?5) AND (?6 IS NULL OR object = ?6)
               AND (?7 IS NULL OR at >= ?7) AND (?8 IS NULL OR at < ?8)
             ORDER BY n DESC LIMIT ?9",
        )
        .bind(page.org.as_str())
        .bind(page.below.map_or(i64::MAX, signed))
        .bind(query.client.as_ref().map(ClientId::as_str))
        .bind(query.sandbox.as_ref().map(SandboxName::as_str))
        .bind(query.collection.as_deref())
        .bind(query.object.as_deref())
        .bind(query.since.map(|at| at.0))
        .bind(query.until.map(|at| at.0))
        .bind(page.limit)
        .fetch_all(&mut *tx)
        .await
        .attempting("list the audit log")?;
        rows.into_iter().map(AuditRow::into_entry).collect()
    }

    async fn purge(&self, before: Millis, limit: u32) -> Result<u64, Fault> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "DELETE FROM audit WHERE n IN (SELECT n FROM audit WHERE at < ? ORDER BY at LIMIT ?)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&mut *tx)
        .await
        .attempting("remove old entries of the audit log")?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }
}

/// Writes an entry within the change's transaction.
pub(crate) async fn record(
    db: &mut SqliteConnection,
    now: Millis,
    by: &Actor,
    object: &AuditObject,
    before: Option<String>,
    after: Option<String>,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO audit (at, org, sandbox, client, operation, address, collection, object, before, after)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(now.0)
    .bind(by.tenant.org.as_str())
    .bind(by.tenant.sandbox.as_str())
    .bind(by.client.as_str())
    .bind(&by.operation)
    .bind(&by.address)
    .bind(&object.collection)
    .bind(&object.id)
    .bind(before)
    .bind(after)
    .execute(db)
    .await
    .attempting(format_args!("write down the change of {} {}", object.collection, object.id))?;
    Ok(())
}

/// SHA-256 of what is stored, each column preceded by its length.
pub(crate) fn digest_of(columns: &[&str]) -> String {
    let mut context = digest::Context::new(&SHA256);
    for column in columns {
        context.update(&(column.len() as u64).to_be_bytes());
        context.update(column.as_bytes());
    }
    hex::encode(context.finish())
}

#[derive(FromRow)]
struct AuditRow {
    n: i64,
    at: i64,
    org: String,
    sandbox: String,
    client: String,
    operation: String,
    address: Option<String>,
    collection: String,
    object: String,
    before: Option<String>,
    after: Option<String>,
}

impl AuditRow {
    fn into_entry(self) -> Result<AuditEntry, Fault> {
        Ok(AuditEntry {
            number: counter(self.n, "number of an entry")?,
            at: Millis(self.at),
            by: Actor {
                tenant: Tenant {
                    org: OrgId(self.org),
                    sandbox: SandboxName(self.sandbox),
                },
                client: ClientId(self.client),
                operation: self.operation,
                address: self.address,
            },
            object: AuditObject {
                collection: self.collection,
                id: self.object,
            },
            before: self.before,
            after: self.after,
        })
    }
}
