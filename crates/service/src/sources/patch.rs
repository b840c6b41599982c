//! Edits of a source connection (contract, 4.8): its name. The datasets of one never change.

use offtake_core::validate;
use offtake_model::resource::{Object, SourceConnection};
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
        let mut body = Object::new();
        body.insert("name".to_owned(), json!(source.name));
        body.insert("description".to_owned(), json!(source.description));
        for operation in Operation::list(operations)? {
            apply(&mut body, &operation)?;
        }
        let body = grown(body)?;
        let mut after = Self::touched(caller, &before, self.clock.now());
        after.body = ResourceBody::Source(SourceConnection {
            name: validate::name(&body)?,
            description: validate::description(&body)?,
            ..source
        });
        self.replace(caller, &before, &after).await
    }
}

fn apply(body: &mut Object, operation: &Operation<'_>) -> Result<(), Fault> {
    match operation.path() {
        key @ ("name" | "description") => {
            operation.put(body, key);
            Ok(())
        }
        path if path == "params" || path.starts_with("params/") => Err(path_invalid(
            "the datasets of a source connection cannot be changed; make a new one and patch \
             `/sourceConnectionIds` of the flow",
        )),
        _ => Err(operation.refused("/name, /description")),
    }
}
