//! Datasets: a catalogue object and the place of its table (contract, 10.1 and D10).

use offtake_model::Fault;
use offtake_model::resource::Object;
use serde_json::Value;

use super::body::{Body, invalid};

/// Most characters of a location.
const LOCATION_CHARS_MAX: usize = 4_096;

/// A legal dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetDraft {
    /// Name.
    pub name: String,
    /// Where the table lies, as given; none for a managed dataset.
    pub location: Option<String>,
    /// Every other field as given.
    pub extra: Object,
}

/// Checks the body of a create call.
pub fn dataset(body: &Value) -> Result<DatasetDraft, Fault> {
    let body = Body::open(body)?;
    let name = body.name()?;
    let location = body.text("location")?;
    if location.is_some_and(|location| location.trim().is_empty()) {
        return Err(invalid(
            "`location` must say where the table lies, such as lake://default/sales/orders; leave it out for a dataset that batches are sent to",
        ));
    }
    if location.is_some_and(|location| location.chars().count() > LOCATION_CHARS_MAX) {
        return Err(invalid(format!(
            "`location` must be at most {LOCATION_CHARS_MAX} characters"
        )));
    }
    let extra = body
        .fields()
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "name" | "location"));
    Ok(DatasetDraft {
        name,
        location: location.map(str::to_owned),
        extra: extra
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    })
}
