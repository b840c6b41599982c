//! Flows that are deleted while deliveries of them are under way.
//!
//! The one law: a flow is gone for clients at once, and its rows only after its last delivery has ended.

use offtake_model::{Fault, Millis, ResourceId, Tenant};
use sqlx::SqliteConnection;

use crate::failure::Attempting;
use crate::queue::cancel;
use crate::recovery;

/// Deletes a flow, or hides it while deliveries of it are unfinished.
pub(super) async fn delete_flow(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    id: &ResourceId,
    now: Millis,
) -> Result<bool, Fault> {
    let hidden = sqlx::query(
        "UPDATE resource SET hidden = 1, next_due_at = NULL
         WHERE org = ? AND sandbox = ? AND kind = 'flow' AND id = ? AND hidden = 0",
    )
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(id.as_str())
    .execute(&mut *db)
    .await
    .attempting(format_args!("hide flow {id}"))?;
    if hidden.rows_affected() == 0 {
        return Ok(false);
    }
    recovery::forget(db, id.as_str(), now).await?;
    cancel::of_flow(db, tenant, id.as_str(), now).await?;
    remove_hidden_flow(db, id.as_str()).await?;
    Ok(true)
}

/// Removes a hidden flow with its cursors, once none of its deliveries is unfinished.
pub(crate) async fn remove_hidden_flow(db: &mut SqliteConnection, flow: &str) -> Result<(), Fault> {
    let removed = sqlx::query(
        "DELETE FROM resource WHERE kind = 'flow' AND id = ?1 AND hidden = 1
           AND NOT EXISTS (SELECT 1 FROM delivery WHERE flow_id = ?1 AND completed_at IS NULL)",
    )
    .bind(flow)
    .execute(&mut *db)
    .await
    .attempting(format_args!("remove deleted flow {flow}"))?;
    if removed.rows_affected() == 0 {
        return Ok(());
    }
    for statement in [
        "DELETE FROM cursor WHERE flow_id = ?",
        "DELETE FROM seen_file WHERE flow_id = ?",
    ] {
        sqlx::query(statement)
            .bind(flow)
            .execute(&mut *db)
            .await
            .attempting(format_args!("remove cursors of deleted flow {flow}"))?;
    }
    Ok(())
}
