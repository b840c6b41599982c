//! Tokens, and what every missing or bad header gives (contract, 2.2 to 2.4).

use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offtake_model::Actor;
use offtake_ports::IdentityStore;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::world::{Answer, World, other_client};

const PATH: &str = "/data/foundation/flowservice/flows";

fn gateway(code: &str, message: &str) -> Value {
    json!({"error_code": code, "message": message})
}

async fn with(world: &World, change: &[(&'static str, Option<&str>)]) -> Answer {
    let mut headers = world.headers();
    for (name, value) in change {
        match value {
            Some(value) => headers.insert(name, (*value).to_owned()),
            None => headers.remove(name),
        };
    }
    world.call("GET", PATH, &headers, Body::empty()).await
}

#[tokio::test]
async fn every_missing_or_bad_header_is_answered_as_documented() {
    let world = World::new().await;
    let forged = forged(&world.token);
    let missing_token = gateway("403010", "Oauth token is missing.");
    let bad_token = gateway("401013", "Oauth token is not valid");
    let missing_key = gateway("403000", "Api Key is required");
    let bad_key = gateway("403003", "Api Key is invalid");
    let missing_org = gateway("400003", "Missing header");
    let bad_org = gateway("403025", "Profile is not valid");
    let table: [(&'static str, Option<&str>, u16, &Value); 17] = [
        ("authorization", None, 403, &missing_token),
        ("authorization", Some(""), 403, &missing_token),
        ("authorization", Some("Bearer"), 401, &bad_token),
        ("authorization", Some("Bearer "), 401, &bad_token),
        ("authorization", Some("Bearer nonsense"), 401, &bad_token),
        ("authorization", Some("Basic Zm9vOmJhcg=="), 401, &bad_token),
        ("authorization", Some("\u{fc}"), 401, &bad_token),
        ("authorization", Some(&forged), 401, &bad_token),
        ("x-api-key", None, 403, &missing_key),
        ("x-api-key", Some(" "), 403, &missing_key),
        ("x-api-key", Some("somebody"), 403, &bad_key),
        ("x-gw-ims-org-id", None, 400, &missing_org),
        ("x-gw-ims-org-id", Some(""), 400, &missing_org),
        (
            "x-gw-ims-org-id",
            Some("FFFFFFFFFFFFFFFFFFFFFFFF@AdobeOrg"),
            403,
            &bad_org,
        ),
        ("x-gw-ims-org-id", Some("nonsense"), 403, &bad_org),
        ("x-gw-ims-org-id", Some("*"), 403, &bad_org),
        ("x-api-key", Some("\u{e9}"), 403, &bad_key),
    ];
    for (name, value, status, body) in table {
        let answer = with(&world, &[(name, value)]).await;
        assert_eq!(
            (answer.status, &answer.body),
            (status, body),
            "{name}: {value:?}"
        );
    }
}

#[tokio::test]
async fn the_checks_come_in_the_documented_order() {
    let world = World::new().await;
    let none = [
        ("authorization", None),
        ("x-api-key", None),
        ("x-gw-ims-org-id", None),
        ("x-sandbox-name", Some("nowhere")),
    ];
    for (skip, expected) in [(0, "403010"), (1, "403000"), (2, "400003")] {
        let answer = with(&world, &none[skip..]).await;
        assert_eq!(answer.body["error_code"], expected);
    }
    let answer = with(&world, &none[3..]).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-2100-404"
    );
    assert_eq!(answer.body["title"], "Sandbox not found");
}

#[tokio::test]
async fn a_body_call_is_recognised_before_its_content_type_and_body_are_looked_at() {
    let world = World::new().await;
    let mut headers = world.headers();
    headers.remove("x-api-key");
    let answer = world.call("POST", PATH, &headers, Body::from("{")).await;
    assert_eq!(answer.body["error_code"], "403000");
}

#[tokio::test]
async fn without_a_sandbox_header_the_default_sandbox_is_used() {
    let world = World::new().await;
    for value in [None, Some(""), Some("prod")] {
        assert_eq!(with(&world, &[("x-sandbox-name", value)]).await.status, 200);
    }
    for value in ["dev", "*", "PROD", "prod/../prod"] {
        let answer = with(&world, &[("x-sandbox-name", Some(value))]).await;
        assert_eq!(answer.status, 404, "{value}");
    }
    let answer = with(&world, &[("x-sandbox-id", Some("not-its-id"))]).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_token_works_only_with_the_client_it_was_given_to() {
    let world = World::new().await;
    let other = other_client("other", &world.first.org);
    world
        .store
        .add_client(&other, &Actor::service(world.tenant(), "test"))
        .await
        .unwrap();
    let answer = with(&world, &[("x-api-key", Some("other"))]).await;
    assert_eq!(answer.body, gateway("403003", "Api Key is invalid"));
}

#[tokio::test]
async fn a_token_expires_after_its_day() {
    let world = World::new().await;
    world.clock.advance(Duration::from_secs(86_390));
    assert_eq!(world.get("/flows").await.status, 200);
    world.clock.advance(Duration::from_mins(1));
    let answer = world.get("/flows").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.body, gateway("401013", "Oauth token is not valid"));
}

#[tokio::test]
async fn a_token_of_another_server_is_not_valid() {
    let world = World::new().await;
    let mut stranger = World::new().await;
    stranger.token.clone_from(&world.token);
    assert_eq!(stranger.get("/flows").await.status, 401);
}

#[tokio::test]
async fn a_client_gets_a_token_for_its_secret() {
    let world = World::new().await;
    let secret = world.first.secret.expose_secret();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={secret}&scope=openid%2Csession",
        world.first.client
    );
    let answer = world.post_form("/ims/token/v3", &form).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["token_type"], "bearer");
    assert_eq!(answer.body["expires_in"], 86_399);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let by_query = world.post_form(&format!("/ims/token/v2?{form}"), "").await;
    assert_eq!(by_query.status, 200);
    let query_on_v3 = world.post_form(&format!("/ims/token/v3?{form}"), "").await;
    assert_eq!(query_on_v3.status, 400);
}

#[tokio::test]
async fn a_token_request_that_cannot_be_granted_says_why_and_no_more() {
    let world = World::new().await;
    let id = world.first.client.to_string();
    let secret = world.first.secret.expose_secret();
    let table = [
        (
            format!("grant_type=client_credentials&client_id={id}&client_secret=x"),
            "invalid_client",
        ),
        (
            format!("grant_type=client_credentials&client_id={id}"),
            "invalid_client",
        ),
        (
            format!("grant_type=client_credentials&client_id=x&client_secret={secret}"),
            "invalid_client",
        ),
        ("grant_type=client_credentials".to_owned(), "invalid_client"),
        (
            format!("grant_type=password&client_id={id}&client_secret={secret}"),
            "unsupported_grant_type",
        ),
        (String::new(), "unsupported_grant_type"),
        (
            "{\"grant_type\":\"client_credentials\"}".to_owned(),
            "unsupported_grant_type",
        ),
    ];
    for (form, error) in table {
        let answer = world.post_form("/ims/token/v3", &form).await;
        assert_eq!(
            (answer.status, answer.body["error"].as_str()),
            (400, Some(error)),
            "{form}"
        );
        assert!(!answer.text.contains(secret));
    }
}

#[tokio::test]
async fn the_first_client_has_the_documented_forms() {
    let world = World::new().await;
    let org = world.first.org.to_string();
    let hex = org.strip_suffix("@AdobeOrg").unwrap();
    assert_eq!(hex.len(), 24);
    assert!(
        hex.chars()
            .all(|c| c.is_ascii_digit() || ('A'..='F').contains(&c))
    );
    assert_eq!(world.first.sandbox.as_str(), "prod");
    assert_eq!(world.first.secret.expose_secret().len(), 43);
    assert!(world.client().await.enabled);
}

#[tokio::test]
async fn the_sandbox_can_be_read_by_name() {
    let world = World::new().await;
    let path = "/data/foundation/sandbox-management/sandboxes";
    let answer = world.get(&format!("{path}/prod")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["name"], "prod");
    assert_eq!(answer.body["isDefault"], true);
    assert_eq!(answer.body["state"], "active");
    assert!(answer.body["id"].is_string());
    assert_eq!(world.get(&format!("{path}/dev")).await.status, 404);
}

#[tokio::test]
async fn health_is_for_everybody() {
    let world = World::new().await;
    for path in ["/health/live", "/health/ready"] {
        let answer = world
            .call(
                "GET",
                path,
                &std::collections::BTreeMap::new(),
                Body::empty(),
            )
            .await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

/// The token with another organisation in its claims and the old signature.
fn forged(token: &str) -> String {
    let mut parts = token.split('.');
    let header = parts.next().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["org"] = json!("FFFFFFFFFFFFFFFFFFFFFFFF@AdobeOrg");
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("Bearer {header}.{claims}.{}", parts.next().unwrap())
}
