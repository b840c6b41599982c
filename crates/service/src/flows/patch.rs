//! Edits of a flow (contract, 4.10).
//!
//! The flow is written out as the body that would create it, the operations are applied to that body, and it is
//! checked as a new one is: an edit can reach nothing that a create couldn't.

use offtake_core::{schedule, validate};
use offtake_model::resource::{Flow, FlowState, LastOperation, Object};
use offtake_model::{ErrorCode, Fault, Millis, Resource, ResourceBody, ResourceId, ResourceKind};
use serde_json::{Value, json};

use super::due_at_once;
use crate::entity;
use crate::etag;
use crate::identity::Caller;
use crate::service::{Changed, Service};

/// Most operations in one request.
const OPERATIONS_MAX: usize = 100;

const PATHS: &str = "/name, /description, /scheduleParams, /scheduleParams/<key>, /sourceConnectionIds, \
    /targetConnectionIds";

impl Service {
    /// Applies a list of operations, all or none. `if_match` is required.
    pub async fn patch_flow(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        operations: &Value,
    ) -> Result<Changed, Fault> {
        let before = self.must_find(caller, ResourceKind::Flow, id).await?;
        let if_match = if_match
            .ok_or_else(|| Fault::new(ErrorCode::IfMatchMissing, "header If-Match is missing"))?;
        etag::check(&before, if_match)?;

        let now = self.clock.now();
        let flow = entity::flow(before.clone())?.body;
        let ran =
            flow.next_due_at.is_none_or(|due| due > now) && self.has_run(caller, &before).await?;
        let flow = edited(flow, operations, now, ran)?;
        let mut after = Self::touched(caller, &before, now);
        after.body = ResourceBody::Flow(Box::new(flow));
        self.checked_spec(caller, &after).await?;
        self.replace_flow(&before, &after).await
    }

    async fn has_run(&self, caller: &Caller, flow: &Resource) -> Result<bool, Fault> {
        let flow = entity::flow(flow.clone())?;
        let newest = self
            .newest_runs(caller, std::slice::from_ref(&flow))
            .await?;
        Ok(!newest.is_empty())
    }
}

fn edited(flow: Flow, operations: &Value, now: Millis, ran: bool) -> Result<Flow, Fault> {
    let mut body = body_of(&flow);
    for operation in listed(operations)? {
        apply(&mut body, operation)?;
    }
    let draft = validate::flow(&Value::Object(body))?;
    let rescheduled = draft.schedule.echo != flow.schedule_params;
    let mut after = Flow {
        name: draft.name,
        description: draft.description,
        source_connection_ids: vec![draft.source_connection_id],
        target_connection_ids: vec![draft.target_connection_id],
        schedule: draft.schedule.schedule,
        schedule_params: draft.schedule.echo,
        last_operation: LastOperation {
            operation: "update".to_owned(),
            at: now,
            ops: operations.clone(),
        },
        ..flow
    };
    if rescheduled {
        after.generation = after.generation.saturating_add(1);
        after.next_due_at = match after.state {
            // A flow that has run goes on with the next instant of its new grid; one that is still waiting for
            // its first run, or whose run is due right now, doesn't lose it by the edit.
            FlowState::Enabled if ran => schedule::next_occurrence(&after.schedule, now),
            FlowState::Enabled => due_at_once(&after.schedule, now),
            FlowState::Disabled | FlowState::Draft => None,
        };
    }
    Ok(after)
}

/// The body that would create the flow as it is.
fn body_of(flow: &Flow) -> Object {
    let ids = |ids: &[ResourceId]| -> Value { ids.iter().map(ResourceId::as_str).collect() };
    let mut body = Object::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("name", json!(flow.name));
    set("description", json!(flow.description));
    set(
        "flowSpec",
        json!({"id": flow.spec.id, "version": flow.spec.version}),
    );
    set("sourceConnectionIds", ids(&flow.source_connection_ids));
    set("targetConnectionIds", ids(&flow.target_connection_ids));
    set("transformations", flow.transformations.clone());
    set(
        "scheduleParams",
        Value::Object(flow.schedule_params.clone()),
    );
    body
}

fn listed(operations: &Value) -> Result<&[Value], Fault> {
    let Value::Array(list) = operations else {
        return Err(invalid("the body must be an array of operations"));
    };
    if list.is_empty() || list.len() > OPERATIONS_MAX {
        return Err(invalid(format!(
            "the body must have 1 to {OPERATIONS_MAX} operations, got {}",
            list.len()
        )));
    }
    Ok(list)
}

fn apply(body: &mut Object, operation: &Value) -> Result<(), Fault> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let op = text("op").unwrap_or_default().to_ascii_lowercase();
    let path = text("path").unwrap_or_default();
    let value = operation.get("value");
    let value = match (op.as_str(), value) {
        ("add" | "replace", Some(value)) => Some(value.clone()),
        ("add" | "replace", None) => {
            return Err(operation_invalid(format!(
                "operation {op} {} needs a value",
                validate::quoted(path)
            )));
        }
        ("remove", _) => None,
        _ => {
            let given = operation
                .get("op")
                .map_or_else(|| "nothing".to_owned(), validate::shown);
            return Err(operation_invalid(format!(
                "`op` must be add, replace or remove, got {given}"
            )));
        }
    };
    match path.strip_prefix('/').unwrap_or_default() {
        "scheduleParams" => merge(body, value),
        key @ ("name" | "description" | "sourceConnectionIds" | "targetConnectionIds") => {
            put(body, key, value);
            Ok(())
        }
        "state" => Err(path_invalid(
            "`/state` cannot be patched; POST …/action?op=enable or op=disable changes it",
        )),
        other => match other.strip_prefix("scheduleParams/") {
            Some(key) if !key.is_empty() && !key.contains('/') => {
                if let Some(Value::Object(schedule)) = body.get_mut("scheduleParams") {
                    put(schedule, key, value);
                }
                Ok(())
            }
            Some(_) | None => Err(path_invalid(format!(
                "path {} cannot be patched; paths are {PATHS}",
                validate::quoted(path)
            ))),
        },
    }
}

/// `/scheduleParams` takes a partial object: keys that are not given stay.
fn merge(body: &mut Object, value: Option<Value>) -> Result<(), Fault> {
    match (body.get_mut("scheduleParams"), value) {
        (Some(Value::Object(schedule)), Some(Value::Object(given))) => {
            schedule.extend(given);
            Ok(())
        }
        (_, Some(_)) => Err(invalid("`/scheduleParams` must be an object")),
        (_, None) => Err(path_invalid("`/scheduleParams` cannot be removed")),
    }
}

fn put(object: &mut Object, key: &str, value: Option<Value>) {
    match value {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.remove(key),
    };
}

fn operation_invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::PatchOperationInvalid, message)
}

fn path_invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::PatchPathInvalid, message)
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
