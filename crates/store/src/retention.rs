//! Deliveries in landing zones whose time is over.
//!
//! The one law: a delivery is noted as taken away once, and only one that had succeeded.

use async_trait::async_trait;
use offtake_model::{
    DeliveryId, ExportPlan, Fault, Millis, OrgId, SandboxName, SealedFile, Tenant,
};
use offtake_ports::{Outdated, RetentionLog};
use sqlx::{FromRow, SqliteConnection};

use crate::failure::Attempting;
use crate::rows::{from_json, parse_id};
use crate::store::{Store, commit};

#[derive(FromRow)]
struct Row {
    n: i64,
    id: String,
    org: String,
    sandbox: String,
    plan: String,
    manifest: Vec<u8>,
}

#[async_trait]
impl RetentionLog for Store {
    async fn outdated(
        &self,
        before: Millis,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Outdated>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT d.n, d.id, d.org, d.sandbox, d.plan, d.manifest FROM delivery d JOIN run r ON r.id = d.run_id
             WHERE d.state = 'succeeded' AND d.expired_at IS NULL AND d.n > ? AND d.completed_at < ?
               AND json_extract(r.spec, '$.value.sink.kind') = 'landing-zone'
             ORDER BY d.n LIMIT ?",
        )
        .bind(after)
        .bind(before.0)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .attempting("list deliveries whose time is over")?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let files = files(&mut tx, &row.id).await?;
            found.push(Outdated {
                number: row.n,
                delivery: parse_id(&row.id, "delivery")?,
                tenant: Tenant {
                    org: OrgId(row.org),
                    sandbox: SandboxName(row.sandbox),
                },
                plan: from_json::<ExportPlan>(
                    &row.plan,
                    format_args!("plan of delivery {}", row.id),
                )?,
                manifest: row.manifest.into(),
                files: files.into_iter().map(|file| file.token.handle).collect(),
            });
        }
        Ok(found)
    }

    async fn expired(&self, tenant: &Tenant, delivery: DeliveryId) -> Result<(), Fault> {
        let now = self.now();
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE delivery SET expired_at = ?1, updated_at = ?1
             WHERE org = ?2 AND sandbox = ?3 AND id = ?4 AND state = 'succeeded' AND expired_at IS NULL",
        )
        .bind(now.0)
        .bind(tenant.org.as_str())
        .bind(tenant.sandbox.as_str())
        .bind(delivery.to_string())
        .execute(&mut *tx)
        .await
        .attempting(format_args!("note that delivery {delivery} was taken away"))?;
        commit(tx).await
    }
}

async fn files(db: &mut SqliteConnection, delivery: &str) -> Result<Vec<SealedFile>, Fault> {
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT file FROM winner WHERE delivery_id = ? ORDER BY task")
            .bind(delivery)
            .fetch_all(db)
            .await
            .attempting(format_args!("read the files of delivery {delivery}"))?;
    rows.iter()
        .map(|file| from_json(file, "sealed file"))
        .collect()
}
