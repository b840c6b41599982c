//! `Idempotency-Key`: a request that makes something makes it once, however often it is sent.

use std::collections::BTreeMap;

use axum::body::Body;
use serde_json::{Value, json};

use crate::world::{Answer, DATA_LAKE, DATASETS, LANDING_ZONE, LANDING_ZONE_FLOW, World};

const CLIENTS: &str = "/offtake/v1/clients";
const ORGANISATIONS: &str = "/offtake/v1/organisations";

async fn rows_of(world: &World, path: &str) -> usize {
    world.get(path).await.body["items"]
        .as_array()
        .unwrap()
        .len()
}

async fn keyed(world: &World, path: &str, key: &str, body: &Value) -> Answer {
    let key = [("idempotency-key", key)];
    world.with_body("POST", path, &key, body.to_string()).await
}

fn code(answer: &Answer) -> &Value {
    &answer.body["report"]["additionalContext"]["code"]
}

/// A legal body for each collection that makes something, and how to change it.
async fn requests(world: &World) -> Vec<(&'static str, Value)> {
    let dataset = world.dataset("orders").await;
    let managed = world.post(DATASETS, &json!({"name": "managed"})).await;
    let managed = managed.body[0]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let base = world.landing_zone().await;
    vec![
        ("/connections", json!({"name": "zone"})),
        (
            "/sourceConnections",
            json!({
                "name": "s", "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
                "params": {"datasets": [{"dataSetId": dataset}]}
            }),
        ),
        (
            "/targetConnections",
            json!({
                "name": "t", "baseConnectionId": base, "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"},
                "params": {"path": "out", "compression": "NONE", "datasetFileType": "JSON"}
            }),
        ),
        (
            "/flows",
            json!({
                "name": "f", "flowSpec": {"id": LANDING_ZONE_FLOW, "version": "1.0"},
                "sourceConnectionIds": [world.source().await], "targetConnectionIds": [world.landing_target().await],
                "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210}
            }),
        ),
        (DATASETS, json!({"name": "d"})),
        (
            "/data/foundation/import/batches",
            json!({"datasetId": managed, "inputFormat": {"format": "json"}, "name": "b"}),
        ),
        (
            "/data/foundation/sandbox-management/sandboxes",
            json!({"name": "dev", "title": "Development"}),
        ),
    ]
}

#[tokio::test]
async fn a_repeated_request_makes_nothing_more_and_is_answered_alike() {
    let world = World::new().await;
    for (path, body) in requests(&world).await {
        let first = keyed(&world, path, "k-1", &body).await;
        assert_eq!(first.status, 201, "{path}: {}", first.text);
        let rows = world.rows().await;
        let again = keyed(&world, path, "k-1", &body).await;
        assert_eq!((again.status, &again.text), (201, &first.text), "{path}");
        assert_eq!(world.rows().await, rows, "{path}");
        if path.ends_with("/sandboxes") {
            continue;
        }
        let other = keyed(&world, path, "k-2", &body).await;
        assert_eq!(other.status, 201, "{path}: {}", other.text);
        assert_ne!(
            other.text, first.text,
            "{path}: another key makes another one"
        );
    }
}

#[tokio::test]
async fn a_key_that_stands_for_another_request_is_refused() {
    let world = World::new().await;
    for (path, mut body) in requests(&world).await {
        assert_eq!(keyed(&world, path, "k", &body).await.status, 201, "{path}");
        let rows = world.rows().await;
        body["name"] = json!("other");
        let refused = keyed(&world, path, "k", &body).await;
        assert_eq!(
            (refused.status, code(&refused)),
            (422, &json!("IDEMPOTENCY_KEY_REUSED")),
            "{path}"
        );
        assert_eq!(world.rows().await, rows, "{path}");
    }
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free_and_a_key_must_be_readable() {
    let world = World::new().await;
    assert_eq!(
        keyed(&world, "/connections", "k", &json!({"name": 7}))
            .await
            .status,
        400
    );
    assert_eq!(
        keyed(&world, "/connections", "k", &json!({"name": "zone"}))
            .await
            .status,
        201
    );
    for key in ["", "a b", &"x".repeat(129)] {
        let refused = keyed(&world, "/connections", key, &json!({"name": "zone"})).await;
        assert_eq!(
            (refused.status, code(&refused)),
            (400, &json!("FIELD_INVALID")),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn what_was_changed_or_deleted_meanwhile_is_told_as_it_is() {
    let world = World::new().await;
    let body = json!({"name": "zone"});
    let first = keyed(&world, "/connections", "k", &body).await;
    let path = format!("/connections/{}", first.id());
    let rename = json!([{"op": "replace", "path": "/name", "value": "new"}]).to_string();
    let changed = world
        .with_body("PATCH", &path, &[("if-match", "*")], rename)
        .await;
    let again = keyed(&world, "/connections", "k", &body).await;
    assert_eq!((again.id(), again.etag()), (first.id(), changed.etag()));
}

#[tokio::test]
async fn many_at_the_same_time_make_one() {
    let world = World::new().await;
    let body = json!({"name": "zone"});
    let asked: Vec<_> = (0..20)
        .map(|_| keyed(&world, "/connections", "k", &body))
        .collect();
    let answers = futures_util::future::join_all(asked).await;
    for answer in &answers {
        assert_eq!(answer.id(), answers[0].id());
    }
    assert_eq!(world.get("/connections").await.ids().len(), 1);
}

#[tokio::test]
async fn a_client_is_shown_again_without_its_secret() {
    let world = World::new().await;
    let body = json!({"name": "partner", "roles": [{"role": "viewer"}], "subject": "pat"});
    let first = keyed(&world, CLIENTS, "k", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = keyed(&world, CLIENTS, "k", &body).await;
    assert_eq!(again.status, 201, "{}", again.text);
    let mut shown = first.body.clone();
    assert!(shown.as_object_mut().unwrap().remove("secret").is_some());
    assert_eq!(again.body, shown);
    assert_eq!(
        rows_of(&world, CLIENTS).await,
        2,
        "the first one and one more"
    );
    // Whoever lost the first answer can still get a secret for it.
    let path = format!("{CLIENTS}/{}/secret", again.id());
    let rotated = world.post(&path, &json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert!(rotated.body["secret"].is_string());
}

#[tokio::test]
async fn many_at_the_same_time_make_one_client_and_one_sees_its_secret() {
    let world = World::new().await;
    let body = json!({"name": "partner", "roles": [{"role": "viewer"}]});
    let asked: Vec<_> = (0..20)
        .map(|_| keyed(&world, CLIENTS, "k", &body))
        .collect();
    let answers = futures_util::future::join_all(asked).await;
    let mut secrets = 0;
    for answer in &answers {
        assert_eq!((answer.status, answer.id()), (201, answers[0].id()));
        secrets += usize::from(answer.body["secret"].is_string());
    }
    assert_eq!(secrets, 1);
    assert_eq!(rows_of(&world, CLIENTS).await, 2);
}

#[tokio::test]
async fn an_organisation_is_told_by_its_id_but_its_clients_secret_is_not_shown_a_second_time() {
    let world = World::new().await;
    let body = json!({"name": "Other"});
    let first = keyed(&world, ORGANISATIONS, "k", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = keyed(&world, ORGANISATIONS, "k", &body).await;
    assert_eq!(
        (again.status, code(&again)),
        (422, &json!("IDEMPOTENCY_KEY_REUSED"))
    );
    assert!(again.text.contains(&first.id()), "{}", again.text);
    assert_eq!(rows_of(&world, ORGANISATIONS).await, 2);
}

#[tokio::test]
async fn keys_of_two_clients_have_nothing_to_do_with_each_other() {
    let world = World::new().await;
    let body = json!({"name": "admin", "roles": [{"role": "admin"}]});
    let made = world.post("/offtake/v1/clients", &body).await;
    let text = |key: &str| made.body[key].as_str().unwrap().to_owned();
    let headers = crate::access::as_client(&world, &text("id"), &text("secret")).await;
    let mut headers: BTreeMap<&'static str, String> = headers;
    headers.insert("idempotency-key", "k".to_owned());
    let mine = keyed(&world, "/connections", "k", &json!({"name": "zone"})).await;
    let path = format!("{}/connections", crate::world::FLOW_SERVICE);
    let theirs = world
        .call(
            "POST",
            &path,
            &headers,
            Body::from(json!({"name": "two"}).to_string()),
        )
        .await;
    assert_ne!(theirs.id(), mine.id());
}
