//! Edits of a target connection (contract, 4.9). Runs that were started keep what they began with.

use offtake_core::validate;
use offtake_model::resource::{ConnectionState, Object, TargetConnection};
use offtake_model::{Fault, ResourceBody, ResourceKind};
use serde_json::{Value, json};

use crate::entity;
use crate::identity::Caller;
use crate::patch::{Operation, grown};
use crate::service::{Changed, Service};

const PATHS: &str = "/name, /description, /params, /params/<key>";

impl Service {
    /// Applies a list of operations, all or none. `if_match` is required.
    pub async fn patch_target(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        operations: &Value,
    ) -> Result<Changed, Fault> {
        let before = self
            .editable(caller, ResourceKind::Target, id, if_match)
            .await?;
        let target = entity::target(before.clone())?.body;
        let mut body = body_of(&target);
        for operation in Operation::list(operations)? {
            apply(&mut body, &operation, target.state)?;
        }
        let draft = validate::target(&grown(body)?)?;
        let mut after = Self::touched(caller, &before, self.clock.now());
        after.body = ResourceBody::Target(TargetConnection {
            name: draft.name,
            description: draft.description,
            params: draft.params,
            base_connection_id: draft.base_connection_id,
            ..target
        });
        self.replace(caller, &before, &after).await
    }
}

/// The body that would create the target connection as it is.
fn body_of(target: &TargetConnection) -> Object {
    let mut body = Object::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("name", json!(target.name));
    set("description", json!(target.description));
    set(
        "baseConnectionId",
        json!(target.base_connection_id.to_string()),
    );
    set(
        "connectionSpec",
        json!({"id": target.spec.id, "version": target.spec.version}),
    );
    set("params", Value::Object(target.params.clone()));
    body
}

fn apply(
    body: &mut Object,
    operation: &Operation<'_>,
    state: ConnectionState,
) -> Result<(), Fault> {
    match operation.path() {
        "baseConnectionId" if state == ConnectionState::Draft => {
            operation.put(body, "baseConnectionId");
            Ok(())
        }
        "params" => operation.merge(body, "params"),
        key @ ("name" | "description") => {
            operation.put(body, key);
            Ok(())
        }
        _ => match (operation.key_below("params"), body.get_mut("params")) {
            (Some(key), Some(Value::Object(params))) => {
                operation.put(params, key);
                Ok(())
            }
            (_, _) => Err(operation.refused(PATHS)),
        },
    }
}
