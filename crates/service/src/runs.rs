//! Runs: started on demand, read with what became of them (contract, 4.11 and 8).

use std::collections::HashMap;

use offtake_core::run_state::{self, RunStatus};
use offtake_core::schedule;
use offtake_core::validate::shown;
use offtake_model::resource::{Flow, FlowState};
use offtake_model::run::{DeliveryView, RunView};
use offtake_model::{
    ErrorCode, Fault, FlowId, Millis, ResourceKind, Run, RunId, RunKind, RunMetrics,
};
use offtake_ports::{Enqueued, Page, PageRequest, RunQuery, Tick};
use serde::Serialize;
use serde_json::Value;

use crate::entity::{self, Entity};
use crate::etag;
use crate::identity::Caller;
use crate::listing::{Listed, Listing, Placed};
use crate::service::{Changed, Service, not_found};

/// Longest idempotency key, in characters.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;

/// A run with its state and totals.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetails {
    /// The run and its deliveries.
    pub view: RunView,
    /// `waiting`, `processing`, `success` or `failed`.
    pub status: &'static str,
    /// Sums over its deliveries.
    pub metrics: RunMetrics,
    /// Rows read by deliveries that ended without success.
    pub failed_rows: u64,
    /// When the first delivery started.
    pub started_at: Option<Millis>,
    /// When the last delivery ended, once all have.
    pub completed_at: Option<Millis>,
    /// When anything of it last changed.
    pub updated_at: Millis,
    /// Its etag, quotes included.
    pub etag: String,
}

impl Placed for RunDetails {
    fn place(&self) -> (i64, String) {
        let run = &self.view.run;
        (run.created_at.0, run.id.to_string())
    }
}

impl RunDetails {
    /// The status word of one of its deliveries.
    pub fn status_of(&self, delivery: &DeliveryView) -> &'static str {
        run_state::status(std::slice::from_ref(delivery)).name()
    }
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
        let key = self.trigger_key(idempotency_key)?;
        let resource = self.find(caller, ResourceKind::Flow, &wish.flow).await?;
        let resource = resource.ok_or_else(|| flow_unknown(&wish.flow))?;
        let now = self.clock.now();
        let flow = entity::flow(resource.clone())?;
        check_runnable(&flow, now)?;
        let spec = self.checked_spec(caller, &resource).await?;
        let run = Run {
            id: RunId::derive(spec.flow, &key),
            flow: spec.flow,
            flow_generation: flow.body.generation,
            kind: RunKind::Now,
            trigger_key: key,
            occurrence: now,
            full: wish.full || schedule::always_full(&flow.body.schedule),
            spec,
            created_by: caller.client.to_string(),
            created_at: now,
        };
        self.enqueue(caller, run).await
    }

    /// The run of that id.
    pub async fn run(&self, caller: &Caller, id: &str) -> Result<RunDetails, Fault> {
        let missing = || not_found("runs", id);
        let run = id.parse::<RunId>().map_err(|_| missing())?;
        let view = self.runs.get(&caller.tenant, run).await?;
        view.map(details).ok_or_else(missing)
    }

    /// A list of runs.
    pub async fn list_runs<T: Serialize>(
        &self,
        caller: &Caller,
        listing: &Listing,
        render: impl Fn(&RunDetails) -> T,
    ) -> Result<Listed<T>, Fault> {
        let query = RunQuery {
            flow: listing.only_flow(),
        };
        if listing.plain_count() {
            let count = self.runs.count(&caller.tenant, &query).await?;
            return Ok(Listed::Count(count));
        }
        let fetch = |request| self.runs_page(caller, query.clone(), request);
        listing.answer(fetch, render).await
    }

    /// The newest run of each flow that has one, by the flow's id.
    pub(crate) async fn newest_runs(
        &self,
        caller: &Caller,
        flows: &[Entity<Flow>],
    ) -> Result<HashMap<String, RunDetails>, Fault> {
        let ids: Vec<FlowId> = flows.iter().filter_map(|it| it.id.parse().ok()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let views = self.runs.latest(&caller.tenant, &ids).await?;
        let named = views
            .into_iter()
            .map(|view| (view.run.flow.to_string(), details(view)));
        Ok(named.collect())
    }

    async fn enqueue(&self, caller: &Caller, run: Run) -> Result<Changed, Fault> {
        let (id, full) = (run.id, run.full);
        let tick = Tick {
            run,
            schedule: None,
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

    async fn runs_page(
        &self,
        caller: &Caller,
        query: RunQuery,
        request: PageRequest,
    ) -> Result<Page<RunDetails>, Fault> {
        let page = self.runs.list(&caller.tenant, &query, &request).await?;
        Ok(Page {
            items: page.items.into_iter().map(details).collect(),
            next: page.next,
        })
    }

    fn trigger_key(&self, idempotency_key: Option<&str>) -> Result<String, Fault> {
        let Some(key) = idempotency_key else {
            return Ok(format!("now:{}", self.new_uuid().simple()));
        };
        let printable = key.chars().all(|c| c.is_ascii_graphic());
        if key.is_empty() || !printable || key.len() > IDEMPOTENCY_KEY_CHARS_MAX {
            return Err(Fault::new(
                ErrorCode::FieldInvalid,
                format!(
                    "header Idempotency-Key must be 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters \
                     without spaces"
                ),
            ));
        }
        Ok(format!("now:{key}"))
    }
}

/// What a body of `POST /runs` asks for.
struct Wish {
    flow: String,
    full: bool,
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
        let full = match body.get("params") {
            None | Some(Value::Null) => false,
            Some(Value::Object(params)) => full(params)?,
            Some(other) => {
                return Err(invalid(format!(
                    "`params` must be an object, got {}",
                    shown(other)
                )));
            }
        };
        Ok(Self { flow, full })
    }
}

fn full(params: &serde_json::Map<String, Value>) -> Result<bool, Fault> {
    if let Some(key) = stranger(params, &["full"]) {
        return Err(invalid(format!(
            "`params.{key}` is not available: a run starts at once and sends what was added since the last one, \
             or everything with `params.full`"
        )));
    }
    match params.get("full") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(full)) => Ok(*full),
        Some(other) => Err(invalid(format!(
            "`params.full` must be true or false, got {}",
            shown(other)
        ))),
    }
}

fn stranger<'a>(object: &'a serde_json::Map<String, Value>, known: &[&str]) -> Option<&'a String> {
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

fn details(view: RunView) -> RunDetails {
    let deliveries = &view.deliveries;
    let changes = deliveries.iter().map(|delivery| delivery.updated_at);
    let updated_at = changes
        .max()
        .map_or(view.run.created_at, |at| at.max(view.run.created_at));
    let lost = deliveries
        .iter()
        .filter(|it| run_state::status(std::slice::from_ref(it)) == RunStatus::Failed);
    let millisecond = updated_at.0.rem_euclid(1000).unsigned_abs();
    RunDetails {
        status: run_state::status(deliveries).name(),
        metrics: run_state::totals(deliveries),
        failed_rows: lost
            .map(|it| it.metrics.input_rows.saturating_sub(it.metrics.output_rows))
            .sum(),
        started_at: run_state::started_at(deliveries),
        completed_at: run_state::completed_at(deliveries),
        updated_at,
        etag: etag::shape(millisecond, updated_at),
        view,
    }
}

fn flow_unknown(id: &str) -> Fault {
    Fault::new(
        ErrorCode::FlowUnknown,
        format!("flow not found with id = [{id}]"),
    )
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
