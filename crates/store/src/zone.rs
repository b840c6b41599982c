//! Which generation of a tenant's landing-zone signatures is good.
//!
//! The one law: a generation only ever grows.

use async_trait::async_trait;
use offtake_model::audit::AuditObject;
use offtake_model::{Actor, Fault, Tenant};
use offtake_ports::ZoneGrants;

use crate::audit;
use crate::failure::Attempting;
use crate::rows::counter;
use crate::store::{Store, commit};

#[async_trait]
impl ZoneGrants for Store {
    async fn generation(&self, tenant: &Tenant) -> Result<u64, Fault> {
        let mut tx = self.read().await?;
        let found: Option<i64> =
            sqlx::query_scalar("SELECT generation FROM zone_grant WHERE org = ? AND sandbox = ?")
                .bind(tenant.org.as_str())
                .bind(tenant.sandbox.as_str())
                .fetch_optional(&mut *tx)
                .await
                .attempting("read the generation of the landing zone's signatures")?;
        found.map_or(Ok(1), |generation| counter(generation, "generation"))
    }

    async fn renew(&self, tenant: &Tenant, by: &Actor) -> Result<u64, Fault> {
        let mut tx = self.write().await?;
        let generation: i64 = sqlx::query_scalar(
            "INSERT INTO zone_grant (org, sandbox, generation) VALUES (?, ?, 2)
             ON CONFLICT (org, sandbox) DO UPDATE SET generation = generation + 1 RETURNING generation",
        )
        .bind(tenant.org.as_str())
        .bind(tenant.sandbox.as_str())
        .fetch_one(&mut *tx)
        .await
        .attempting("renew the landing zone's signatures")?;
        let object = AuditObject::new("landingZones", tenant.sandbox.as_str());
        let digest = |generation: i64| audit::digest_of(&[&generation.to_string()]);
        let (before, after) = (digest(generation - 1), digest(generation));
        let now = self.now();
        audit::record(&mut tx, now, by, &object, Some(before), Some(after)).await?;
        commit(tx).await?;
        counter(generation, "generation")
    }
}
