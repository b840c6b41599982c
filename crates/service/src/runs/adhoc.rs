//! Exports on demand: named datasets of a flow, now, without moving its cursors (contract, 9).

use std::collections::BTreeSet;

use offtake_core::validate::quoted;
use offtake_model::{DatasetId, ErrorCode, Fault, FlowId, Run, RunId, RunKind};
use offtake_ports::{PageRequest, RunQuery};
use serde_json::Value;

use super::start::invalid;
use crate::identity::Caller;
use crate::service::{Service, not_found};

/// Most flows in one request.
const FLOWS_MAX: usize = 100;

/// Newest runs of a flow among which one under way is looked for.
const RUNS_LOOKED_AT: u32 = 100;

/// A run started on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdhocExport {
    /// The flow, as named in the request.
    pub flow: String,
    /// The run.
    pub run: RunId,
    /// Its datasets.
    pub datasets: Vec<DatasetId>,
}

impl Service {
    /// Starts a run for each flow named, over the datasets named, all or none.
    pub async fn export_on_demand(
        &self,
        caller: &Caller,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<Vec<AdhocExport>, Fault> {
        let key = self.unique_key(idempotency_key)?;
        let mut runs = Vec::new();
        for (flow, datasets) in wishes(body)? {
            let run = self.on_demand(caller, &flow, &datasets, &key).await?;
            runs.push((flow, datasets, run));
        }
        let mut started = Vec::with_capacity(runs.len());
        for (flow, datasets, run) in runs {
            let run_id = run.id;
            let _changed = self.enqueue(caller, run).await?;
            started.push(AdhocExport {
                flow,
                run: run_id,
                datasets,
            });
        }
        Ok(started)
    }

    async fn on_demand(
        &self,
        caller: &Caller,
        id: &str,
        datasets: &[DatasetId],
        key: &str,
    ) -> Result<Run, Fault> {
        if self.flow(caller, id).await.is_err() {
            return Err(not_found("flows", id));
        }
        let mut flow = self.runnable_flow(caller, id).await?;
        if !flow.started {
            return Err(Fault::new(
                ErrorCode::FlowStateInvalid,
                format!("flow [{id}] has not begun: its startTime is still to come"),
            ));
        }
        if let Some(stranger) = datasets.iter().find(|it| !flow.spec.datasets.contains(it)) {
            return Err(Fault::new(
                ErrorCode::DatasetNotInFlow,
                format!("dataset [{stranger}] is not one of flow [{id}]"),
            ));
        }
        let trigger = format!("adhoc:{key}");
        let known = RunId::derive(flow.spec.flow, &trigger);
        self.refuse_active(caller, flow.spec.flow, datasets, known)
            .await?;
        flow.spec.datasets = datasets.to_vec();
        let full = flow.always_full;
        Ok(self.run_of(caller, flow, RunKind::Adhoc, trigger, full))
    }

    /// Refuses datasets that a run has under way, unless it is the one that the request asks for again.
    async fn refuse_active(
        &self,
        caller: &Caller,
        flow: FlowId,
        datasets: &[DatasetId],
        known: RunId,
    ) -> Result<(), Fault> {
        let query = RunQuery::of(flow);
        let page = PageRequest {
            limit: RUNS_LOOKED_AT,
            after: None,
            offset: 0,
        };
        let page = self.runs.list(&caller.tenant, &query, &page).await?;
        let others = page.items.iter().filter(|view| view.run.id != known);
        let busy = others
            .flat_map(|view| view.deliveries.iter().map(move |it| (view.run.id, it)))
            .find(|(_, it)| !it.state.terminal() && datasets.contains(&it.dataset));
        match busy {
            Some((run, delivery)) => Err(Fault::new(
                ErrorCode::RunActive,
                format!(
                    "a run already exists for dataset [{}] of flow [{flow}]: [{run}]",
                    delivery.dataset
                ),
            )),
            None => Ok(()),
        }
    }
}

/// Flows with their datasets, as the body names them.
fn wishes(body: &Value) -> Result<Vec<(String, Vec<DatasetId>)>, Fault> {
    let info = body.get("activationInfo").and_then(Value::as_object);
    let info = info.ok_or_else(|| invalid("`activationInfo` is required: an object"))?;
    let Some(destinations) = info.get("destinations") else {
        return Err(Fault::new(
            ErrorCode::MediaTypeNotDataset,
            "dataset exports need the dataset media type and `activationInfo.destinations`; audiences are not exported",
        ));
    };
    let destinations = destinations.as_array().filter(|it| !it.is_empty());
    let destinations = destinations
        .filter(|it| it.len() <= FLOWS_MAX)
        .ok_or_else(|| {
            invalid(format!(
                "`activationInfo.destinations` must be an array of 1 to {FLOWS_MAX} objects with `flowId` and `datasets`"
            ))
        })?;
    let mut flows = BTreeSet::new();
    let mut wishes = Vec::with_capacity(destinations.len());
    for destination in destinations {
        let flow = destination.get("flowId").and_then(Value::as_str);
        let flow = flow.ok_or_else(|| invalid("each destination needs `flowId`: a text"))?;
        if !flows.insert(flow) {
            return Err(invalid(format!("flow {} is named twice", quoted(flow))));
        }
        wishes.push((flow.to_owned(), datasets(destination)?));
    }
    Ok(wishes)
}

fn datasets(destination: &Value) -> Result<Vec<DatasetId>, Fault> {
    let given = destination.get("datasets").and_then(Value::as_array);
    let given = given.into_iter().flatten();
    let ids: Option<BTreeSet<DatasetId>> = given
        .map(|it| it.get("id")?.as_str())
        .map(|id| Some(DatasetId(id?.to_owned())))
        .collect();
    ids.filter(|ids| !ids.is_empty())
        .map(|ids| ids.into_iter().collect())
        .ok_or_else(|| {
            invalid("each destination needs `datasets`: an array of at least one object with `id`")
        })
}
