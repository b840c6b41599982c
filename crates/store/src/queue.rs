//! The queue of deliveries: due flows, claims, leases.
//!
//! Deliveries are named by ids derived from their flow's, which is unique among all tenants; the rows carry the
//! tenant for whoever reads runs.
//!
//! The one law: a delivery's lease epoch only grows, and only one claim gets each value.

pub(crate) mod cancel;
mod enqueue;

use std::time::Duration;

use async_trait::async_trait;
use offtake_model::audit::AuditObject;
use offtake_model::{Fault, Lease, Millis, Resource, ResourceKind, RunId, Tenant};
use offtake_ports::journal::Renewed;
use offtake_ports::{Applied, DeliveryQueue, Enqueued, Tick};
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::failure::Attempting;
use crate::quotas;
use crate::resources::ResourceRow;
use crate::rows::{counter, parse_id, signed, to_json};
use crate::store::{Store, commit};

#[async_trait]
impl DeliveryQueue for Store {
    async fn due(&self, now: Millis, limit: u32) -> Result<Vec<Resource>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<ResourceRow> = sqlx::query_as(
            "SELECT * FROM resource
             WHERE kind = 'flow' AND state = 'enabled' AND hidden = 0 AND next_due_at IS NOT NULL
               AND next_due_at <= ?
             ORDER BY next_due_at, id LIMIT ?",
        )
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .attempting("list due flows")?;
        rows.into_iter()
            .map(|row| row.into_resource(ResourceKind::Flow))
            .collect()
    }

    async fn enqueue(&self, tick: &Tick) -> Result<Enqueued, Fault> {
        let mut tx = self.write().await?;
        let enqueued = enqueue::enqueue(&mut tx, tick, self.now()).await?;
        if let (Enqueued::Inserted, Some(by)) = (enqueued, &tick.by) {
            quotas::check_bytes(&mut tx, &by.tenant.org, self.now()).await?;
            let spec = to_json(&tick.run.spec, "run spec")?;
            let after = audit::digest_of(&[&tick.run.trigger_key, &spec]);
            let object = AuditObject::new("runs", tick.run.id.to_string());
            audit::record(&mut tx, self.now(), by, &object, None, Some(after)).await?;
        }
        commit(tx).await?;
        Ok(enqueued)
    }

    async fn claim(&self, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let mut tx = self.write().await?;
        let Some(row) = claim(&mut tx, owner, self.now(), ttl).await? else {
            return Ok(None);
        };
        commit(tx).await?;
        row.into_lease(owner).map(Some)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Renewed, Fault> {
        let expires_at = after(self.now(), ttl);
        let mut tx = self.write().await?;
        let cancel_requested: Option<bool> = sqlx::query_scalar(
            "UPDATE delivery SET lease_expires_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ? RETURNING cancel_requested",
        )
        .bind(expires_at.0)
        .bind(lease.delivery.to_string())
        .bind(signed(lease.epoch))
        .bind(&lease.owner)
        .fetch_optional(&mut *tx)
        .await
        .attempting(format_args!(
            "renew the lease of delivery {}",
            lease.delivery
        ))?;
        let Some(cancel_requested) = cancel_requested else {
            return Ok(Renewed::Fenced);
        };
        commit(tx).await?;
        let lease = Lease {
            expires_at,
            ..lease.clone()
        };
        Ok(Renewed::Done {
            lease,
            cancel_requested,
        })
    }

    async fn release(&self, lease: &Lease) -> Result<Applied, Fault> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE delivery SET lease_owner = NULL, lease_expires_at = NULL
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ?",
        )
        .bind(lease.delivery.to_string())
        .bind(signed(lease.epoch))
        .bind(&lease.owner)
        .execute(&mut *tx)
        .await
        .attempting(format_args!(
            "release the lease of delivery {}",
            lease.delivery
        ))?;
        if done.rows_affected() == 0 {
            return Ok(Applied::Fenced);
        }
        commit(tx).await?;
        Ok(Applied::Done)
    }

    /// True when the run has a delivery that may still be cancelled.
    async fn request_cancel(&self, tenant: &Tenant, run: RunId) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        let asked = cancel::of_run(&mut tx, tenant, run, self.now()).await?;
        commit(tx).await?;
        Ok(asked)
    }

    async fn void_leases(&self) -> Result<u64, Fault> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE delivery SET lease_owner = NULL, lease_expires_at = NULL, lease_epoch = lease_epoch + 1,
                    claims_lost = claims_lost + 1
             WHERE completed_at IS NULL AND lease_owner IS NOT NULL",
        )
        .execute(&mut *tx)
        .await
        .attempting("void all leases")?;
        commit(tx).await?;
        Ok(done.rows_affected())
    }

    async fn next_wake(&self) -> Result<Option<Millis>, Fault> {
        let mut tx = self.read().await?;
        let at: Option<i64> = sqlx::query_scalar(
            "SELECT min(at) FROM (
               SELECT min(next_due_at) AS at FROM resource
               WHERE kind = 'flow' AND state = 'enabled' AND hidden = 0 AND next_due_at IS NOT NULL
               UNION ALL
               SELECT min(not_before) FROM delivery WHERE completed_at IS NULL AND state = 'retry_wait')",
        )
        .fetch_one(&mut *tx)
        .await
        .attempting("read the next wake")?;
        Ok(at.map(Millis))
    }
}

#[derive(FromRow)]
struct ClaimedRow {
    id: String,
    lease_epoch: i64,
    lease_expires_at: i64,
}

impl ClaimedRow {
    fn into_lease(self, owner: &str) -> Result<Lease, Fault> {
        Ok(Lease {
            delivery: parse_id(&self.id, "delivery")?,
            epoch: counter(self.lease_epoch, "lease epoch")?,
            owner: owner.to_owned(),
            expires_at: Millis(self.lease_expires_at),
        })
    }
}

async fn claim(
    db: &mut SqliteConnection,
    owner: &str,
    now: Millis,
    ttl: Duration,
) -> Result<Option<ClaimedRow>, Fault> {
    // An organisation at its limit of concurrent runs begins no other; one that has had its bytes for today, none.
    sqlx::query_as(
        "WITH busy (org) AS MATERIALIZED (
           SELECT o.id FROM organisation o WHERE o.concurrent_runs_max <= (
             SELECT count(DISTINCT b.run_id) FROM delivery b
             WHERE b.org = o.id AND b.completed_at IS NULL AND b.lease_owner IS NOT NULL AND b.lease_expires_at > ?3)),
         sated (org) AS MATERIALIZED (
           SELECT o.id FROM organisation o LEFT JOIN delivered_bytes b ON b.org = o.id AND b.day = ?4
           WHERE o.bytes_per_day_max <= coalesce(b.bytes, 0))
         UPDATE delivery SET
           state = CASE state WHEN 'queued' THEN 'planning' WHEN 'retry_wait' THEN resume ELSE state END,
           resume = NULL, not_before = NULL, claims_lost = claims_lost + (lease_owner IS NOT NULL),
           lease_owner = ?1, lease_epoch = lease_epoch + 1, lease_expires_at = ?2,
           started_at = coalesce(started_at, ?3), updated_at = ?3
         WHERE n = (
           SELECT n FROM delivery d
           WHERE d.completed_at IS NULL AND d.flow_id NOT IN (SELECT flow_id FROM held_flow) AND (
             (d.state = 'queued' AND d.org NOT IN (SELECT org FROM sated) AND NOT EXISTS (
               SELECT 1 FROM delivery a WHERE a.flow_id = d.flow_id AND a.dataset_id = d.dataset_id
                 AND a.completed_at IS NULL AND a.state <> 'queued'))
             OR (d.state = 'retry_wait' AND d.not_before <= ?3)
             OR (d.state IN ('planning', 'executing', 'publishing', 'manifesting', 'aborting')
               AND (d.lease_expires_at IS NULL OR d.lease_expires_at <= ?3)))
             AND (d.state NOT IN ('queued', 'retry_wait') OR d.org NOT IN (SELECT org FROM busy)
               OR EXISTS (
                 SELECT 1 FROM delivery s WHERE s.org = d.org AND s.run_id = d.run_id AND s.completed_at IS NULL
                   AND s.lease_owner IS NOT NULL AND s.lease_expires_at > ?3))
           ORDER BY d.n LIMIT 1)
         RETURNING id, lease_epoch, lease_expires_at",
    )
    .bind(owner)
    .bind(after(now, ttl).0)
    .bind(now.0)
    .bind(quotas::day(now))
    .fetch_optional(db)
    .await
    .attempting("claim a delivery")
}

fn after(now: Millis, ttl: Duration) -> Millis {
    now.plus_millis(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}
