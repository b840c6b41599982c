//! What all bodies have in common: an object, a name, a description, a spec, and no field that nobody reads.

use offtake_model::resource::Object;
use offtake_model::{ErrorCode, Fault};
use serde_json::Value;

use crate::specs;

/// Most characters of a name.
const NAME_CHARS_MAX: usize = 1_024;

/// Most characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 8_192;

/// Most characters of a given value in a message.
const SHOWN_CHARS_MAX: usize = 200;

/// A request body, taken apart field by field. A null field is an absent one.
pub(super) struct Body<'a> {
    object: &'a Object,
}

impl<'a> Body<'a> {
    /// Takes the body, refusing any field that is not in `known`.
    pub(super) fn new(body: &'a Value, known: &[&str]) -> Result<Self, Fault> {
        let this = Self::open(body)?;
        if this.get("encryption").is_some() {
            return Err(Fault::new(
                ErrorCode::EncryptionNotAvailable,
                "`encryption` was asked for; files would be delivered unencrypted",
            ));
        }
        refuse_unknown("", this.object, known)?;
        Ok(this)
    }

    /// Takes the body with whatever fields it has.
    pub(super) fn open(body: &'a Value) -> Result<Self, Fault> {
        match body {
            Value::Object(object) => Ok(Self { object }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(invalid("the body must be a JSON object")),
        }
    }

    /// All fields.
    pub(super) const fn fields(&self) -> &'a Object {
        self.object
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn name(&self) -> Result<String, Fault> {
        let name = self.text("name")?.unwrap_or_default();
        if name.trim().is_empty() {
            return Err(invalid("`name` is required: a text that is not empty"));
        }
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(invalid(format!(
                "`name` must be at most {NAME_CHARS_MAX} characters"
            )));
        }
        Ok(name.to_owned())
    }

    pub(super) fn description(&self) -> Result<Option<String>, Fault> {
        let description = self.text("description")?;
        if description.is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
            return Err(invalid(format!(
                "`description` must be at most {DESCRIPTION_CHARS_MAX} characters"
            )));
        }
        Ok(description.map(str::to_owned))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Fault> {
        self.get(key)
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| invalid(format!("`{key}` must be a text, got {}", shown(value))))
            })
            .transpose()
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<&'a Object>, Fault> {
        self.get(key)
            .map(|value| {
                value
                    .as_object()
                    .ok_or_else(|| invalid(format!("`{key}` must be an object")))
            })
            .transpose()
    }

    /// The connection spec named under `connectionSpec`. Absent, unknown and legacy ids are 1413, an absent version 422.
    pub(super) fn connection_spec(&self) -> Result<&'static specs::ConnectionSpec, Fault> {
        let (id, version) = self.spec_parts("connectionSpec")?;
        let spec = specs::connection_spec(id)
            .ok_or_else(|| spec_not_valid("connectionSpec", &quoted(id)))?;
        check_version("connectionSpec", version)?;
        Ok(spec)
    }

    /// The flow spec named under `flowSpec`.
    pub(super) fn flow_spec(&self) -> Result<&'static specs::FlowSpec, Fault> {
        let (id, version) = self.spec_parts("flowSpec")?;
        let spec = specs::flow_spec(id).ok_or_else(|| spec_not_valid("flowSpec", &quoted(id)))?;
        check_version("flowSpec", version)?;
        Ok(spec)
    }

    fn spec_parts(&self, field: &str) -> Result<(&'a str, Option<&'a Value>), Fault> {
        let Some(spec) = self.object(field)? else {
            return Err(spec_not_valid(field, "nothing"));
        };
        refuse_unknown(field, spec, &["id", "version"])?;
        match spec.get("id") {
            Some(Value::String(id)) => Ok((id, spec.get("version"))),
            Some(other) => Err(spec_not_valid(field, &shown(other))),
            None => Err(spec_not_valid(field, "nothing")),
        }
    }
}

/// The name in a body that is checked no further.
pub fn name(body: &Value) -> Result<String, Fault> {
    Body::open(body)?.name()
}

/// The description in a body that is checked no further.
pub fn description(body: &Value) -> Result<Option<String>, Fault> {
    Body::open(body)?.description()
}

fn check_version(field: &str, version: Option<&Value>) -> Result<(), Fault> {
    match version {
        None | Some(Value::Null) => Err(Fault::new(
            ErrorCode::SpecVersionMissing,
            format!("{field}.version 'version' is required for spec info"),
        )),
        Some(Value::String(version)) if version == specs::VERSION => Ok(()),
        Some(other) => Err(invalid(format!(
            "`{field}.version` must be \"1.0\", got {}",
            shown(other)
        ))),
    }
}

/// The documented refusal of a spec id.
pub(super) fn spec_not_valid(field: &str, given: &str) -> Fault {
    Fault::new(
        ErrorCode::SpecNotValid,
        format!("Please provide a valid spec id: `{field}.id` is {given}"),
    )
}

/// Refuses fields that nobody reads, unless they are null.
pub(super) fn refuse_unknown(at: &str, object: &Object, known: &[&str]) -> Result<(), Fault> {
    let stranger = object
        .iter()
        .find(|(key, value)| !value.is_null() && !known.contains(&key.as_str()));
    let Some((key, _)) = stranger else {
        return Ok(());
    };
    let place = if at.is_empty() {
        "the body".to_owned()
    } else {
        format!("`{at}`")
    };
    Err(invalid(format!(
        "{place} has no field {}; it has {}",
        quoted(key),
        known.join(", ")
    )))
}

pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}

/// A given value for a message: as JSON, cut short when long.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A given text for a message: quoted and escaped, cut short when long.
pub fn quoted(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return Value::from(text).to_string();
    }
    let start: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{} (cut short)", Value::from(start))
}
