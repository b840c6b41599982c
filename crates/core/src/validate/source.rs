//! Source connections: which datasets (contract, 4.8).

use offtake_model::resource::{Object, SpecRef};
use offtake_model::{DatasetId, Fault};
use serde_json::Value;

use super::body::{Body, invalid, quoted, refuse_unknown, shown, spec_not_valid};
use crate::specs;

/// Most datasets of one source connection.
const DATASETS_MAX: usize = 1_000;

const FIELDS: [&str; 6] = [
    "name",
    "description",
    "connectionSpec",
    "params",
    "data",
    "baseConnectionId",
];

/// A legal source connection.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDraft {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The data-lake spec.
    pub spec: SpecRef,
    /// The datasets, at least one, none twice.
    pub datasets: Vec<DatasetChoice>,
    /// `data` as given.
    pub data: Option<Value>,
    /// `baseConnectionId` as given.
    pub base_connection_id: Option<String>,
}

/// A dataset as named in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetChoice {
    /// Its id.
    pub id: DatasetId,
    /// Its name; to be filled in from the catalogue when absent.
    pub name: Option<String>,
}

/// Checks the body of a create call.
pub fn source(body: &Value) -> Result<SourceDraft, Fault> {
    let body = Body::new(body, &FIELDS)?;
    let name = body.name()?;
    let description = body.description()?;
    let spec = body.connection_spec()?;
    if spec.kind().is_some() {
        return Err(spec_not_valid(
            "connectionSpec",
            &format!(
                "a destination's; a source connection has {}",
                specs::data_lake().id()
            ),
        ));
    }
    Ok(SourceDraft {
        name,
        description,
        spec: spec.reference(),
        datasets: datasets(body.object("params")?)?,
        data: body.object("data")?.map(|data| Value::Object(data.clone())),
        base_connection_id: body.text("baseConnectionId")?.map(str::to_owned),
    })
}

fn datasets(params: Option<&Object>) -> Result<Vec<DatasetChoice>, Fault> {
    let params =
        params.ok_or_else(|| invalid("`params.datasets` is required: at least one dataset"))?;
    refuse_unknown("params", params, &["datasets"])?;
    let given = match params.get("datasets") {
        Some(Value::Array(given)) if !given.is_empty() => given,
        Some(_) | None => {
            return Err(invalid(
                "`params.datasets` is required: an array of at least one object with `dataSetId`",
            ));
        }
    };
    if given.len() > DATASETS_MAX {
        return Err(invalid(format!(
            "`params.datasets` must have at most {DATASETS_MAX} entries, got {}",
            given.len()
        )));
    }
    let mut datasets: Vec<DatasetChoice> = Vec::with_capacity(given.len());
    for (index, entry) in given.iter().enumerate() {
        let draft = dataset(index, entry)?;
        if datasets.iter().any(|other| other.id == draft.id) {
            return Err(invalid(format!(
                "`params.datasets` names {} twice",
                quoted(draft.id.as_str())
            )));
        }
        datasets.push(draft);
    }
    Ok(datasets)
}

fn dataset(index: usize, entry: &Value) -> Result<DatasetChoice, Fault> {
    let at = format!("params.datasets[{index}]");
    let Value::Object(entry) = entry else {
        return Err(invalid(format!(
            "`{at}` must be an object with `dataSetId`"
        )));
    };
    refuse_unknown(&at, entry, &["dataSetId", "name"])?;
    let id = match entry.get("dataSetId") {
        Some(Value::String(id)) if !id.is_empty() => id,
        Some(_) | None => return Err(invalid(format!("`{at}.dataSetId` is required: a text"))),
    };
    let name = match entry.get("name") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(other) => {
            return Err(invalid(format!(
                "`{at}.name` must be a text, got {}",
                shown(other)
            )));
        }
    };
    Ok(DatasetChoice {
        id: DatasetId(id.clone()),
        name,
    })
}
