//! Runs again: a failed one for what it left undone, a past one as it was (contract, D2a and D2b).

use offtake_model::run::RunView;
use offtake_model::{DatasetId, DeliveryState, ErrorCode, Fault, Resolution, Run, RunId, RunKind};

use super::RunDetails;
use super::start::{flow_unknown, invalid};
use crate::identity::Caller;
use crate::service::{Changed, Service};

/// What can be done to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAction {
    /// Deliver what a failed run left undone.
    Retrigger,
    /// Settle what was quarantined.
    Resolve(Resolution),
}

impl RunAction {
    /// Reads `op`, in either case.
    pub fn parse(op: Option<&str>) -> Result<Self, Fault> {
        match op.map(str::to_ascii_uppercase).as_deref() {
            Some("RE_TRIGGER") => Ok(Self::Retrigger),
            Some("RESOLVE_RETRY") => Ok(Self::Resolve(Resolution::Retry)),
            Some("RESOLVE_GIVE_UP") => Ok(Self::Resolve(Resolution::GiveUp)),
            Some("") | None => Err(Fault::new(
                ErrorCode::QueryParameterMissing,
                "query parameter op is missing",
            )),
            Some(other) => Err(Fault::new(
                ErrorCode::ActionUnknown,
                format!("op must be RE_TRIGGER, RESOLVE_RETRY or RESOLVE_GIVE_UP, not [{other}]"),
            )),
        }
    }
}

impl Service {
    /// Acts on a run. `dataset` narrows a resolution to one of its deliveries.
    pub async fn act_on_run(
        &self,
        caller: &Caller,
        id: &str,
        action: RunAction,
        dataset: Option<&str>,
        idempotency_key: Option<&str>,
    ) -> Result<Changed, Fault> {
        match action {
            RunAction::Retrigger => self.retrigger(caller, id, idempotency_key).await,
            RunAction::Resolve(resolution) => self.resolve(caller, id, dataset, resolution).await,
        }
    }

    /// Takes deliveries of the run out of quarantine.
    async fn resolve(
        &self,
        caller: &Caller,
        id: &str,
        dataset: Option<&str>,
        resolution: Resolution,
    ) -> Result<Changed, Fault> {
        let run = self.run(caller, id).await?.view.run.id;
        let dataset = dataset.map(|it| DatasetId(it.to_owned()));
        let resolved = self
            .recovery
            .resolve(
                &caller.tenant,
                run,
                dataset.as_ref(),
                resolution,
                &caller.actor(),
            )
            .await?;
        if resolved == 0 {
            return Err(Fault::new(
                ErrorCode::RunActionNotAllowed,
                format!("run [{id}] has nothing to resolve: no such delivery is quarantined"),
            ));
        }
        self.nudge();
        let after = self.run(caller, id).await?;
        Ok(Changed {
            id: id.to_owned(),
            etag: after.etag,
        })
    }

    /// Starts a run for the datasets that a failed run left undone, with its occurrence, as the flow stands now.
    async fn retrigger(
        &self,
        caller: &Caller,
        id: &str,
        idempotency_key: Option<&str>,
    ) -> Result<Changed, Fault> {
        let key = self.unique_key(idempotency_key)?;
        let past = self.run(caller, id).await?;
        let undone = undone(&past)?;
        let run = past.view.run;
        let mut flow = self.runnable_flow(caller, &run.flow.to_string()).await?;
        flow.spec
            .datasets
            .retain(|dataset| undone.contains(dataset));
        if flow.spec.datasets.is_empty() {
            return Err(not_allowed(
                id,
                "the datasets it left undone are no longer the flow's",
            ));
        }
        let trigger = format!("retry:{}:{key}", run.id);
        let again = self.run_of(caller, flow, run.kind, trigger, run.full);
        let again = Run {
            occurrence: run.occurrence,
            ..again
        };
        self.enqueue(caller, again).await
    }

    /// Starts a run that delivers again exactly what a past run of the flow delivered. It moves no cursor.
    pub(super) async fn replay(
        &self,
        caller: &Caller,
        flow: &str,
        past: &str,
        key: &str,
    ) -> Result<Changed, Fault> {
        let found = past.parse::<RunId>();
        let found = match found {
            Ok(id) => self.runs.get(&caller.tenant, id).await?,
            Err(_) => None,
        };
        let found = found
            .filter(|view| view.run.flow.to_string() == flow)
            .ok_or_else(|| {
                Fault::new(
                    ErrorCode::ReplayUnknown,
                    format!("flow [{flow}] has no run [{past}]"),
                )
            })?;
        // A deleted flow has no place to deliver to any more.
        self.flow(caller, flow)
            .await
            .map_err(|_| flow_unknown(flow))?;
        if found.run.kind == RunKind::Replay {
            return Err(invalid(format!(
                "run [{past}] is a replay itself; name the run that it repeats"
            )));
        }
        let run = replayed(found, caller, key, self.clock.now());
        if run.spec.datasets.is_empty() {
            return Err(Fault::new(
                ErrorCode::ReplayUnknown,
                format!("run [{past}] has delivered nothing"),
            ));
        }
        self.enqueue(caller, run).await
    }
}

fn undone(past: &RunDetails) -> Result<Vec<DatasetId>, Fault> {
    let run = &past.view.run;
    if past.status != "failed" {
        return Err(not_allowed(&run.id.to_string(), past.status));
    }
    if !run.kind.moves_cursor() {
        return Err(not_allowed(
            &run.id.to_string(),
            "an on-demand run or a replay; ask for it anew",
        ));
    }
    let bad = past.view.deliveries.iter().filter(|delivery| {
        matches!(
            delivery.state,
            DeliveryState::Failed | DeliveryState::Cancelled
        )
    });
    Ok(bad.map(|delivery| delivery.dataset.clone()).collect())
}

fn replayed(past: RunView, caller: &Caller, key: &str, now: offtake_model::Millis) -> Run {
    let delivered = past
        .deliveries
        .into_iter()
        .filter(|delivery| delivery.state == DeliveryState::Succeeded)
        .map(|delivery| delivery.dataset)
        .collect();
    let trigger_key = format!("{}{key}", Run::replay_trigger(past.run.id));
    let mut run = Run {
        id: RunId::derive(past.run.flow, &trigger_key),
        kind: RunKind::Replay,
        trigger_key,
        created_by: caller.client.to_string(),
        created_at: now,
        ..past.run
    };
    run.spec.datasets = delivered;
    run
}

fn not_allowed(id: &str, is: &str) -> Fault {
    Fault::new(
        ErrorCode::RunActionNotAllowed,
        format!("run [{id}] cannot be triggered again: it is {is}"),
    )
}
