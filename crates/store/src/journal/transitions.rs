//! The transitions of a delivery, each one statement whose guard names the lease and the states it may come from.
//!
//! The one law: the statement that decides is the statement that checks.

use offtake_model::delivery::{AbortThen, CursorMove};
use offtake_model::{ErrorCode, ExportPlan, Fault, Lease, Millis, Retry, RunMetrics, Transition};
use offtake_ports::Applied;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use super::{guarded, planned, seen};
use crate::failure::Attempting;
use crate::quotas;
use crate::resources::remove_hidden_flow;
use crate::rows::run::parse_run_kind;
use crate::rows::{signed, to_json};

/// Applies a transition within the caller's transaction.
pub(super) async fn apply(
    db: &mut SqliteConnection,
    lease: &Lease,
    transition: &Transition,
    now: Millis,
) -> Result<Applied, Fault> {
    let mut step = Step { db, lease, now };
    match transition {
        Transition::SavePlan(plan) => step.save_plan(plan).await,
        Transition::Freeze => step.freeze().await,
        Transition::Restage { task } => step.restage(*task).await,
        Transition::PointOfNoReturn {
            rev,
            manifest,
            sha256,
        } => step.point_of_no_return(*rev, manifest, sha256).await,
        Transition::Commit { metrics, cursor } => step.commit(metrics, cursor.as_ref()).await,
        Transition::Wait { fault, not_before } => step.wait(fault, *not_before).await,
        Transition::StartAbort { then, fault } => step.start_abort(*then, fault).await,
        Transition::FinishAbort => step.finish_abort().await,
        Transition::Quarantine { fault } => step.quarantine(fault).await,
    }
}

type Guarded<'q> = Query<'q, Sqlite, SqliteArguments>;

struct Step<'a> {
    db: &'a mut SqliteConnection,
    lease: &'a Lease,
    now: Millis,
}

impl Step<'_> {
    async fn save_plan(&mut self, plan: &ExportPlan) -> Result<Applied, Fault> {
        let tasks = signed(u64::try_from(plan.tasks.len()).unwrap_or(u64::MAX));
        let query = sqlx::query(
            "UPDATE delivery SET state = 'executing', plan = ?, task_count = ?, planned_rows = ?, manifest_key = ?,
                    updated_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ? AND state = 'planning'",
        )
        .bind(to_json(&plan.head(), "plan")?)
        .bind(tasks)
        .bind(planned::rows(plan))
        .bind(&plan.manifest_key);
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("save the plan of"))?;
        if guarded(&done) == Applied::Done {
            planned::save(self.db, plan).await?;
        }
        Ok(guarded(&done))
    }

    async fn freeze(&mut self) -> Result<Applied, Fault> {
        let query = sqlx::query(
            "UPDATE delivery SET state = 'publishing', rev = rev + 1, updated_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ? AND state = 'executing'
               AND task_count = (SELECT count(*) FROM winner WHERE delivery_id = delivery.id)",
        );
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("freeze"))?;
        Ok(guarded(&done))
    }

    async fn restage(&mut self, task: u32) -> Result<Applied, Fault> {
        let query = sqlx::query(
            "UPDATE delivery SET state = 'executing', updated_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ? AND state = 'publishing'",
        );
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("restage a task of"))?;
        if guarded(&done) == Applied::Fenced {
            return Ok(Applied::Fenced);
        }
        let removed = sqlx::query("DELETE FROM winner WHERE delivery_id = ? AND task = ?")
            .bind(self.lease.delivery.to_string())
            .bind(task)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("remove a winner of"))?;
        Ok(guarded(&removed))
    }

    async fn point_of_no_return(
        &mut self,
        rev: u32,
        manifest: &[u8],
        sha256: &str,
    ) -> Result<Applied, Fault> {
        let query = sqlx::query(
            "UPDATE delivery SET state = 'manifesting', manifest = ?, manifest_sha256 = ?, updated_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ? AND state = 'publishing' AND rev = ?",
        )
        .bind(manifest)
        .bind(sha256);
        let done = self
            .guard(query)
            .bind(rev)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("pass the point of no return of"))?;
        Ok(guarded(&done))
    }

    async fn commit(
        &mut self,
        metrics: &RunMetrics,
        cursor: Option<&CursorMove>,
    ) -> Result<Applied, Fault> {
        let query = sqlx::query(
            "UPDATE delivery SET state = 'succeeded', metrics = ?1, fault = NULL, completed_at = ?2, updated_at = ?2,
                    lease_owner = NULL, lease_expires_at = NULL
             WHERE id = ?3 AND lease_epoch = ?4 AND lease_owner = ?5 AND state = 'manifesting'",
        )
        .bind(to_json(metrics, "metrics")?);
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("commit"))?;
        if guarded(&done) == Applied::Fenced {
            return Ok(Applied::Fenced);
        }
        if let Some(cursor) = cursor {
            self.move_cursor(cursor).await?;
        }
        sqlx::query(
            "UPDATE attempt SET state = 'delivered'
             WHERE id IN (SELECT attempt_id FROM winner WHERE delivery_id = ?)",
        )
        .bind(self.lease.delivery.to_string())
        .execute(&mut *self.db)
        .await
        .attempting(self.what("keep the delivered files of"))?;
        let delivery = self.lease.delivery.to_string();
        quotas::count_bytes(self.db, &delivery, metrics.output_bytes, self.now).await?;
        self.end_flow().await?;
        Ok(Applied::Done)
    }

    async fn move_cursor(&mut self, cursor: &CursorMove) -> Result<(), Fault> {
        let (kind, flow, dataset): (String, String, String) = sqlx::query_as(
            "SELECT r.kind, d.flow_id, d.dataset_id FROM delivery d JOIN run r ON r.id = d.run_id WHERE d.id = ?",
        )
        .bind(self.lease.delivery.to_string())
        .fetch_one(&mut *self.db)
        .await
        .attempting(self.what("read the run of"))?;
        if !parse_run_kind(&kind)?.moves_cursor() {
            return Err(self.broken(&format!("a run of kind {kind} must not move the cursor")));
        }
        if flow != cursor.flow.to_string() || dataset != cursor.dataset.as_str() {
            return Err(self.broken("the cursor is another flow's or dataset's"));
        }
        let stood: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM cursor WHERE flow_id = ? AND dataset_id = ?")
                .bind(&flow)
                .bind(&dataset)
                .fetch_optional(&mut *self.db)
                .await
                .attempting(self.what("read the cursor of"))?;
        let stood = stood.unwrap_or(0);
        if stood.checked_add(1) != i64::try_from(cursor.seq).ok() {
            return Err(self.broken(&format!(
                "the cursor stands at {stood}, so its next number cannot be {}",
                cursor.seq
            )));
        }
        sqlx::query(
            "INSERT INTO cursor (org, sandbox, flow_id, dataset_id, position, seq)
             SELECT org, sandbox, flow_id, dataset_id, ?, ? FROM delivery WHERE id = ?
             ON CONFLICT (flow_id, dataset_id) DO UPDATE SET position = excluded.position, seq = excluded.seq",
        )
        .bind(to_json(&cursor.to, "position")?)
        .bind(signed(cursor.seq))
        .bind(self.lease.delivery.to_string())
        .execute(&mut *self.db)
        .await
        .attempting(self.what("move the cursor of"))?;
        match &cursor.seen {
            Some(step) => seen::advance(self.db, &self.lease.delivery.to_string(), step).await,
            None => Ok(()),
        }
    }

    async fn wait(&mut self, fault: &Fault, not_before: Millis) -> Result<Applied, Fault> {
        let query = sqlx::query(
            "UPDATE delivery SET state = 'retry_wait', resume = state, attempt = attempt + 1, fault = ?,
                    credential_waits = credential_waits + ?, not_before = ?, lease_owner = NULL, lease_expires_at = NULL, updated_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ?
               AND state IN ('planning', 'executing', 'publishing')",
        )
        .bind(to_json(fault, "fault")?)
        .bind(fault.retry() == Retry::Credentials)
        .bind(not_before.0);
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("put off"))?;
        Ok(guarded(&done))
    }

    async fn start_abort(&mut self, then: AbortThen, fault: &Fault) -> Result<Applied, Fault> {
        let then = match then {
            AbortThen::Failed => "failed",
            AbortThen::Cancelled => "cancelled",
        };
        let query = sqlx::query(
            "UPDATE delivery SET state = 'aborting', abort_then = ?, fault = ?, resume = NULL, not_before = NULL,
                    updated_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ?
               AND state IN ('planning', 'executing', 'publishing', 'retry_wait')",
        )
        .bind(then)
        .bind(to_json(fault, "fault")?);
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("begin to abort"))?;
        Ok(guarded(&done))
    }

    async fn finish_abort(&mut self) -> Result<Applied, Fault> {
        let query = sqlx::query(
            "UPDATE delivery SET state = abort_then, completed_at = ?1, updated_at = ?1,
                    lease_owner = NULL, lease_expires_at = NULL
             WHERE id = ?2 AND lease_epoch = ?3 AND lease_owner = ?4 AND state = 'aborting'",
        );
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("end the abort of"))?;
        if guarded(&done) == Applied::Done {
            self.end_flow().await?;
        }
        Ok(guarded(&done))
    }

    async fn quarantine(&mut self, fault: &Fault) -> Result<Applied, Fault> {
        let query = sqlx::query(
            "UPDATE delivery SET state = 'quarantined', fault = ?, lease_owner = NULL, lease_expires_at = NULL,
                    updated_at = ?
             WHERE id = ? AND lease_epoch = ? AND lease_owner = ?
               AND state IN ('planning', 'executing', 'publishing', 'manifesting', 'aborting')",
        )
        .bind(to_json(fault, "fault")?);
        let done = self
            .guard(query)
            .execute(&mut *self.db)
            .await
            .attempting(self.what("quarantine"))?;
        Ok(guarded(&done))
    }

    /// Removes the delivery's flow if it was deleted while this delivery was its last.
    async fn end_flow(&mut self) -> Result<(), Fault> {
        let flow: String = sqlx::query_scalar("SELECT flow_id FROM delivery WHERE id = ?")
            .bind(self.lease.delivery.to_string())
            .fetch_one(&mut *self.db)
            .await
            .attempting(self.what("read the flow of"))?;
        remove_hidden_flow(self.db, &flow).await
    }

    /// Binds what every guard asks for: the instant of the change, then the lease.
    fn guard<'q>(&self, query: Guarded<'q>) -> Guarded<'q> {
        query
            .bind(self.now.0)
            .bind(self.lease.delivery.to_string())
            .bind(signed(self.lease.epoch))
            .bind(self.lease.owner.clone())
    }

    fn what(&self, verb: &str) -> String {
        format!("{verb} delivery {}", self.lease.delivery)
    }

    fn broken(&self, invariant: &str) -> Fault {
        Fault::new(
            ErrorCode::Quarantined,
            format!(
                "refused to commit delivery {}: {invariant}",
                self.lease.delivery
            ),
        )
    }
}
