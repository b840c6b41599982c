//! The description of the API as an OpenAPI 3.1 document, and as a page to read.
//!
//! Paths, methods and permissions come from the table of operations, schemas of answers from the types of the wire,
//! failures from the error codes; what is said beside a route fills in the rest.
//!
//! The one law: an operation that is routed stands in the document.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use offtake_model::ErrorCode as E;
use serde_json::{Map, Value, json};

use crate::problem;
use crate::router::operations;
use crate::table::{Needs, Operation};
use bodies::Body;
use says::{Answer, Content, Kind, Parameter, Says};
use schemas::{Schemas, reference};

pub(crate) mod bodies;
mod page;
pub(crate) mod says;
pub(crate) mod schemas;

/// What may become of any request.
const OF_EVERYBODY: [E; 5] = [
    E::BodyTooLarge,
    E::ServiceBusy,
    E::StoreUnavailable,
    E::RequestTimedOut,
    E::Internal,
];

/// What may become of a request that needs a recognised caller.
const OF_CALLERS: [E; 9] = [
    E::RateLimited,
    E::TokenMissing,
    E::TokenInvalid,
    E::ApiKeyMissing,
    E::ApiKeyInvalid,
    E::OrgMissing,
    E::OrgNotEntitled,
    E::SandboxNotFound,
    E::PermissionMissing,
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| build(&operations()));

/// The OpenAPI document of every operation.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as it is served and committed.
pub(crate) fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
    &JSON
}

/// The document for people: one page without scripts and without anything from elsewhere.
pub(crate) fn page() -> &'static str {
    static PAGE: LazyLock<String> = LazyLock::new(|| page::render(document()));
    &PAGE
}

fn build(operations: &[Operation]) -> Value {
    let schemas = Schemas::of_wire();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut bodies = BTreeMap::new();
    for operation in operations {
        if let Some(body) = operation.says.as_ref().and_then(|says| says.body) {
            bodies.insert(body.name, (body.schema)());
        }
        paths.entry(shown(&operation.path)).or_default().insert(
            operation.method.to_ascii_lowercase(),
            described(operation, operations, &schemas),
        );
    }
    let mut schemas = schemas.into_named();
    schemas.extend(
        bodies
            .into_iter()
            .map(|(name, schema)| (name.to_owned(), schema)),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "offtake",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Delivers the datasets of a data lake to cloud storage on a schedule, exactly once. \
                Every path may end with a slash. Instants are epoch milliseconds unless something else is said. \
                Each failure has a code; `x-error-codes` names those of a status, docs/errors has a page for each."
        },
        "servers": [{"url": "/"}],
        "security": [{"token": [], "client": [], "organisation": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of `POST /ims/token/v3`."},
                "client": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The client's id."},
                "organisation": {
                    "type": "apiKey", "in": "header", "name": "x-gw-ims-org-id",
                    "description": "The organisation's id."
                }
            },
            "parameters": {
                "sandbox": {
                    "name": "x-sandbox-name", "in": "header", "required": false, "schema": {"type": "string"},
                    "description": "The sandbox, `prod` when absent. What belongs to another one does not exist."
                }
            },
            "schemas": schemas
        }
    })
}

/// Everything of one operation.
fn described(operation: &Operation, all: &[Operation], schemas: &Schemas) -> Value {
    let mut entry = json!({"tags": [tag(&operation.path)]});
    let mut parameters = path_parameters(&operation.path);
    let mut codes = OF_EVERYBODY.to_vec();
    match operation.needs {
        Needs::Nothing | Needs::Signature => entry["security"] = json!([]),
        Needs::AnyOf(permissions) => {
            let names: Vec<&str> = permissions.iter().map(|it| it.name()).collect();
            entry["x-permissions"] = json!(names);
            parameters.push(json!({"$ref": "#/components/parameters/sandbox"}));
            codes.extend(OF_CALLERS);
        }
    }
    let mut responses = Map::new();
    if let Some(says) = &operation.says {
        entry["operationId"] = says.id.into();
        entry["summary"] = says.summary.into();
        entry["description"] = text(operation, says).into();
        parameters.extend(says.parameters.iter().map(parameter));
        if let Some(body) = says.body {
            entry["requestBody"] = request_body(body);
        }
        for answer in &says.answers {
            let good = good(answer, operation, all, schemas);
            add(&mut responses, answer.status.to_string(), good);
        }
        codes.extend(&says.codes);
    }
    responses.extend(failures(&codes, schemas));
    let xml_from = operation.says.as_ref().and_then(|says| says.xml_from);
    for (status, response) in &mut responses {
        if xml_from.is_some_and(|from| status.parse().is_ok_and(|it: u16| it >= from)) {
            response["content"]["application/xml"] = json!({"schema": {"type": "string"}});
        }
    }
    if !parameters.is_empty() {
        entry["parameters"] = parameters.into();
    }
    entry["responses"] = responses.into();
    entry
}

/// Adds an answer; a second one of the same status is another form of it.
fn add(responses: &mut Map<String, Value>, status: String, mut good: Value) {
    let first = responses
        .get_mut(&status)
        .and_then(|it| it.get_mut("content"));
    match (first, good["content"].take()) {
        (Some(Value::Object(first)), Value::Object(other)) => first.extend(other),
        (_, content) => {
            if content.is_object() {
                good["content"] = content;
            } else if let Value::Object(good) = &mut good {
                good.remove("content");
            }
            responses.insert(status, good);
        }
    }
}

fn text(operation: &Operation, says: &Says) -> String {
    let needs = match operation.needs {
        Needs::Nothing => "Needs no token.".to_owned(),
        Needs::Signature => "Needs no token, but a signature in the query.".to_owned(),
        Needs::AnyOf(permissions) => {
            let names: Vec<String> = permissions
                .iter()
                .map(|it| format!("`{}`", it.name()))
                .collect();
            format!("Needs {}.", names.join(" or "))
        }
    };
    if says.note.is_empty() {
        return needs;
    }
    format!("{} {needs}", says.note)
}

/// The path as OpenAPI spells it: a parameter that takes the rest of the path is one like others there.
pub(crate) fn shown(path: &str) -> String {
    path.replace("{*", "{")
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| {
        let inner = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(inner.strip_prefix('*').unwrap_or(inner))
    });
    names
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
        })
        .collect()
}

/// The chapter that an operation stands in.
fn tag(path: &str) -> &str {
    let chapters = [
        (crate::CATALOG, "catalog"),
        (crate::IMPORT, "batch ingestion"),
        (crate::EXPORT, "data access"),
        ("/data/core/activation", "runs"),
        ("/data/foundation/connectors", "landing zone"),
        ("/data/foundation/sandbox-management", "access"),
        ("/offtake/v1", "access"),
        ("/ims", "tokens"),
    ];
    if let Some(rest) = path.strip_prefix(crate::FLOW_SERVICE) {
        return rest.split('/').nth(1).unwrap_or_default();
    }
    let chapter = chapters.iter().find(|(prefix, _)| path.starts_with(prefix));
    chapter.map_or("service", |(_, name)| name)
}

fn parameter(it: &Parameter) -> Value {
    let schema = match it.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Words(words) => json!({"type": "string", "enum": words}),
        Kind::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
    };
    json!({
        "name": it.name, "in": it.place, "required": it.required, "description": it.about, "schema": schema
    })
}

fn request_body(body: Body) -> Value {
    let schema = reference(body.name);
    json!({"required": !body.optional, "content": {body.kind: {"schema": schema}}})
}

fn good(answer: &Answer, operation: &Operation, all: &[Operation], schemas: &Schemas) -> Value {
    let mut good = json!({"description": answer.about});
    match answer.content {
        Content::Nothing => {}
        Content::Json(schema) => {
            good["content"] = json!({"application/json": {"schema": schema(schemas)}});
        }
        Content::Bytes(kind) => {
            good["content"] = json!({kind: {"schema": {"type": "string"}}});
        }
    }
    let links = links(answer, operation, all);
    if !links.is_empty() {
        good["links"] = links.into();
    }
    good
}

/// What can be done with something that was just made: the operations below its own path.
fn links(answer: &Answer, operation: &Operation, all: &[Operation]) -> Map<String, Value> {
    if answer.status != 201 || operation.method != "POST" {
        return Map::new();
    }
    let below = format!("{}/{{id}}", operation.path);
    let ids = all
        .iter()
        .filter(|it| it.path.starts_with(&below))
        .filter_map(|it| it.says.as_ref().map(|says| says.id));
    ids.map(|id| {
        let link = json!({"operationId": id, "parameters": {"id": "$response.body#/id"}});
        (id.to_owned(), link)
    })
    .collect()
}

/// The failures of an operation by status: their bodies' shapes, their codes and what each means.
fn failures(codes: &[E], schemas: &Schemas) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<E>> = BTreeMap::new();
    for code in codes {
        let of_status = by_status.entry(code.status()).or_default();
        if !of_status.contains(code) {
            of_status.push(*code);
        }
    }
    let mut failures = BTreeMap::new();
    for (status, codes) in by_status {
        let mut content: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for code in &codes {
            let (kind, schema) = problem::described(*code, schemas);
            let of_kind = content.entry(kind).or_default();
            if !of_kind.contains(&schema) {
                of_kind.push(schema);
            }
        }
        let content: Map<String, Value> = content
            .into_iter()
            .map(|(kind, mut shapes)| {
                let schema = match shapes.len() {
                    1 => shapes.remove(0),
                    _ => json!({"anyOf": shapes}),
                };
                (kind.to_owned(), json!({"schema": schema}))
            })
            .collect();
        let meanings: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.name(), code.meaning()))
            .collect();
        let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
        failures.insert(
            status.to_string(),
            json!({"description": meanings.join(" "), "content": content, "x-error-codes": names}),
        );
    }
    failures
}
