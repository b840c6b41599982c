//! Content types, broken JSON, limits, unknown paths, panics: one problem body for all of them (contract, 3).

use std::collections::BTreeMap;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::world::{DATASETS, NOW, World};

async fn posted(world: &World, content_type: Option<&str>, body: &str) -> crate::world::Answer {
    let mut headers = world.headers();
    if let Some(content_type) = content_type {
        headers.insert("content-type", content_type.to_owned());
    }
    let before = world.rows().await;
    let path = "/data/foundation/flowservice/connections";
    let answer = world
        .call("POST", path, &headers, Body::from(body.to_owned()))
        .await;
    if answer.status != 201 {
        assert_eq!(world.rows().await, before);
    }
    answer
}

#[tokio::test]
async fn a_problem_satisfies_every_documented_reader() {
    let world = World::new().await;
    let id = "00000000-0000-0000-0000-000000000000";
    let answer = world.get(&format!("/flows/{id}")).await;
    let text = format!("flows not found with id = [{id}]");
    let sandbox = world
        .get("/data/foundation/sandbox-management/sandboxes/prod")
        .await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(
        answer.body,
        json!({
            "type": "http://ns.adobe.com/aep/errors/FLOW-1101-404",
            "title": "Resource not found",
            "status": 404,
            "detail": text,
            "report": {
                "tenantInfo": {
                    "sandboxName": "prod",
                    "sandboxId": sandbox.body["id"],
                    "imsOrgId": world.first.org.to_string()
                },
                "additionalContext": {
                    "code": "RESOURCE_NOT_FOUND",
                    "advice": "Check the id, the organisation and the sandbox.",
                    "page": "docs/errors/RESOURCE_NOT_FOUND.md"
                }
            },
            "error-chain": [{
                "serviceId": "FLOW", "errorCode": "FLOW-1101-404", "invokingServiceId": "", "unixTimeStampMs": NOW
            }],
            "errorMessage": text,
            "errorDetails": text
        })
    );
}

#[tokio::test]
async fn a_body_needs_a_json_content_type() {
    let world = World::new().await;
    let documented = json!({
        "type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError",
        "detail": "A valid content-type must be specified"
    });
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/xml"),
        Some("application/json; charset=utf-16"),
        Some(""),
    ] {
        let answer = posted(&world, content_type, r#"{"name":"n"}"#).await;
        assert_eq!(
            (answer.status, &answer.body),
            (400, &documented),
            "{content_type:?}"
        );
    }
    for content_type in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/vnd.x+json",
    ] {
        assert_eq!(
            posted(&world, Some(content_type), r#"{"name":"n"}"#)
                .await
                .status,
            201
        );
    }
}

#[tokio::test]
async fn broken_json_is_answered_with_its_place() {
    let world = World::new().await;
    for (body, text) in [
        (
            "{\n  \"name\": \"x\", // the name\n}",
            "the body has a comment at line 2, column 16: JSON knows no comments",
        ),
        (
            "{\n  \"interval\": 3 // hours\n}",
            "the body has a comment at line 2, column 17: JSON knows no comments",
        ),
        (
            "/* c */ {}",
            "the body has a comment at line 1, column 1: JSON knows no comments",
        ),
        (
            "{\"name\": \"x\",}",
            "the body is not JSON: trailing comma at line 1, column 14",
        ),
        (
            "{\"name\": ",
            "the body is not JSON: EOF while parsing a value at line 1, column 9",
        ),
        (
            "{\"name\": \"x\"} more",
            "the body is not JSON: trailing characters at line 1, column 15",
        ),
    ] {
        let answer = posted(&world, Some("application/json"), body).await;
        assert_eq!(
            (answer.status, answer.body["detail"].as_str()),
            (400, Some(text))
        );
        assert_eq!(answer.body["message"], text);
        assert_eq!(
            answer.body["report"]["additionalContext"]["code"],
            "BODY_NOT_JSON"
        );
    }
    for (body, text) in [
        (
            "{\"name\": \"x\",\n\"name\": \"y\"}",
            "the body has the key \"name\" twice at line 2, column 6",
        ),
        (
            "{\"name\": \"x\", \"params\": [{\"a at line \": 1.5, \"b\": {\"a\": null}, \"a at line \": -1}]}",
            "the body has the key \"a at line \" twice at line 1, column 75",
        ),
    ] {
        let answer = posted(&world, Some("application/json"), body).await;
        assert_eq!(
            (answer.status, answer.body["detail"].as_str()),
            (400, Some(text))
        );
        assert_eq!(
            answer.body["report"]["additionalContext"]["code"],
            "BODY_NOT_JSON"
        );
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(
        posted(&world, Some("application/json"), &deep).await.status,
        400
    );
}

#[tokio::test]
async fn an_empty_body_is_1405_and_a_body_that_is_no_object_is_refused() {
    let world = World::new().await;
    for body in ["", " \n "] {
        let answer = posted(&world, Some("application/json"), body).await;
        assert_eq!(
            answer.body["type"],
            "http://ns.adobe.com/aep/errors/FLOW-1405-400"
        );
    }
    for body in ["[]", "null", "1", "\"text\"", "{}"] {
        let answer = posted(&world, Some("application/json"), body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(
            answer.body["report"]["additionalContext"]["code"], "FIELD_INVALID",
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_body_larger_than_a_mebibyte_is_refused_announced_or_not() {
    let world = World::new().await;
    let big = format!("{{\"name\":\"{}\"}}", "x".repeat(1024 * 1024));
    let answer = posted(&world, Some("application/json"), &big).await;
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.body["report"]["additionalContext"]["code"],
        "BODY_TOO_LARGE"
    );
    let mut request = Request::post("/ims/token/v3");
    request = request.header("content-length", "99999999");
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn long_paths_and_headers_are_refused() {
    let world = World::new().await;
    let long = world
        .get(&format!("/flows?property=name=={}", "x".repeat(9000)))
        .await;
    assert_eq!(long.status, 413);
    let text = long.body["detail"].as_str().unwrap();
    assert!(text.contains("limit for path and query is 8 KiB"), "{text}");
    let mut headers = world.headers();
    headers.insert("x-more", "y".repeat(20_000));
    let path = "/data/foundation/flowservice/flows";
    assert_eq!(
        world
            .call("GET", path, &headers, Body::empty())
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let world = World::new().await;
    for path in [
        "/",
        "/flow",
        "/data/foundation/flowservice",
        "/data/foundation/flowservice/flows/a/b/c",
    ] {
        let answer = world
            .call("GET", path, &BTreeMap::new(), Body::empty())
            .await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.body["report"]["additionalContext"]["code"],
            "ROUTE_NOT_FOUND"
        );
        assert_eq!(answer.body["report"]["tenantInfo"], Value::Null);
    }
    let answer = world.delete("/connectionSpecs").await;
    assert_eq!(answer.status, 405);
    assert_eq!(
        answer.body["report"]["additionalContext"]["code"],
        "METHOD_NOT_ALLOWED"
    );
    let allowed = answer.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET"), "{allowed}");
}

#[tokio::test]
async fn a_panic_is_answered_as_a_problem() {
    let world = World::new().await;
    let body = json!({"name": "x", "location": "lake://default/panic"});
    let answer = world.post(DATASETS, &body).await;
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.body["report"]["additionalContext"]["code"],
        "INTERNAL"
    );
    assert!(!answer.text.contains("asked to panic"));
    assert_eq!(world.get("/flows").await.status, 200);
}
