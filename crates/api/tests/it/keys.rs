//! Keys and secrets that are replaced while clients use them.

use std::time::Duration;

use axum::body::Body;
use serde_json::json;

use crate::world::{S3, World};

const KEYS: &str = "/offtake/v1/keys";

async fn s3_connection(world: &World) -> String {
    let params = json!({"s3AccessKey": "AKIAIOSFODNN7EXAMPLE", "s3SecretKey": "s".repeat(40)});
    let body = json!({"name": "bucket", "auth": {"specName": "Access Key", "params": params},
                      "connectionSpec": {"id": S3, "version": "1.0"}});
    world.post("/connections", &body).await.id()
}

#[tokio::test]
async fn a_rotation_disturbs_neither_secrets_nor_tokens() {
    let world = World::new().await;
    let id = s3_connection(&world).await;
    let path = format!("/connections/{id}");
    let etag = world.get(&path).await.item()["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    let rotated = world.act(&format!("{KEYS}/rotate")).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(rotated.body["resealed"], 1);
    assert_eq!(rotated.body["items"][0]["state"], "current");
    assert_eq!(rotated.body["items"][0]["secrets"], 1);
    assert_eq!(rotated.body["items"][1]["state"], "former");
    // An edit that keeps the stored secret has to open it.
    let keep = json!([{"op": "replace", "path": "/auth/params/s3AccessKey", "value": "AKIAIOSFODNN7EXAMPL2"}]);
    let edited = world
        .with_body("PATCH", &path, &[("if-match", &etag)], keep.to_string())
        .await;
    assert_eq!(edited.status, 200, "{}", edited.text);

    let retired = world.act(&format!("{KEYS}/retire")).await;
    assert_eq!(
        retired.body["items"].as_array().unwrap().len(),
        1,
        "{}",
        retired.text
    );
    assert_eq!(
        world.get(KEYS).await.status,
        401,
        "tokens of the former key end with it"
    );
    let mut headers = world.headers();
    headers.insert(
        "authorization",
        format!("Bearer {}", world.new_token().await),
    );
    assert_eq!(
        world
            .call("GET", KEYS, &headers, Body::empty())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_replaced_secret_is_accepted_for_its_grace_and_no_longer() {
    let world = World::new().await;
    let body = json!({"name": "c", "roles": [{"role": "viewer"}]});
    let made = world.post("/offtake/v1/clients", &body).await;
    let text = |key: &str| made.body[key].as_str().unwrap().to_owned();
    let (id, old) = (text("id"), text("secret"));
    let path = format!("/offtake/v1/clients/{id}/secret");
    let granted = async |secret: &str| {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        world.post_form("/ims/token/v3", &form).await.status == 200
    };
    let rotated = world.post(&path, &json!({"graceSeconds": 60})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let new = rotated.body["secret"].as_str().unwrap().to_owned();
    assert!(granted(&old).await && granted(&new).await);
    world.clock.advance(Duration::from_secs(61));
    assert!(!granted(&old).await, "its time is over");
    assert!(granted(&new).await);

    let last = world.act(&path).await.body["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!granted(&new).await, "without a grace it ends at once");
    assert!(granted(&last).await);
    for wrong in [
        json!({"graceSeconds": -1}),
        json!({"graceSeconds": "1"}),
        json!({"grace": 1}),
    ] {
        assert_eq!(world.post(&path, &wrong).await.status, 400, "{wrong}");
    }
}
