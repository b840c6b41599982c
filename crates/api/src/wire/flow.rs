//! Flows.

use offtake_api_types::flow::{FlowProperties, InheritedTarget, OperationStatus, OutputData};
use offtake_api_types::{Flow, InheritedAttributes, LastOperation, LastRunDetails};
use offtake_service::{Caller, FlowView, RunDetails, TargetHead};

use super::{common, head, spec};

/// A flow with what it shows of its connections and of its newest run.
pub(crate) fn flow(caller: &Caller, view: &FlowView) -> Flow {
    let body = &view.flow.body;
    Flow {
        common: common(caller, &view.flow),
        name: body.name.clone(),
        description: body.description.clone().unwrap_or_default(),
        flow_spec: spec(&body.spec),
        state: body.state.name().to_owned(),
        version: view.flow.etag.clone(),
        etag: view.flow.etag.clone(),
        source_connection_ids: body
            .source_connection_ids
            .iter()
            .map(ToString::to_string)
            .collect(),
        target_connection_ids: body
            .target_connection_ids
            .iter()
            .map(ToString::to_string)
            .collect(),
        inherited_attributes: inherited(view),
        schedule_params: body.schedule_params.clone(),
        transformations: body.transformations.clone(),
        runs: format!("/runs?property=flowId=={}", view.flow.id),
        last_operation: last_operation(view),
        last_run_details: view.last_run.as_ref().map(last_run),
        next_run_at: body.next_due_at.map(|at| at.0),
    }
}

fn inherited(view: &FlowView) -> InheritedAttributes {
    InheritedAttributes {
        properties: FlowProperties {
            is_destination_flow: true,
        },
        source_connections: view.sources.iter().map(head).collect(),
        target_connections: view.targets.iter().map(target).collect(),
    }
}

fn target(target: &TargetHead) -> InheritedTarget {
    InheritedTarget {
        id: target.head.id.clone(),
        connection_spec: spec(&target.head.spec),
        base_connection: target.base.as_ref().map(head),
        data: OutputData {
            output_type: "DATASET_EXPORT".to_owned(),
        },
    }
}

fn last_operation(view: &FlowView) -> LastOperation {
    let last = &view.flow.body.last_operation;
    LastOperation {
        started: last.at.0,
        updated: last.at.0,
        percent_completed: 100,
        status: OperationStatus {
            value: "completed".to_owned(),
            properties: None,
            errors: Vec::new(),
        },
        ops: last.ops.clone(),
        operation: last.operation.clone(),
    }
}

fn last_run(run: &RunDetails) -> LastRunDetails {
    LastRunDetails {
        id: run.view.run.id.to_string(),
        state: run.status.to_owned(),
        started_at_utc: run.started_at.map(|at| at.0),
        completed_at_utc: run.completed_at.map(|at| at.0),
    }
}
