//! Parameter sets under their JSON Schemas (draft-07), with our extensions laid over the documented ones.
//!
//! Documented patterns use look-around, so they run on a backtracking engine with a limit; reaching it counts as a
//! violation (contract, D11). Messages are ours: they never hold a secret, however it was misplaced.

use std::sync::OnceLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use offtake_model::resource::Object;
use offtake_model::{DestinationKind, ErrorCode, Fault};
use serde_json::{Map, Value, json};

use crate::validate::{quoted, shown};

/// Most steps a pattern may take.
const BACKTRACK_MAX: usize = 100_000;

/// Most violations named in one fault.
const VIOLATIONS_MAX: usize = 8;

/// Longest credential text that is shown: real secrets are longer, and people mix up the two halves of a key pair.
const SHOWN_CREDENTIAL_CHARS_MAX: usize = 32;

/// Longest value of a pattern's field (contract, D11).
const PATTERN_CHARS_MAX: [(&str, usize); 4] = [
    ("bucketName", 222),
    ("container", 222),
    ("path", 1_024),
    ("remotePath", 1_024),
];

/// One way to authenticate.
#[derive(Debug)]
pub struct AuthSpec {
    name: String,
    params: ParamSchema,
    /// The rules when a server address is given, for platforms that have such an extension.
    relaxed: Option<ParamSchema>,
}

impl AuthSpec {
    pub(super) fn new(kind: Option<DestinationKind>, spec: &Value, extensions: &Value) -> Self {
        let name = spec["name"].as_str().unwrap_or_default();
        let kind = kind.map_or(Value::Null, |kind| json!(kind));
        let extension = &extensions["auth"][kind.as_str().unwrap_or_default()][name];
        let schema = auth_schema(&spec["spec"], extension);
        let relaxed = extension.get("endpoint").map(|_| {
            let mut schema = schema.clone();
            for key in documented_keys(&spec["spec"]) {
                if let Some(property) = schema["properties"][&key].as_object_mut() {
                    property.remove("pattern");
                }
            }
            ParamSchema::new(schema, true)
        });
        Self {
            name: name.to_owned(),
            params: ParamSchema::new(schema, true),
            relaxed,
        }
    }

    /// The name that a request gives.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks parameters. The documented key patterns are those of one vendor; they are waived when an `endpoint`
    /// of another is given (contract, D4).
    pub fn check(&self, at: &str, params: &Object) -> Result<(), Fault> {
        let elsewhere = params.get("endpoint").is_some_and(|it| !it.is_null());
        match &self.relaxed {
            Some(relaxed) if elsewhere => relaxed.check(at, params),
            Some(_) | None => self.params.check(at, params),
        }
    }

    /// Whether the parameter is a secret.
    pub fn secret(&self, key: &str) -> bool {
        self.params.secret(key)
    }
}

/// A set of named parameters and their rules.
#[derive(Debug)]
pub struct ParamSchema {
    schema: Value,
    credentials: bool,
    compiled: OnceLock<Result<Validator, String>>,
}

impl ParamSchema {
    fn new(schema: Value, credentials: bool) -> Self {
        Self {
            schema,
            credentials,
            compiled: OnceLock::new(),
        }
    }

    /// The rules of a target. `fileType` is documented as required but means nothing for datasets (contract, 5.4).
    pub(super) fn target(documented: &Value, extensions: &Value) -> Self {
        let mut schema = with_extensions(documented, extensions);
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|key| key != "fileType");
        }
        Self::new(schema, false)
    }

    /// Checks parameters; `at` is where they stand in the request, for the message.
    pub fn check(&self, at: &str, params: &Object) -> Result<(), Fault> {
        let mut violations = self.too_long(at, params);
        if violations.is_empty() {
            let params = Value::Object(params.clone());
            violations = self
                .validator()?
                .iter_errors(&params)
                .take(VIOLATIONS_MAX)
                .map(|error| self.violation(at, &error))
                .collect();
        }
        if violations.is_empty() {
            return Ok(());
        }
        Err(Fault::new(ErrorCode::FieldInvalid, violations.join("; ")))
    }

    /// Whether the parameter is a secret.
    pub fn secret(&self, key: &str) -> bool {
        self.schema["properties"][key]["format"] == "password"
    }

    fn validator(&self) -> Result<&Validator, Fault> {
        let compiled = self.compiled.get_or_init(|| {
            jsonschema::options()
                .with_draft(Draft::Draft7)
                .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_MAX))
                .build(&self.schema)
                .map_err(|error| error.to_string())
        });
        compiled.as_ref().map_err(|error| {
            Fault::new(
                ErrorCode::Internal,
                format!("failed to compile a parameter schema: {error}"),
            )
        })
    }

    /// Values too long for their pattern, so that it need not run.
    fn too_long(&self, at: &str, params: &Object) -> Vec<String> {
        PATTERN_CHARS_MAX
            .iter()
            .filter(|(key, max)| {
                let given = params.get(*key).and_then(Value::as_str);
                given.is_some_and(|text| text.chars().count() > *max)
            })
            .map(|(key, max)| {
                let given = params.get(*key).unwrap_or(&Value::Null);
                format!(
                    "`{at}.{key}` must be at most {max} characters{}",
                    self.given(key, given)
                )
            })
            .collect()
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the schemas here use no other keywords, and the library adds kinds"
    )]
    fn violation(&self, at: &str, error: &ValidationError<'_>) -> String {
        let place = error.instance_path().as_str();
        let field = format!("`{at}{}`", place.replace('/', "."));
        let key = place.split('/').nth(1).unwrap_or_default();
        let given = self.given(key, error.instance());
        let rule = match error.kind() {
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                return format!("`{at}.{key}` is required");
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known: Vec<String> = documented_keys(&self.schema);
                return format!(
                    "{field} has no parameter {}; it has {}",
                    quoted(&unexpected.join(", ")),
                    known.join(", ")
                );
            }
            ValidationErrorKind::Type { .. } => {
                format!("must be of type {}", self.rule(key, "type"))
            }
            ValidationErrorKind::Enum { options } => format!("must be one of {options}"),
            ValidationErrorKind::Pattern { pattern } => format!("must match the pattern {pattern}"),
            ValidationErrorKind::BacktrackLimitExceeded { .. }
            | ValidationErrorKind::RegexEngineFailure { .. } => {
                format!("must match the pattern {}", self.rule(key, "pattern"))
            }
            ValidationErrorKind::MinLength { .. } => "must not be empty".to_owned(),
            ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
            ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
            ValidationErrorKind::ContentEncoding { content_encoding } => {
                format!("must be encoded as {content_encoding}")
            }
            kind => format!("breaks the rule `{}`", kind.keyword()),
        };
        format!("{field} {rule}{given}")
    }

    fn rule(&self, key: &str, keyword: &str) -> String {
        let rule = &self.schema["properties"][key][keyword];
        rule.as_str()
            .map_or_else(|| rule.to_string(), str::to_owned)
    }

    /// The given value for a message, unless it is, or may be, a secret.
    fn given(&self, key: &str, value: &Value) -> String {
        let long = value
            .as_str()
            .is_some_and(|text| text.chars().count() > SHOWN_CREDENTIAL_CHARS_MAX);
        if self.secret(key) || self.credentials && long {
            return String::new();
        }
        format!(", got {}", shown(value))
    }
}

/// Credentials: the documented rules and ours, nothing unknown (it could be a secret in the wrong place), no empty texts.
fn auth_schema(documented: &Value, extension: &Value) -> Value {
    let mut schema = with_extensions(documented, extension);
    for key in documented_keys(documented) {
        let property = &mut schema["properties"][&key];
        if property["type"] == "string" {
            property["minLength"] = json!(1);
        }
    }
    schema
}

fn with_extensions(documented: &Value, extension: &Value) -> Value {
    let mut schema = documented.clone();
    let added: Map<String, Value> = extension.as_object().cloned().unwrap_or_default();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.extend(added);
    }
    schema["additionalProperties"] = json!(false);
    schema
}

fn documented_keys(schema: &Value) -> Vec<String> {
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flat_map(|it| it.keys().cloned())
        .collect()
}

#[cfg(test)]
mod tests;
