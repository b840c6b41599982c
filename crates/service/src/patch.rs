//! JSON-Patch as the API documents it (contract, 4.4): a list of add, replace and remove, all or none.
//!
//! Each resource is written out as the body that would create it, the operations are applied to that body, and it
//! is checked as a new one is.
//!
//! The one law: an edit can reach nothing that a create couldn't.

use offtake_core::bounds::{self, DEPTH_MAX};
use offtake_core::validate;
use offtake_model::resource::Object;
use offtake_model::{ErrorCode, Fault, Resource, ResourceKind};
use serde_json::Value;

use crate::etag;
use crate::identity::Caller;
use crate::service::Service;

/// Most operations in one request.
const OPERATIONS_MAX: usize = 100;

/// One operation.
pub(crate) struct Operation<'a> {
    path: &'a str,
    value: Option<&'a Value>,
    removes: bool,
}

impl<'a> Operation<'a> {
    /// Reads the operations of a request's body.
    pub(crate) fn list(body: &'a Value) -> Result<Vec<Self>, Fault> {
        let Value::Array(list) = body else {
            return Err(invalid("the body must be an array of operations"));
        };
        if list.is_empty() || list.len() > OPERATIONS_MAX {
            return Err(invalid(format!(
                "the body must have 1 to {OPERATIONS_MAX} operations, got {}",
                list.len()
            )));
        }
        // They are kept with a flow, as its last operation.
        bounds::check(body)?;
        list.iter().map(Self::parse).collect()
    }

    fn parse(operation: &'a Value) -> Result<Self, Fault> {
        let text = |key: &str| operation.get(key).and_then(Value::as_str);
        let op = text("op").unwrap_or_default().to_ascii_lowercase();
        let path = text("path").unwrap_or_default();
        if path.split('/').count() > DEPTH_MAX {
            return Err(path_invalid(format!(
                "path {} has more than {DEPTH_MAX} steps",
                validate::quoted(path)
            )));
        }
        let value = operation.get("value");
        match (op.as_str(), value) {
            ("add" | "replace", Some(_)) => Ok(Self {
                path,
                value,
                removes: false,
            }),
            ("add" | "replace", None) => Err(operation_invalid(format!(
                "operation {op} {} needs a value",
                validate::quoted(path)
            ))),
            ("remove", _) => Ok(Self {
                path,
                value,
                removes: true,
            }),
            _ => {
                let given = operation
                    .get("op")
                    .map_or_else(|| "nothing".to_owned(), validate::shown);
                Err(operation_invalid(format!(
                    "`op` must be add, replace or remove, got {given}"
                )))
            }
        }
    }

    /// The path without its leading slash; empty when it has none.
    pub(crate) fn path(&self) -> &'a str {
        self.path.strip_prefix('/').unwrap_or_default()
    }

    /// The key that the path names below `parent`, one level down.
    pub(crate) fn key_below(&self, parent: &str) -> Option<&'a str> {
        let key = self.path().strip_prefix(parent)?.strip_prefix('/')?;
        (!key.is_empty() && !key.contains('/')).then_some(key)
    }

    /// What is set, unless the operation removes.
    pub(crate) fn sets(&self) -> Option<&'a Value> {
        self.value.filter(|_| !self.removes)
    }

    /// Sets or removes one key.
    pub(crate) fn put(&self, object: &mut Object, key: &str) {
        match self.sets() {
            Some(value) => object.insert(key.to_owned(), value.clone()),
            None => object.remove(key),
        };
    }

    /// Sets some keys of the object below `key`; those that are not given stay.
    pub(crate) fn merge(&self, body: &mut Object, key: &str) -> Result<(), Fault> {
        match (body.get_mut(key), self.sets()) {
            (Some(Value::Object(object)), Some(Value::Object(given))) => {
                object.extend(given.clone());
                Ok(())
            }
            (_, Some(_)) => Err(invalid(format!("`/{key}` must be an object"))),
            (_, None) => Err(path_invalid(format!("`/{key}` cannot be removed"))),
        }
    }

    /// Refuses the path, naming those that may be patched.
    pub(crate) fn refused(&self, paths: &str) -> Fault {
        path_invalid(format!(
            "path {} cannot be patched; paths are {paths}",
            validate::quoted(self.path)
        ))
    }
}

impl Service {
    /// The resource to be edited, when the caller has seen its present state. `if_match` is required.
    pub(crate) async fn editable(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: &str,
        if_match: Option<&str>,
    ) -> Result<Resource, Fault> {
        let found = self.must_find(caller, kind, id).await?;
        let if_match = if_match
            .ok_or_else(|| Fault::new(ErrorCode::IfMatchMissing, "header If-Match is missing"))?;
        etag::check(&found, if_match)?;
        Ok(found)
    }
}

/// The edited body, unless the operations made too much of it. They only add what they bring, so that one look at
/// the end is enough.
pub(crate) fn grown(body: Object) -> Result<Value, Fault> {
    let body = Value::Object(body);
    bounds::check(&body)?;
    Ok(body)
}

pub(crate) fn operation_invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::PatchOperationInvalid, message)
}

pub(crate) fn path_invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::PatchPathInvalid, message)
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
