//! Taking deliveries out of quarantine, as a person decided.
//!
//! The one law: what passed the point of no return goes forward or stays as it is; only what did not is taken away.

use offtake_model::{DatasetId, Fault, Millis, Resolution, RunId, Tenant};
use sqlx::SqliteConnection;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use crate::failure::Attempting;
use crate::resources::remove_hidden_flow;

/// Resolves within the caller's transaction; answers how many deliveries there were.
pub(super) async fn resolve(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    run: RunId,
    dataset: Option<&DatasetId>,
    resolution: Resolution,
    now: Millis,
) -> Result<u64, Fault> {
    let statements: &[&'static str] = match resolution {
        Resolution::Retry => &[GO_ON],
        Resolution::GiveUp => &[KEEP_DELIVERED, END, TAKE_AWAY],
    };
    let mut resolved = 0;
    for statement in statements {
        let done = bound(sqlx::query(*statement), tenant, run, dataset)
            .bind(now.0)
            .execute(&mut *db)
            .await
            .attempting(format_args!("resolve the quarantine of run {run}"))?;
        if *statement != KEEP_DELIVERED {
            resolved += done.rows_affected();
        }
    }
    let flow: Option<String> = sqlx::query_scalar("SELECT flow_id FROM run WHERE id = ?")
        .bind(run.to_string())
        .fetch_optional(&mut *db)
        .await
        .attempting(format_args!("read run {run}"))?;
    if let Some(flow) = flow.filter(|_| resolved > 0) {
        remove_hidden_flow(db, &flow).await?;
    }
    Ok(resolved)
}

/// Frozen winners are frozen again: from its tasks the way leads through the freeze.
const GO_ON: &str = "
    UPDATE delivery SET
      state = CASE WHEN manifest IS NOT NULL THEN 'manifesting' WHEN abort_then IS NOT NULL THEN 'aborting'
                   WHEN plan IS NOT NULL THEN 'executing' ELSE 'planning' END,
      attempt = 0, credential_waits = 0, claims_lost = 0, lease_owner = NULL, lease_expires_at = NULL, updated_at = ?5
    WHERE org = ?1 AND sandbox = ?2 AND run_id = ?3 AND (?4 IS NULL OR dataset_id = ?4) AND state = 'quarantined'";

/// Its manifest may stand, so nothing that it names may go.
const KEEP_DELIVERED: &str = "
    UPDATE attempt SET state = 'delivered'
    WHERE id IN (SELECT w.attempt_id FROM winner w JOIN delivery d ON d.id = w.delivery_id
      WHERE d.org = ?1 AND d.sandbox = ?2 AND d.run_id = ?3 AND (?4 IS NULL OR d.dataset_id = ?4)
        AND d.state = 'quarantined' AND d.manifest IS NOT NULL AND ?5 IS NOT NULL)";

const END: &str = "
    UPDATE delivery SET state = coalesce(abort_then, 'failed'), completed_at = ?5, updated_at = ?5, lease_owner = NULL,
      lease_expires_at = NULL
    WHERE org = ?1 AND sandbox = ?2 AND run_id = ?3 AND (?4 IS NULL OR dataset_id = ?4) AND state = 'quarantined'
      AND (manifest IS NOT NULL OR abort_then IS NOT NULL)";

const TAKE_AWAY: &str = "
    UPDATE delivery SET state = 'aborting', abort_then = 'failed', claims_lost = 0, lease_owner = NULL,
      lease_expires_at = NULL, updated_at = ?5
    WHERE org = ?1 AND sandbox = ?2 AND run_id = ?3 AND (?4 IS NULL OR dataset_id = ?4) AND state = 'quarantined'";

fn bound<'q>(
    query: Query<'q, sqlx::Sqlite, SqliteArguments>,
    tenant: &Tenant,
    run: RunId,
    dataset: Option<&DatasetId>,
) -> Query<'q, sqlx::Sqlite, SqliteArguments> {
    query
        .bind(tenant.org.as_str().to_owned())
        .bind(tenant.sandbox.as_str().to_owned())
        .bind(run.to_string())
        .bind(dataset.map(|it| it.as_str().to_owned()))
}
