//! Edits of a source connection (contract, 4.8): its name. The datasets of one never change, but for a draft's.

use offtake_core::validate;
use offtake_model::resource::{ConnectionState, Object, SourceConnection};
use offtake_model::{Fault, ResourceBody, ResourceKind};
use serde_json::{Value, json};

use crate::entity;
use crate::identity::Caller;
use crate::patch::{Operation, grown, path_invalid};
use crate::service::{Changed, Service};

impl Service {
    /// Applies a list of operations, all or none. `if_match` is required.
    pub async fn patch_source(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        operations: &Value,
    ) -> Result<Changed, Fault> {
        let before = self
            .editable(caller, ResourceKind::Source, id, if_match)
            .await?;
        let source = entity::source(before.clone())?.body;
        let mut body = body_of(&source);
        for operation in Operation::list(operations)? {
            apply(&mut body, &operation, source.state)?;
        }
        let draft = validate::source(&grown(body)?)?;
        let datasets = match source.state {
            ConnectionState::Draft => self.entries(caller, draft.datasets, source.state).await?,
            ConnectionState::Enabled => source.datasets,
        };
        let mut after = Self::touched(caller, &before, self.clock.now());
        after.body = ResourceBody::Source(SourceConnection {
            name: draft.name,
            description: draft.description,
            datasets,
            ..source
        });
        self.replace(caller, &before, &after).await
    }
}

/// The body that would create the source connection as it is.
fn body_of(source: &SourceConnection) -> Object {
    let datasets = source.datasets.iter();
    let datasets = datasets.map(|it| json!({"dataSetId": it.id.as_str(), "name": it.name}));
    let mut body = Object::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("name", json!(source.name));
    set("description", json!(source.description));
    set(
        "connectionSpec",
        json!({"id": source.spec.id, "version": source.spec.version}),
    );
    set("params", json!({"datasets": datasets.collect::<Vec<_>>()}));
    body
}

fn apply(
    body: &mut Object,
    operation: &Operation<'_>,
    state: ConnectionState,
) -> Result<(), Fault> {
    let params = body.get_mut("params").and_then(Value::as_object_mut);
    match (operation.path(), params) {
        (key @ ("name" | "description"), _) => {
            operation.put(body, key);
            Ok(())
        }
        ("params", _) if state == ConnectionState::Draft => operation.merge(body, "params"),
        ("params/datasets", Some(params)) if state == ConnectionState::Draft => {
            operation.put(params, "datasets");
            Ok(())
        }
        (path, _) if path == "params" || path.starts_with("params/") => Err(path_invalid(
            "the datasets of a source connection cannot be changed; make a new one and patch \
             `/sourceConnectionIds` of the flow",
        )),
        _ => Err(operation.refused("/name, /description")),
    }
}
