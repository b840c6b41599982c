//! Edits and deletions of connections (contract, 4.4 and 4.7–4.9), and drafts of flows.

use offtake_model::{ResourceKind, resource::ResourceBody};
use offtake_ports::{ResourceStore, Secrets};
use offtake_store::KeyFileSecrets;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::world::{Answer, S3, World};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const OTHER_SECRET: &str = "0123456789012345678901234567890123456789";

async fn patch(world: &World, path: &str, operations: &Value) -> Answer {
    world
        .with_body("PATCH", path, &[("if-match", "*")], operations.to_string())
        .await
}

async fn s3_connection(world: &World) -> String {
    let body = json!({
        "name": "bucket", "connectionSpec": {"id": S3, "version": "1.0"},
        "auth": {"specName": "Access Key", "params": {"s3AccessKey": KEY, "s3SecretKey": SECRET}}
    });
    world.post("/connections", &body).await.id()
}

/// The secret parameters as stored.
async fn stored(world: &World, id: &str) -> Value {
    let tenant = world.tenant();
    let id = offtake_model::ResourceId(id.to_owned());
    let found = ResourceStore::get(&world.store, &tenant, ResourceKind::Connection, &id)
        .await
        .unwrap()
        .unwrap();
    let ResourceBody::Connection(connection) = found.body else {
        panic!("not a connection");
    };
    let secrets = KeyFileSecrets::open(world.dir.path()).unwrap();
    let place = offtake_service::secrets_place(id.as_str());
    let sealed = connection.auth.unwrap().sealed.unwrap();
    let plain = secrets.reveal(&tenant, &place, &sealed).await.unwrap();
    serde_json::from_str(plain.expose_secret()).unwrap()
}

fn code(answer: &Answer) -> &Value {
    &answer.body["report"]["additionalContext"]["code"]
}

#[tokio::test]
async fn new_credentials_replace_the_whole_set_and_a_repeated_mask_keeps_a_secret() {
    let world = World::new().await;
    let id = s3_connection(&world).await;
    let path = format!("/connections/{id}");
    let before = world.get(&path).await;

    let masked = json!([{"op": "Replace", "path": "/auth/params", "value": {
        "s3AccessKey": "AKIAIOSFODNN7OTHER22", "s3SecretKey": "****", "authorizedDate": "2026-09-21"}}]);
    let answer = patch(&world, &path, &masked).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_ne!(answer.etag(), before.item()["etag"]);
    let read = world.get(&path).await;
    let params = &read.item()["auth"]["params"];
    assert_eq!(params["s3AccessKey"], "AKIAIOSFODNN7OTHER22");
    assert_eq!(params["s3SecretKey"], "****");
    assert_eq!(stored(&world, &id).await["s3SecretKey"], SECRET);

    let one = json!([{"op": "replace", "path": "/auth/params/s3SecretKey", "value": OTHER_SECRET}]);
    assert_eq!(patch(&world, &path, &one).await.status, 200);
    assert_eq!(stored(&world, &id).await["s3SecretKey"], OTHER_SECRET);

    let short =
        json!([{"op": "replace", "path": "/auth/params", "value": {"s3SecretKey": "****"}}]);
    let answer = patch(&world, &path, &short).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(!answer.text.contains(OTHER_SECRET));
    assert_eq!(stored(&world, &id).await["s3SecretKey"], OTHER_SECRET);
}

#[tokio::test]
async fn a_rename_leaves_the_credentials_alone() {
    let world = World::new().await;
    let id = s3_connection(&world).await;
    let path = format!("/connections/{id}");
    let rename = json!([{"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "add", "path": "/description", "value": "of the partner"}]);
    assert_eq!(patch(&world, &path, &rename).await.status, 200);
    let read = world.get(&path).await;
    assert_eq!(read.item()["name"], "renamed");
    assert_eq!(read.item()["description"], "of the partner");
    assert_eq!(stored(&world, &id).await["s3SecretKey"], SECRET);
}

#[tokio::test]
async fn what_cannot_be_patched_is_refused_whole() {
    let world = World::new().await;
    let connection = format!("/connections/{}", s3_connection(&world).await);
    let zone = format!("/connections/{}", world.landing_zone().await);
    let source = format!("/sourceConnections/{}", world.source().await);
    let target = format!("/targetConnections/{}", world.landing_target().await);
    for (path, operation, refusal) in [
        (
            &connection,
            json!({"op": "replace", "path": "/connectionSpec", "value": {}}),
            "CONNECTION_SPEC_FIXED",
        ),
        (
            &connection,
            json!({"op": "add", "path": "/encryption", "value": {}}),
            "ENCRYPTION_NOT_AVAILABLE",
        ),
        (
            &connection,
            json!({"op": "remove", "path": "/auth/params"}),
            "PATCH_PATH_INVALID",
        ),
        (
            &connection,
            json!({"op": "remove", "path": "/name"}),
            "FIELD_INVALID",
        ),
        (
            &connection,
            json!({"op": "move", "path": "/name", "from": "/description"}),
            "PATCH_OPERATION_INVALID",
        ),
        (
            &connection,
            json!({"op": "replace", "path": "/id", "value": "x"}),
            "PATCH_PATH_INVALID",
        ),
        (
            &zone,
            json!({"op": "replace", "path": "/auth/params", "value": {}}),
            "PATCH_PATH_INVALID",
        ),
        (
            &source,
            json!({"op": "replace", "path": "/params/datasets", "value": []}),
            "PATCH_PATH_INVALID",
        ),
        (
            &source,
            json!({"op": "replace", "path": "/state", "value": "x"}),
            "PATCH_PATH_INVALID",
        ),
        (
            &target,
            json!({"op": "replace", "path": "/baseConnectionId", "value": "x"}),
            "PATCH_PATH_INVALID",
        ),
        (
            &target,
            json!({"op": "replace", "path": "/params/compression", "value": "ZIP"}),
            "FIELD_INVALID",
        ),
        (
            &target,
            json!({"op": "remove", "path": "/params/datasetFileType"}),
            "FIELD_INVALID",
        ),
    ] {
        let before = world.get(path).await.text;
        let rename = json!({"op": "replace", "path": "/name", "value": "half done"});
        let answer = patch(&world, path, &json!([rename, operation])).await;
        assert_eq!(code(&answer), refusal, "{operation}: {}", answer.text);
        assert_eq!(world.get(path).await.text, before, "{operation}");
    }
}

#[tokio::test]
async fn a_patch_wants_the_etag_that_was_read() {
    let world = World::new().await;
    let source = world.source().await;
    let path = format!("/sourceConnections/{source}");
    let rename = json!([{"op": "replace", "path": "/name", "value": "b"}]).to_string();
    let missing = world.with_body("PATCH", &path, &[], rename.as_str()).await;
    assert_eq!(
        (missing.status, code(&missing)),
        (400, &json!("IF_MATCH_MISSING"))
    );
    let etag = world.get(&path).await.item()["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    let first = world
        .with_body("PATCH", &path, &[("if-match", &etag)], rename.as_str())
        .await;
    assert_eq!(first.status, 200);
    let second = world
        .with_body("PATCH", &path, &[("if-match", &etag)], rename.as_str())
        .await;
    assert_eq!(
        (second.status, code(&second)),
        (412, &json!("VERSION_CONFLICT"))
    );
}

#[tokio::test]
async fn target_parameters_are_merged_and_removed_one_by_one() {
    let world = World::new().await;
    let path = format!("/targetConnections/{}", world.landing_target().await);
    let merge = json!([{"op": "replace", "path": "/params", "value": {"path": "elsewhere", "onRewrite": "full"}}]);
    assert_eq!(patch(&world, &path, &merge).await.status, 200);
    let read = world.get(&path).await;
    let params = &read.item()["params"];
    assert_eq!(params["path"], "elsewhere");
    assert_eq!(params["onRewrite"], "full");
    assert_eq!(params["datasetFileType"], "PARQUET");
    let remove = json!([{"op": "remove", "path": "/params/onRewrite"}]);
    assert_eq!(patch(&world, &path, &remove).await.status, 200);
    assert!(
        world.get(&path).await.item()["params"]
            .get("onRewrite")
            .is_none()
    );
}

#[tokio::test]
async fn a_connection_goes_only_after_the_flows_that_use_it() {
    let world = World::new().await;
    let flow = world.flow().await;
    let read = world.get(&format!("/flows/{flow}")).await;
    let item = read.item();
    let source = format!(
        "/sourceConnections/{}",
        item["sourceConnectionIds"][0].as_str().unwrap()
    );
    let target = format!(
        "/targetConnections/{}",
        item["targetConnectionIds"][0].as_str().unwrap()
    );
    let base = world.get(&target).await.item()["baseConnectionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let base = format!("/connections/{base}");
    for (path, refusal, number) in [
        (&source, "RESOURCE_IN_USE", "1447"),
        (&target, "RESOURCE_IN_USE", "1447"),
        (&base, "CONNECTION_IN_USE", "1418"),
    ] {
        let answer = world.delete(path).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (400, &json!(refusal)),
            "{}",
            answer.text
        );
        assert!(answer.text.contains(number) && answer.text.contains(&flow));
    }
    assert_eq!(world.delete(&format!("/flows/{flow}")).await.status, 202);
    for path in [&source, &target, &base] {
        let answer = world.delete(path).await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
        assert_eq!(world.get(path).await.status, 404);
        assert_eq!(world.delete(path).await.status, 404);
    }
}

#[tokio::test]
async fn a_draft_runs_only_once_it_is_published() {
    let world = World::new().await;
    let mut body = world.flow_body().await;
    let target = body["targetConnectionIds"][0].clone();
    body["targetConnectionIds"] = json!(["8d4c4f2e-0000-4000-8000-000000000000"]);
    let id = world.post("/flows?mode=DRAFT", &body).await.id();
    let path = format!("/flows/{id}");
    let read = world.get(&path).await;
    assert_eq!(read.item()["state"], "draft");
    assert!(read.item().get("nextRunAt").is_none());
    for (op, refusal) in [
        ("enable", "ACTION_NOT_ALLOWED"),
        ("disable", "ACTION_NOT_ALLOWED"),
        ("publish", "CONNECTION_NOT_USABLE"),
    ] {
        let answer = world.act(&format!("{path}/action?op={op}")).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (400, &json!(refusal)),
            "{op}: {}",
            answer.text
        );
    }
    let mend = json!([{"op": "replace", "path": "/targetConnectionIds", "value": [target]}]);
    assert_eq!(patch(&world, &path, &mend).await.status, 200);
    assert_eq!(
        world.act(&format!("{path}/action?op=PUBLISH")).await.status,
        200
    );
    let read = world.get(&path).await;
    assert_eq!(read.item()["state"], "enabled");
    assert!(read.item().get("nextRunAt").is_some());
    assert_eq!(
        world.act(&format!("{path}/action?op=publish")).await.status,
        400
    );
}
