//! The scheduler: turns due flows into runs.
//!
//! The schedule lives in the store's rows; here is no timer per flow and nothing to lose. Enqueueing the same
//! occurrence twice is harmless.
//!
//! The one law: an occurrence that was missed is covered by the run of the latest one.

use std::time::Duration;

use offtake_core::{export_spec, schedule};
use offtake_model::resource::Flow;
use offtake_model::{
    ErrorCode, ExportSpec, Fault, FlowId, Millis, Resource, ResourceBody, ResourceId, ResourceKind,
    Run, RunId, RunKind,
};
use offtake_ports::Enqueued;
use offtake_ports::journal::{ScheduleMove, Tick};
use tokio_util::sync::CancellationToken;

use crate::failpoint::failpoint;
use crate::meter;
use crate::service::Context;

/// Flows read at once.
const FLOWS_PER_BATCH: u32 = 100;

/// Batches worked off before the clock is looked at again.
const BATCHES_PER_ROUND: u32 = 100;

/// Later than this counts as late in the log.
const LATE: Duration = Duration::from_mins(1);

/// The shortest sleep between two rounds.
const SLEEP_MIN: Duration = Duration::from_millis(10);

/// Enqueues due flows until the service is to stop.
pub(crate) async fn run(context: &Context, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            done = round(context) => if let Err(fault) = done {
                tracing::warn!(%fault, "due flows not read");
            },
        }
        context.work.notify_one();
        let pause = pause(context).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = context.nudge.notified() => {}
            () = context.deps.clock.sleep(pause) => {}
        }
    }
}

async fn pause(context: &Context) -> Duration {
    let tick = context.settings.tick;
    let wake = context.deps.queue.next_wake().await.ok().flatten();
    let Some(wake) = wake else {
        return tick;
    };
    let left = u64::try_from(wake.since(context.deps.clock.now())).unwrap_or_default();
    if left == 0 {
        // What is still due after a round cannot go on now; looking again at once would only spin.
        return tick;
    }
    Duration::from_millis(left).clamp(SLEEP_MIN.min(tick), tick)
}

async fn round(context: &Context) -> Result<(), Fault> {
    for _ in 0..BATCHES_PER_ROUND {
        let now = context.deps.clock.now();
        let due = context.deps.queue.due(now, FLOWS_PER_BATCH).await?;
        let mut moved = false;
        for flow in &due {
            match enqueue(context, flow, now).await {
                Ok(()) => moved = true,
                Err(fault) => tracing::error!(flow.id = %flow.id, %fault, "due flow not enqueued"),
            }
        }
        if !moved {
            break;
        }
    }
    Ok(())
}

async fn enqueue(context: &Context, resource: &Resource, now: Millis) -> Result<(), Fault> {
    let flow = flow_of(resource)?;
    let due = schedule::due_run(flow, now).ok_or_else(|| {
        internal(
            resource,
            "it is due, but its schedule has no occurrence yet",
        )
    })?;
    let id = FlowId(
        resource
            .id
            .as_str()
            .parse()
            .map_err(|_| internal(resource, "its id is not a UUID"))?,
    );
    let tick = Tick {
        run: Run {
            id: RunId::derive(id, &due.trigger_key),
            flow: id,
            flow_generation: flow.generation,
            kind: RunKind::Scheduled,
            trigger_key: due.trigger_key,
            occurrence: due.occurrence,
            full: due.full,
            spec: gather(context, resource).await?,
            created_by: "scheduler".to_owned(),
            created_at: now,
        },
        schedule: Some(ScheduleMove {
            expected: resource.revision,
            next_due_at: due.next_due_at,
        }),
        by: None,
    };
    let outcome = context.deps.queue.enqueue(&tick).await?;
    failpoint!("after-run-insert");
    note(&tick, outcome, now);
    Ok(())
}

fn note(tick: &Tick, outcome: Enqueued, now: Millis) {
    let (run, flow) = (tick.run.id, tick.run.flow);
    let late =
        Duration::from_millis(u64::try_from(now.since(tick.run.occurrence)).unwrap_or_default());
    if outcome == Enqueued::Inserted {
        meter::enqueued(late);
    }
    match outcome {
        Enqueued::Inserted if late > LATE => {
            tracing::warn!(run.id = %run, flow.id = %flow, late_s = late.as_secs(), "run enqueued late");
        }
        Enqueued::Inserted => tracing::info!(run.id = %run, flow.id = %flow, "run enqueued"),
        Enqueued::Exists => {
            tracing::debug!(run.id = %run, flow.id = %flow, "run was there already");
        }
        Enqueued::Stale => tracing::debug!(flow.id = %flow, "flow changed while it was enqueued"),
    }
}

/// Reads the flow's connections and gathers what its runs need.
async fn gather(context: &Context, flow: &Resource) -> Result<ExportSpec, Fault> {
    let (source, target) = export_spec::connections_of(flow)?;
    let source = get(context, flow, ResourceKind::Source, &source).await?;
    let target = get(context, flow, ResourceKind::Target, &target).await?;
    let base = export_spec::base_of(&target)?;
    let base = get(context, flow, ResourceKind::Connection, &base).await?;
    export_spec::export_spec(flow, &source, &target, &base)
}

async fn get(
    context: &Context,
    flow: &Resource,
    kind: ResourceKind,
    id: &ResourceId,
) -> Result<Resource, Fault> {
    let found = context.deps.resources.get(&flow.tenant, kind, id).await?;
    found.ok_or_else(|| {
        let message = format!(
            "read {}/{id} of flow {}: it does not exist",
            kind.collection(),
            flow.id
        );
        Fault::new(ErrorCode::ConnectionNotUsable, message)
    })
}

fn flow_of(resource: &Resource) -> Result<&Flow, Fault> {
    match &resource.body {
        ResourceBody::Flow(flow) => Ok(flow),
        ResourceBody::Connection(_)
        | ResourceBody::Source(_)
        | ResourceBody::Target(_)
        | ResourceBody::Dataset(_) => Err(internal(resource, "a flow was expected")),
    }
}

fn internal(flow: &Resource, what: &str) -> Fault {
    Fault::new(
        ErrorCode::Internal,
        format!("enqueue flow {}: {what}", flow.id),
    )
}
