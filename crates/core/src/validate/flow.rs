//! Flows: the join of source, target and schedule (contract, 4.10).

use offtake_model::resource::SpecRef;
use offtake_model::{DestinationKind, ErrorCode, Fault, ResourceId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{Body, invalid, quoted};
use crate::schedule::{self, ParsedSchedule};
use crate::specs;

const FIELDS: [&str; 8] = [
    "name",
    "description",
    "flowSpec",
    "sourceConnectionIds",
    "targetConnectionIds",
    "transformations",
    "scheduleParams",
    "state",
];

/// A legal flow.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowDraft {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The flow spec.
    pub spec: SpecRef,
    /// The destination's platform, by the flow spec.
    pub kind: DestinationKind,
    /// The source connection; must exist.
    pub source_connection_id: ResourceId,
    /// The target connection; must exist and fit the flow spec.
    pub target_connection_id: ResourceId,
    /// The schedule, its echo and its folder template.
    pub schedule: ParsedSchedule,
    /// `transformations` as given; empty.
    pub transformations: Value,
}

/// Checks the body of a create call.
pub fn flow(body: &Value) -> Result<FlowDraft, Fault> {
    let body = Body::new(body, &FIELDS)?;
    if body.get("state").is_some() {
        return Err(Fault::new(
            ErrorCode::StateNotAllowed,
            "`state` may not be sent when a flow is created; new flows are enabled",
        ));
    }
    let name = body.name()?;
    let description = body.description()?;
    let spec = body.flow_spec()?;
    let params = body
        .get("scheduleParams")
        .ok_or_else(|| invalid("`scheduleParams` is required: an object"))?;
    Ok(FlowDraft {
        name,
        description,
        spec: spec.reference(),
        kind: spec.kind(),
        source_connection_id: single_id(&body, "sourceConnectionIds")?,
        target_connection_id: single_id(&body, "targetConnectionIds")?,
        schedule: schedule::parse(params)?,
        transformations: transformations(&body)?,
    })
}

/// Refuses a target connection of another destination than the flow spec's.
pub fn check_flow_target(flow_spec: &SpecRef, target: &SpecRef) -> Result<(), Fault> {
    let wanted = specs::flow_spec(&flow_spec.id).map(specs::FlowSpec::target);
    if wanted.is_some_and(|wanted| wanted.id() == target.id) {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!(
            "the target connection is of spec {}, the flow spec {} is for {}",
            target.id,
            flow_spec.id,
            wanted.map_or("no known destination", |wanted| wanted.id())
        ),
    ))
}

fn single_id(body: &Body<'_>, key: &str) -> Result<ResourceId, Fault> {
    let Some(Value::Array(ids)) = body.get(key) else {
        return Err(invalid(format!("`{key}` is required: an array of one id")));
    };
    let [Value::String(id)] = ids.as_slice() else {
        return Err(invalid(format!(
            "`{key}` must hold exactly one id, got {} entries",
            ids.len()
        )));
    };
    let uuid = Uuid::parse_str(id).map_err(|_| {
        Fault::new(
            ErrorCode::ConnectionNotUsable,
            format!("`{key}` holds {}, which names no connection", quoted(id)),
        )
    })?;
    Ok(ResourceId(uuid.to_string()))
}

/// Dataset flows transform nothing.
fn transformations(body: &Body<'_>) -> Result<Value, Fault> {
    match body.get("transformations") {
        None => Ok(json!([])),
        Some(Value::Array(steps)) if steps.is_empty() => Ok(json!([])),
        Some(_) => Err(invalid(
            "`transformations` must be an empty array: dataset exports transform nothing",
        )),
    }
}
