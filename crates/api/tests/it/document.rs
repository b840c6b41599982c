//! The OpenAPI document: complete, current, served to everybody, and true of every answer that these tests get.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::Method;
use offtake_api::{document, operations};
use offtake_model::ErrorCode;
use serde_json::Value;

use crate::world::World;

const COMMITTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/openapi.json"
);

/// Fails when the document doesn't know that the operation answers so. What is not routed is not judged.
pub(crate) fn check(method: &Method, path: &str, status: u16, body: &Value) {
    let Some((template, entry)) = found(path) else {
        return;
    };
    let method = method.as_str().to_ascii_lowercase();
    // A read answers HEAD, too.
    let operation = match (method.as_str(), &entry[method.as_str()]) {
        ("head", Value::Null) => &entry["get"],
        (_, operation) => operation,
    };
    if operation.is_null() {
        assert_eq!(status, 405, "{method} {template} is not in the document");
        return;
    }
    let response = &operation["responses"][status.to_string()];
    assert!(
        response.is_object(),
        "{method} {template} answers {status}, which the document doesn't say: {body}"
    );
    let code = &body["report"]["additionalContext"]["code"];
    let known = response["x-error-codes"].as_array();
    assert!(
        code.is_null() || known.is_some_and(|known| known.contains(code)),
        "{method} {template} answers {code}, which the document doesn't say"
    );
}

fn found(path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.split('?').next().unwrap().trim_end_matches('/');
    let paths = document()["paths"].as_object().unwrap();
    // A literal part wins over a parameter.
    paths
        .iter()
        .filter(|(template, _)| fits(template, path))
        .min_by_key(|(template, _)| template.matches('{').count())
        .map(|(template, entry)| (template.as_str(), entry))
}

fn fits(template: &str, path: &str) -> bool {
    if let Some(folder) = template.strip_suffix("/{file}") {
        let parts = folder.split('/').count();
        let split: Vec<&str> = path.splitn(parts + 1, '/').collect();
        return split.len() == parts + 1 && fits(folder, &split[..parts].join("/"));
    }
    let (template, path): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(&path)
            .all(|(part, given)| part.starts_with('{') || part == given)
}

#[test]
fn every_operation_is_described_under_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for operation in operations() {
        let path = operation.path.replace("{*", "{");
        let entry = &document()["paths"][&path][operation.method.to_ascii_lowercase()];
        let name = entry["operationId"].as_str();
        let name = name.unwrap_or_else(|| panic!("{operation:?} says nothing of itself"));
        assert!(names.insert(name), "{name} twice");
        assert!(entry["summary"].as_str().is_some_and(|it| it.len() > 8));
        assert!(entry["responses"].as_object().unwrap().len() > 3, "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_no_text_is_for_builders_only() {
    let text = document().to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let target = part.split('"').next().unwrap();
        assert!(document().pointer(target).is_some(), "{target}");
    }
    assert!(!text.contains("contract, "), "a reader has no contract");
}

#[test]
fn every_code_with_a_documented_number_is_said_of_some_operation() {
    let text = document()["paths"].to_string();
    let missing: Vec<&str> = ErrorCode::ALL
        .iter()
        .filter(|code| code.number().is_some())
        .filter(|code| !text.contains(&format!("\"{}\"", code.name())))
        .map(|code| code.name())
        .collect();
    // A process that doesn't get the data directory never answers a request.
    assert_eq!(missing, ["DATA_DIR_IN_USE"]);
}

/// `OFFTAKE_WRITE_DOCS=1` writes the file anew instead of failing.
#[tokio::test]
async fn the_committed_document_is_the_one_that_is_served() {
    let world = World::new().await;
    let nobody = BTreeMap::new();
    let served = world
        .call("GET", "/openapi.json", &nobody, Body::empty())
        .await;
    assert_eq!(served.headers["content-type"], "application/json");
    if std::env::var_os("OFFTAKE_WRITE_DOCS").is_some() {
        std::fs::write(COMMITTED, &served.text).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(COMMITTED).unwrap() == served.text,
        "docs/reference/openapi.json is behind; run this test with OFFTAKE_WRITE_DOCS=1"
    );
}

#[tokio::test]
async fn the_page_shows_every_operation_and_fetches_nothing() {
    let world = World::new().await;
    let page = world
        .call("GET", "/docs", &BTreeMap::new(), Body::empty())
        .await;
    assert_eq!(page.status, 200);
    for operation in operations() {
        let path = operation.path.replace("{*", "{");
        assert!(
            page.text.contains(&format!("<code>{path}</code>")),
            "{path}"
        );
    }
    for outside in ["<script", "src=", "@import", "url(", "href=\"http"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"));
}
