//! Inserting a run with its deliveries and moving its flow's next occurrence, all at once.
//!
//! The one law: one run per flow and trigger, however often it is asked for.

use offtake_model::{
    DatasetId, DeliveryId, DeliveryState, ErrorCode, Fault, FlowId, Millis, Run, Tenant,
};
use offtake_ports::journal::ScheduleMove;
use offtake_ports::{Enqueued, Tick};
use sqlx::SqliteConnection;

use crate::failure::Attempting;
use crate::rows::run::run_kind_name;
use crate::rows::{signed, to_json};

/// Enqueues within the caller's transaction. After `Stale` nothing has changed.
pub(super) async fn enqueue(
    db: &mut SqliteConnection,
    tick: &Tick,
    now: Millis,
) -> Result<Enqueued, Fault> {
    let run = &tick.run;
    let tenant = &run.spec.tenant;
    let Some(revision) = flow_revision(db, tenant, run.flow).await? else {
        return Ok(Enqueued::Stale);
    };
    let fresh = tick
        .schedule
        .is_none_or(|schedule| signed(schedule.expected.0) == revision);
    let exists = run_exists(db, run).await?;
    if !fresh {
        return Ok(if exists {
            Enqueued::Exists
        } else {
            Enqueued::Stale
        });
    }
    if let Some(schedule) = tick.schedule {
        move_schedule(db, tenant, run.flow, schedule).await?;
    }
    if exists {
        return Ok(Enqueued::Exists);
    }
    insert_run(db, run).await?;
    for dataset in &run.spec.datasets {
        insert_delivery(db, run, dataset, now).await?;
    }
    Ok(Enqueued::Inserted)
}

async fn flow_revision(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    flow: FlowId,
) -> Result<Option<i64>, Fault> {
    sqlx::query_scalar(
        "SELECT revision FROM resource
         WHERE org = ? AND sandbox = ? AND kind = 'flow' AND id = ? AND hidden = 0",
    )
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(flow.to_string())
    .fetch_optional(db)
    .await
    .attempting(format_args!("read flow {flow}"))
}

async fn run_exists(db: &mut SqliteConnection, run: &Run) -> Result<bool, Fault> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM run WHERE id = ?1 OR (flow_id = ?2 AND trigger_key = ?3))",
    )
    .bind(run.id.to_string())
    .bind(run.flow.to_string())
    .bind(&run.trigger_key)
    .fetch_one(db)
    .await
    .attempting(format_args!("look for run {}", run.id))
}

async fn move_schedule(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    flow: FlowId,
    schedule: ScheduleMove,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE resource SET next_due_at = ? WHERE org = ? AND sandbox = ? AND kind = 'flow' AND id = ?",
    )
    .bind(schedule.next_due_at.map(|at| at.0))
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(flow.to_string())
    .execute(db)
    .await
    .attempting(format_args!("move the next occurrence of flow {flow}"))?;
    Ok(())
}

async fn insert_run(db: &mut SqliteConnection, run: &Run) -> Result<(), Fault> {
    let spec = to_json(&run.spec, "run spec")?;
    sqlx::query(
        "INSERT INTO run (id, org, sandbox, flow_id, flow_generation, kind, trigger_key, occurrence, whole, spec,
                          created_by, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(run.id.to_string())
    .bind(run.spec.tenant.org.as_str())
    .bind(run.spec.tenant.sandbox.as_str())
    .bind(run.flow.to_string())
    .bind(signed(run.flow_generation))
    .bind(run_kind_name(run.kind))
    .bind(&run.trigger_key)
    .bind(run.occurrence.0)
    .bind(run.full)
    .bind(spec)
    .bind(&run.created_by)
    .bind(run.created_at.0)
    .execute(db)
    .await
    .attempting(format_args!("insert run {}", run.id))?;
    Ok(())
}

async fn insert_delivery(
    db: &mut SqliteConnection,
    run: &Run,
    dataset: &DatasetId,
    now: Millis,
) -> Result<(), Fault> {
    let id = DeliveryId::derive(run.id, dataset);
    let mut state = DeliveryState::Queued;
    let mut fault = None;
    if let Some(before) = covered_by(db, run, dataset).await? {
        state = DeliveryState::Skipped;
        let overlapped = Fault::new(
            ErrorCode::Overlapped,
            format!(
                "run {before} of the same flow still waits for dataset {dataset} and will deliver these rows"
            ),
        );
        fault = Some(to_json(&overlapped, "fault")?);
    }
    sqlx::query(
        "INSERT INTO delivery (id, org, sandbox, run_id, flow_id, dataset_id, state, fault, created_at,
                               completed_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.to_string())
    .bind(run.spec.tenant.org.as_str())
    .bind(run.spec.tenant.sandbox.as_str())
    .bind(run.id.to_string())
    .bind(run.flow.to_string())
    .bind(dataset.as_str())
    .bind(state.name())
    .bind(fault)
    .bind(now.0)
    .bind(state.terminal().then_some(now.0))
    .bind(now.0)
    .execute(db)
    .await
    .attempting(format_args!("insert delivery {id}"))?;
    Ok(())
}

/// The run that waits to deliver the same rows to the same place in the same form. Only kinds that move the cursor stand in for one another, and
/// nothing stands in for a full re-sync.
async fn covered_by(
    db: &mut SqliteConnection,
    run: &Run,
    dataset: &DatasetId,
) -> Result<Option<String>, Fault> {
    if run.full || !run.kind.moves_cursor() {
        return Ok(None);
    }
    sqlx::query_scalar(
        "SELECT d.run_id FROM delivery d JOIN run r ON r.id = d.run_id
         WHERE d.flow_id = ? AND d.dataset_id = ? AND d.completed_at IS NULL AND d.state = 'queued'
           AND r.kind IN ('scheduled', 'now')
           AND json_remove(r.spec, '$.value.datasets', '$.value.sourceConnection')
             = json_remove(?, '$.value.datasets', '$.value.sourceConnection')
         ORDER BY d.n LIMIT 1",
    )
    .bind(run.flow.to_string())
    .bind(dataset.as_str())
    .bind(to_json(&run.spec, "run spec")?)
    .fetch_optional(db)
    .await
    .attempting(format_args!(
        "look for a queued delivery of dataset {dataset}"
    ))
}
