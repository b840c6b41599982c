//! Requests to cancel, by run and by deleted flow.
//!
//! The one law: a request ends what is queued, wakes what waits, marks what runs, and leaves alone what is past
//! the point of no return.

use offtake_model::{ErrorCode, Fault, Millis, RunId, Tenant};
use sqlx::SqliteConnection;

use crate::failure::Attempting;
use crate::rows::to_json;

/// Asks the deliveries of a run. True when there was one to ask.
pub(crate) async fn of_run(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    run: RunId,
    now: Millis,
) -> Result<bool, Fault> {
    let run = run.to_string();
    let fault = cancelled("the run was cancelled before this delivery started")?;
    let ended = sqlx::query(
        "UPDATE delivery SET state = 'cancelled', fault = ?, completed_at = ?, updated_at = ?
         WHERE org = ? AND sandbox = ? AND run_id = ? AND state = 'queued'",
    )
    .bind(&fault)
    .bind(now.0)
    .bind(now.0)
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(&run)
    .execute(&mut *db)
    .await
    .attempting(format_args!("cancel queued deliveries of run {run}"))?;
    let asked = sqlx::query(
        "UPDATE delivery SET cancel_requested = 1, not_before = min(not_before, ?1), updated_at = ?1
         WHERE org = ?2 AND sandbox = ?3 AND run_id = ?4
           AND state IN ('planning', 'executing', 'publishing', 'retry_wait')",
    )
    .bind(now.0)
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(&run)
    .execute(db)
    .await
    .attempting(format_args!("ask the deliveries of run {run} to cancel"))?;
    Ok(ended.rows_affected() + asked.rows_affected() > 0)
}

/// Asks every delivery of a flow that is being deleted.
pub(crate) async fn of_flow(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    flow: &str,
    now: Millis,
) -> Result<(), Fault> {
    let fault = cancelled("the flow was deleted before this delivery started")?;
    sqlx::query(
        "UPDATE delivery SET state = 'cancelled', fault = ?, completed_at = ?, updated_at = ?
         WHERE org = ? AND sandbox = ? AND flow_id = ? AND completed_at IS NULL AND state = 'queued'",
    )
    .bind(&fault)
    .bind(now.0)
    .bind(now.0)
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(flow)
    .execute(&mut *db)
    .await
    .attempting(format_args!("cancel queued deliveries of flow {flow}"))?;
    sqlx::query(
        "UPDATE delivery SET cancel_requested = 1, not_before = min(not_before, ?1), updated_at = ?1
         WHERE org = ?2 AND sandbox = ?3 AND flow_id = ?4 AND completed_at IS NULL
           AND state IN ('planning', 'executing', 'publishing', 'retry_wait')",
    )
    .bind(now.0)
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(flow)
    .execute(db)
    .await
    .attempting(format_args!("ask the deliveries of flow {flow} to cancel"))?;
    Ok(())
}

fn cancelled(why: &str) -> Result<String, Fault> {
    to_json(&Fault::new(ErrorCode::Cancelled, why), "fault")
}
