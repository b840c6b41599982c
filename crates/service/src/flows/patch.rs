//! Edits of a flow (contract, 4.10).

use offtake_core::{schedule, validate};
use offtake_model::resource::{Flow, FlowState, LastOperation, Object};
use offtake_model::{Fault, Millis, Resource, ResourceBody, ResourceId, ResourceKind};
use serde_json::{Value, json};

use super::due_at_once;
use crate::entity;
use crate::identity::Caller;
use crate::patch::{Operation, grown, path_invalid};
use crate::service::{Changed, Service};

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
        let before = self
            .editable(caller, ResourceKind::Flow, id, if_match)
            .await?;
        let now = self.clock.now();
        let flow = entity::flow(before.clone())?.body;
        let ran =
            flow.next_due_at.is_none_or(|due| due > now) && self.has_run(caller, &before).await?;
        let flow = edited(flow, operations, now, ran)?;
        let mut after = Self::touched(caller, &before, now);
        after.body = ResourceBody::Flow(Box::new(flow));
        if entity::flow(after.clone())?.body.state != FlowState::Draft {
            self.checked_spec(caller, &after).await?;
        }
        let changed = self.replace(caller, &before, &after).await?;
        self.nudge();
        Ok(changed)
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
    for operation in Operation::list(operations)? {
        apply(&mut body, &operation)?;
    }
    let draft = validate::flow(&grown(body)?)?;
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

fn apply(body: &mut Object, operation: &Operation<'_>) -> Result<(), Fault> {
    match operation.path() {
        "scheduleParams" => operation.merge(body, "scheduleParams"),
        key @ ("name" | "description" | "sourceConnectionIds" | "targetConnectionIds") => {
            operation.put(body, key);
            Ok(())
        }
        "state" => Err(path_invalid(
            "`/state` cannot be patched; POST …/action?op=enable or op=disable changes it",
        )),
        _ => {
            let key = operation.key_below("scheduleParams");
            match (key, body.get_mut("scheduleParams")) {
                (Some(key), Some(Value::Object(schedule))) => {
                    operation.put(schedule, key);
                    Ok(())
                }
                (_, _) => Err(operation.refused(PATHS)),
            }
        }
    }
}
