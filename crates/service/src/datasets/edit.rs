//! Changing and deleting datasets (contract, 10.1).
//!
//! The one law: an edit can reach nothing that a create couldn't, and never the table's place.

use offtake_core::{bounds, validate};
use offtake_model::resource::{Dataset, Object};
use offtake_model::{ErrorCode, Fault, Resource, ResourceBody, ResourceKind};
use offtake_ports::Replaced;
use serde_json::Value;

use crate::datasets::Saving;
use crate::entity;
use crate::etag;
use crate::identity::Caller;
use crate::patch::{Operation, path_invalid};
use crate::service::{Changed, Service, not_found};

/// How a dataset is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetEdit {
    /// The body replaces everything that can be changed.
    Replace,
    /// Fields of the body replace those of the same place, nested ones too; null removes.
    Merge,
    /// The body is a list of operations.
    Patch,
}

impl Service {
    /// Changes a dataset, or says whether it could be; `if_match` is checked when it is given.
    pub async fn edit_dataset(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        (edit, saving): (DatasetEdit, Saving),
        body: &Value,
    ) -> Result<Changed, Fault> {
        let found = self.must_find(caller, ResourceKind::Dataset, id).await?;
        if let Some(if_match) = if_match {
            etag::check(&found, if_match)?;
        }
        let now = self.clock.now();
        let mut next = Self::touched(caller, &found, now);
        let dataset = entity::dataset(found.clone())?.body;
        next.body = ResourceBody::Dataset(self.changed_dataset(dataset, edit, body)?);
        match saving {
            Saving::Save => self.replace_dataset(caller, &found, &next).await,
            Saving::CheckOnly => Ok(Changed::of(&found)),
        }
    }

    fn changed_dataset(
        &self,
        dataset: Dataset,
        edit: DatasetEdit,
        body: &Value,
    ) -> Result<Dataset, Fault> {
        let mut object = dataset.extra.clone();
        object.insert("name".to_owned(), dataset.name.clone().into());
        let location = self.roots.display(&dataset.location);
        object.insert("location".to_owned(), location.clone().into());
        let mut object = Value::Object(object);
        match edit {
            DatasetEdit::Replace => object = body.clone(),
            DatasetEdit::Merge => merge(&mut object, body),
            DatasetEdit::Patch => {
                for operation in Operation::list(body)? {
                    apply(&mut object, &operation)?;
                }
            }
        }
        bounds::check(&object)?;
        let draft = validate::dataset(&object)?;
        if draft.location.is_some_and(|given| given != location) {
            return Err(Fault::new(
                ErrorCode::FieldInvalid,
                "`location` cannot be changed; make another dataset",
            ));
        }
        Ok(Dataset {
            name: draft.name,
            extra: draft.extra,
            ..dataset
        })
    }

    async fn replace_dataset(
        &self,
        caller: &Caller,
        found: &Resource,
        next: &Resource,
    ) -> Result<Changed, Fault> {
        let by = caller.actor();
        match self.resources.replace(next, found.revision, &by).await? {
            Replaced::Done => Ok(Changed::of(next)),
            Replaced::Conflict => Err(etag::conflict(&etag::etag(found), &etag::etag(next))),
        }
    }

    /// Deletes a dataset from the catalogue. Its table stays where it is.
    pub async fn delete_dataset(
        &self,
        caller: &Caller,
        id: &str,
        saving: Saving,
    ) -> Result<(), Fault> {
        let found = self.must_find(caller, ResourceKind::Dataset, id).await?;
        if saving == Saving::CheckOnly {
            return Ok(());
        }
        let deleted = self
            .resources
            .delete(
                &caller.tenant,
                ResourceKind::Dataset,
                &found.id,
                &caller.actor(),
            )
            .await?;
        if deleted {
            return Ok(());
        }
        Err(not_found(ResourceKind::Dataset.collection(), id))
    }
}

fn merge(object: &mut Value, given: &Value) {
    match (object, given) {
        (Value::Object(object), Value::Object(given)) => {
            for (key, value) in given {
                if value.is_null() {
                    object.remove(key);
                } else {
                    merge(object.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (object, given) => *object = given.clone(),
    }
}

/// Sets or removes the value at the operation's path, making objects on the way.
fn apply(object: &mut Value, operation: &Operation<'_>) -> Result<(), Fault> {
    let mut keys: Vec<String> = operation
        .path()
        .split('/')
        .map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect();
    let last = keys.pop().filter(|key| !key.is_empty());
    let mut place = object;
    for key in keys {
        let Value::Object(fields) = place else {
            return Err(no_such_path(operation));
        };
        place = fields
            .entry(key)
            .or_insert_with(|| Value::Object(Object::new()));
    }
    match (place, last) {
        (Value::Object(fields), Some(key)) => {
            operation.put(fields, &key);
            Ok(())
        }
        (_, _) => Err(no_such_path(operation)),
    }
}

fn no_such_path(operation: &Operation<'_>) -> Fault {
    path_invalid(format!(
        "path {} names no field of a dataset",
        validate::quoted(operation.path())
    ))
}
