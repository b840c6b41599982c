//! Starting a run now (contract, 4.11 and D2b).

use offtake_core::schedule;
use offtake_core::validate::shown;
use offtake_model::resource::{Flow, FlowState, Object};
use offtake_model::{ErrorCode, ExportSpec, Fault, Millis, ResourceKind, Run, RunId, RunKind};
use offtake_ports::{Enqueued, Tick};
use serde_json::Value;

use crate::entity::{self, Entity};
use crate::identity::Caller;
use crate::once::check_key;
use crate::service::{Changed, Service};

/// A flow that may run now, and what its run would freeze.
pub(super) struct RunnableFlow {
    pub(super) spec: ExportSpec,
    pub(super) always_full: bool,
    pub(super) started: bool,
    generation: u64,
}

impl Service {
    /// Starts a run now (contract, D2b). The same idempotency key starts the same run.
    pub async fn start_run(
        &self,
        caller: &Caller,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<Changed, Fault> {
        let wish = Wish::parse(body)?;
        let key = self.unique_key(idempotency_key)?;
        if let Some(past) = &wish.replay_of {
            return self.replay(caller, &wish.flow, past, &key).await;
        }
        let flow = self.runnable_flow(caller, &wish.flow).await?;
        let (kind, full) = (RunKind::Now, wish.full || flow.always_full);
        let run = self.run_of(caller, flow, kind, format!("now:{key}"), full);
        self.enqueue(caller, run).await
    }

    /// The flow, unless it is unknown or may not run.
    pub(super) async fn runnable_flow(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<RunnableFlow, Fault> {
        let resource = self.find(caller, ResourceKind::Flow, id).await?;
        let resource = resource.ok_or_else(|| flow_unknown(id))?;
        let now = self.clock.now();
        let flow = entity::flow(resource.clone())?;
        check_runnable(&flow, now)?;
        Ok(RunnableFlow {
            spec: self.checked_spec(caller, &resource).await?,
            always_full: schedule::always_full(&flow.body.schedule),
            started: flow.body.schedule.start <= now,
            generation: flow.body.generation,
        })
    }

    /// A run of the flow with the present instant as its occurrence.
    pub(super) fn run_of(
        &self,
        caller: &Caller,
        flow: RunnableFlow,
        kind: RunKind,
        trigger_key: String,
        full: bool,
    ) -> Run {
        let now = self.clock.now();
        Run {
            id: RunId::derive(flow.spec.flow, &trigger_key),
            flow: flow.spec.flow,
            flow_generation: flow.generation,
            kind,
            trigger_key,
            occurrence: now,
            full,
            spec: flow.spec,
            created_by: caller.client.to_string(),
            created_at: now,
        }
    }

    /// Takes the run, unless it was taken before.
    pub(super) async fn enqueue(&self, caller: &Caller, run: Run) -> Result<Changed, Fault> {
        let (id, full) = (run.id, run.full);
        let tick = Tick {
            run,
            schedule: None,
            by: Some(caller.actor()),
        };
        let outcome = self.queue.enqueue(&tick).await?;
        let stored = self.run(caller, &id.to_string()).await;
        match outcome {
            Enqueued::Inserted => self.nudge(),
            Enqueued::Exists if stored.as_ref().is_ok_and(|run| run.view.run.full != full) => {
                return Err(Fault::new(
                    ErrorCode::FieldInvalid,
                    "this Idempotency-Key started a run with another `params.full`",
                ));
            }
            Enqueued::Exists => {}
            Enqueued::Stale => return Err(flow_unknown(&tick.run.flow.to_string())),
        }
        stored.map(|run| Changed {
            id: id.to_string(),
            etag: run.etag,
        })
    }

    /// The part of a trigger key that tells one request from another.
    pub(super) fn unique_key(&self, idempotency_key: Option<&str>) -> Result<String, Fault> {
        let Some(key) = idempotency_key else {
            return Ok(self.new_uuid().simple().to_string());
        };
        check_key(key)?;
        Ok(key.to_owned())
    }
}

/// What a body of `POST /runs` asks for.
struct Wish {
    flow: String,
    full: bool,
    replay_of: Option<String>,
}

impl Wish {
    fn parse(body: &Value) -> Result<Self, Fault> {
        let Value::Object(body) = body else {
            return Err(invalid("the body must be a JSON object"));
        };
        // `status` is sent by a known client and means nothing (contract, 4.11).
        if let Some(key) = stranger(body, &["flowId", "params", "status"]) {
            return Err(invalid(format!(
                "the body has no field `{key}`; it has flowId, params"
            )));
        }
        let flow = match body.get("flowId") {
            Some(Value::String(id)) => id.clone(),
            Some(other) => return Err(flow_unknown(&shown(other))),
            None => return Err(invalid("`flowId` is required: the id of a flow")),
        };
        let nothing = Object::new();
        let params = match body.get("params") {
            None | Some(Value::Null) => &nothing,
            Some(Value::Object(params)) => params,
            Some(other) => {
                return Err(invalid(format!(
                    "`params` must be an object, got {}",
                    shown(other)
                )));
            }
        };
        if let Some(key) = stranger(params, &["full", "replayOf"]) {
            return Err(invalid(format!(
                "`params.{key}` is not available: a run starts at once and sends what was added since the last one, \
                 everything with `params.full`, or what a past run sent with `params.replayOf`"
            )));
        }
        let (full, replay_of) = (full(params)?, replay_of(params)?);
        if full && replay_of.is_some() {
            return Err(invalid(
                "`params.full` and `params.replayOf` exclude each other",
            ));
        }
        Ok(Self {
            flow,
            full,
            replay_of,
        })
    }
}

fn full(params: &Object) -> Result<bool, Fault> {
    match params.get("full") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(full)) => Ok(*full),
        Some(other) => Err(invalid(format!(
            "`params.full` must be true or false, got {}",
            shown(other)
        ))),
    }
}

fn replay_of(params: &Object) -> Result<Option<String>, Fault> {
    match params.get("replayOf") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(run)) => Ok(Some(run.clone())),
        Some(other) => Err(invalid(format!(
            "`params.replayOf` must be the id of a run, got {}",
            shown(other)
        ))),
    }
}

fn stranger<'a>(object: &'a Object, known: &[&str]) -> Option<&'a String> {
    object.keys().find(|key| !known.contains(&key.as_str()))
}

fn check_runnable(flow: &Entity<Flow>, now: Millis) -> Result<(), Fault> {
    if flow.body.state != FlowState::Enabled {
        return Err(Fault::new(
            ErrorCode::FlowStateInvalid,
            format!("flow [{}] is {}", flow.id, flow.body.state.name()),
        ));
    }
    if flow.body.schedule.end.is_some_and(|end| end < now) {
        return Err(Fault::new(
            ErrorCode::FlowStateInvalid,
            format!("flow [{}] has ended: its endTime has passed", flow.id),
        ));
    }
    Ok(())
}

pub(super) fn flow_unknown(id: &str) -> Fault {
    Fault::new(
        ErrorCode::FlowUnknown,
        format!("flow not found with id = [{id}]"),
    )
}

pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
