//! Forgetting runs that ended long ago.
//!
//! The one law: nothing goes that anybody still works on, shows as a flow's last run, or has to clear away.

use offtake_model::{Fault, Millis};
use sqlx::SqliteConnection;

use crate::failure::Attempting;

/// Whose rows go with a run, children first.
const ROWS: [&str; 5] = [
    "DELETE FROM winner WHERE delivery_id IN
       (SELECT d.id FROM delivery d JOIN json_each(?) gone ON gone.value = d.run_id)",
    "DELETE FROM attempt WHERE delivery_id IN
       (SELECT d.id FROM delivery d JOIN json_each(?) gone ON gone.value = d.run_id)",
    "DELETE FROM planned_tasks WHERE delivery_id IN
       (SELECT d.id FROM delivery d JOIN json_each(?) gone ON gone.value = d.run_id)",
    "DELETE FROM delivery WHERE run_id IN (SELECT value FROM json_each(?))",
    "DELETE FROM run WHERE id IN (SELECT value FROM json_each(?))",
];

/// Removes at most `limit` runs within the caller's transaction.
pub(super) async fn purge(
    db: &mut SqliteConnection,
    before: Millis,
    limit: u32,
) -> Result<u64, Fault> {
    let runs: Vec<String> = sqlx::query_scalar(
        "SELECT r.id FROM run r WHERE r.created_at < ?
           AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.run_id = r.id AND d.completed_at IS NULL)
           AND NOT EXISTS (
             SELECT 1 FROM delivery d JOIN attempt a ON a.delivery_id = d.id
             WHERE d.run_id = r.id AND a.state = 'staged')
           AND (NOT EXISTS (SELECT 1 FROM resource f WHERE f.kind = 'flow' AND f.id = r.flow_id)
             OR EXISTS (
               SELECT 1 FROM run newer WHERE newer.org = r.org AND newer.sandbox = r.sandbox
                 AND newer.flow_id = r.flow_id AND (newer.created_at, newer.id) > (r.created_at, r.id)))
         ORDER BY r.created_at LIMIT ?",
    )
    .bind(before.0)
    .bind(limit)
    .fetch_all(&mut *db)
    .await
    .attempting("look for old runs")?;
    if runs.is_empty() {
        return Ok(0);
    }
    let ids = serde_json::to_string(&runs).attempting("spell ids of runs")?;
    for statement in ROWS {
        sqlx::query(statement)
            .bind(&ids)
            .execute(&mut *db)
            .await
            .attempting("remove old runs")?;
    }
    Ok(u64::try_from(runs.len()).unwrap_or(u64::MAX))
}
