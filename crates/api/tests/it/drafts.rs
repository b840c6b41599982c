//! Drafts of connections: kept, changed and published (contract, 4).

use serde_json::{Value, json};

use crate::world::{Answer, DATA_LAKE, LANDING_ZONE, LANDING_ZONE_FLOW, S3, World};

const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

fn code(answer: &Answer) -> &Value {
    &answer.body["report"]["additionalContext"]["code"]
}

async fn draft(world: &World, collection: &str, body: &Value) -> String {
    let id = world
        .post(&format!("/{collection}?mode=Draft"), body)
        .await
        .id();
    let path = format!("/{collection}/{id}");
    assert_eq!(world.get(&path).await.item()["state"], "draft");
    path
}

async fn publish(world: &World, path: &str) -> Answer {
    world.act(&format!("{path}/action?op=publish")).await
}

async fn patch(world: &World, path: &str, operations: &Value) -> Answer {
    let any = [("if-match", "*")];
    world
        .with_body("PATCH", path, &any, operations.to_string())
        .await
}

fn s3() -> Value {
    json!({"name": "bucket", "connectionSpec": {"id": S3, "version": "1.0"}})
}

fn keys() -> Value {
    json!({"specName": "Access Key", "params": {
        "s3AccessKey": "AKIAIOSFODNN7EXAMPLE", "s3SecretKey": "x".repeat(40)
    }})
}

fn zone_target(base: &str) -> Value {
    json!({
        "name": "t", "baseConnectionId": base, "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"},
        "params": {"path": "out", "compression": "NONE", "datasetFileType": "JSON"}
    })
}

fn source_of(dataset: &str) -> Value {
    json!({
        "name": "s", "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
        "params": {"datasets": [{"dataSetId": dataset}]}
    })
}

#[tokio::test]
async fn a_base_connection_gets_its_credentials_before_it_is_published() {
    let world = World::new().await;
    assert_eq!(
        world.post("/connections", &s3()).await.status,
        400,
        "only drafts may lack them"
    );
    let path = draft(&world, "connections", &s3()).await;
    let refused = publish(&world, &path).await;
    assert_eq!(
        (refused.status, code(&refused)),
        (400, &json!("FIELD_INVALID")),
        "{}",
        refused.text
    );
    assert_eq!(world.get(&path).await.item()["state"], "draft");
    let early = json!([{"op": "replace", "path": "/auth/params", "value": keys()["params"]}]);
    let answer = patch(&world, &path, &early).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (400, &json!("PATCH_PATH_INVALID"))
    );
    let bad =
        json!([{"op": "add", "path": "/auth", "value": {"specName": "Password", "params": {}}}]);
    let answer = patch(&world, &path, &bad).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (400, &json!("AUTH_SPEC_UNKNOWN"))
    );
    let given = json!([{"op": "add", "path": "/auth", "value": keys()}]);
    assert_eq!(patch(&world, &path, &given).await.status, 200);
    let before = world.get(&path).await;
    assert_eq!(before.item()["auth"]["params"]["s3SecretKey"], "****");
    let published = publish(&world, &path).await;
    assert_eq!(published.status, 200, "{}", published.text);
    assert_ne!(published.etag(), before.item()["etag"].as_str().unwrap());
    let read = world.get(&path).await;
    assert_eq!(read.item()["state"], "enabled");
    assert_eq!(read.item()["etag"], published.etag());
    // As any other from now on.
    let whole = json!([{"op": "remove", "path": "/auth"}]);
    let answer = patch(&world, &path, &whole).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (400, &json!("PATCH_PATH_INVALID"))
    );
    let kept = json!([{"op": "replace", "path": "/auth/params/s3SecretKey", "value": "****"}]);
    assert_eq!(patch(&world, &path, &kept).await.status, 200);
}

#[tokio::test]
async fn a_source_connection_names_datasets_that_exist_before_it_is_published() {
    let world = World::new().await;
    let missing = "5ef3e3259ad2a1191ab7dd7d";
    assert_eq!(
        world
            .post("/sourceConnections", &source_of(missing))
            .await
            .status,
        400
    );
    let path = draft(&world, "sourceConnections", &source_of(missing)).await;
    let refused = publish(&world, &path).await;
    assert_eq!(
        (refused.status, code(&refused)),
        (400, &json!("DATASET_UNKNOWN"))
    );
    let (one, two) = (world.dataset("one").await, world.dataset("two").await);
    let chosen =
        json!([{"op": "replace", "path": "/params/datasets", "value": [{"dataSetId": one}]}]);
    assert_eq!(patch(&world, &path, &chosen).await.status, 200);
    let whole = json!([{"op": "replace", "path": "/params", "value": {"datasets": [{"dataSetId": one}, {"dataSetId": two}]}}]);
    assert_eq!(patch(&world, &path, &whole).await.status, 200);
    let none = json!([{"op": "replace", "path": "/params/datasets", "value": []}]);
    assert_eq!(patch(&world, &path, &none).await.status, 400);
    assert_eq!(publish(&world, &path).await.status, 200);
    let read = world.get(&path).await;
    let names = &read.item()["params"]["datasets"];
    assert_eq!(
        (&names[0]["name"], &names[1]["name"]),
        (&json!("one"), &json!("two"))
    );
    let answer = patch(&world, &path, &chosen).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (400, &json!("PATCH_PATH_INVALID"))
    );
}

#[tokio::test]
async fn a_target_connection_is_published_after_its_base_connection() {
    let world = World::new().await;
    assert_eq!(
        world
            .post("/targetConnections", &zone_target(NOWHERE))
            .await
            .status,
        400
    );
    let path = draft(&world, "targetConnections", &zone_target(NOWHERE)).await;
    let refused = publish(&world, &path).await;
    assert_eq!(
        (refused.status, code(&refused)),
        (400, &json!("CONNECTION_NOT_USABLE"))
    );
    let base = draft(&world, "connections", &json!({"name": "zone"})).await;
    let id = base.rsplit('/').next().unwrap();
    let answer = world.post("/targetConnections", &zone_target(id)).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (400, &json!("CONNECTION_NOT_USABLE")),
        "of a draft"
    );
    let moved = json!([{"op": "replace", "path": "/baseConnectionId", "value": id}]);
    assert_eq!(patch(&world, &path, &moved).await.status, 200);
    let refused = publish(&world, &path).await;
    assert!(
        refused.text.contains("is a draft; publish it first"),
        "{}",
        refused.text
    );
    assert_eq!(publish(&world, &base).await.status, 200);
    assert_eq!(publish(&world, &path).await.status, 200);
    assert_eq!(world.get(&path).await.item()["baseConnectionId"], id);
    let answer = patch(&world, &path, &moved).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (400, &json!("PATCH_PATH_INVALID"))
    );
    let other = draft(&world, "connections", &s3()).await;
    let wrong = draft(
        &world,
        "targetConnections",
        &zone_target(other.rsplit('/').next().unwrap()),
    )
    .await;
    assert_eq!(
        publish(&world, &wrong).await.status,
        400,
        "of another platform"
    );
}

#[tokio::test]
async fn a_flow_delivers_by_way_of_no_draft() {
    let world = World::new().await;
    let dataset = world.dataset("orders").await;
    let source = draft(&world, "sourceConnections", &source_of(&dataset)).await;
    let base = draft(&world, "connections", &json!({"name": "zone"})).await;
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let target = draft(&world, "targetConnections", &zone_target(&id(&base))).await;
    let body = json!({
        "name": "f", "flowSpec": {"id": LANDING_ZONE_FLOW, "version": "1.0"},
        "sourceConnectionIds": [id(&source)], "targetConnectionIds": [id(&target)],
        "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210}
    });
    let rows = world.rows().await;
    let refused = world.post("/flows", &body).await;
    assert_eq!(
        (refused.status, code(&refused)),
        (400, &json!("CONNECTION_NOT_USABLE")),
        "{}",
        refused.text
    );
    assert_eq!(world.rows().await, rows);
    let flow = draft(&world, "flows", &body).await;
    for path in [&source, &base, &target] {
        let refused = publish(&world, &flow).await;
        assert_eq!(refused.status, 400, "before {path}");
        assert!(
            refused.text.contains("is a draft; publish it first"),
            "{}",
            refused.text
        );
        assert_eq!(publish(&world, path).await.status, 200);
    }
    assert_eq!(publish(&world, &flow).await.status, 200);
    assert_eq!(world.get(&flow).await.item()["state"], "enabled");
}

#[tokio::test]
async fn publishing_is_all_that_can_be_done_to_a_connection_and_only_once() {
    let world = World::new().await;
    let dataset = world.dataset("orders").await;
    let base = world.landing_zone().await;
    for (collection, body) in [
        ("connections", json!({"name": "zone"})),
        ("sourceConnections", source_of(&dataset)),
        ("targetConnections", zone_target(&base)),
    ] {
        let path = draft(&world, collection, &body).await;
        for (query, refusal) in [
            ("", "QUERY_PARAMETER_MISSING"),
            ("?op=", "QUERY_PARAMETER_MISSING"),
            ("?op=enable", "ACTION_UNKNOWN"),
            ("?op=disable", "ACTION_UNKNOWN"),
        ] {
            let answer = world.act(&format!("{path}/action{query}")).await;
            assert_eq!(
                (answer.status, code(&answer)),
                (400, &json!(refusal)),
                "{collection} {query}"
            );
        }
        let stale = [("if-match", "\"stale\"")];
        let url = format!("{path}/action?op=PUBLISH");
        let answer = world.with_body("POST", &url, &stale, String::new()).await;
        assert_eq!(answer.status, 412, "{}", answer.text);
        let etag = world.get(&path).await.item()["etag"]
            .as_str()
            .unwrap()
            .to_owned();
        let fresh = [("if-match", etag.as_str())];
        let answer = world.with_body("POST", &url, &fresh, String::new()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let again = publish(&world, &path).await;
        assert_eq!(
            (again.status, code(&again)),
            (400, &json!("ACTION_NOT_ALLOWED"))
        );
        let unknown = world
            .act(&format!("/{collection}/{NOWHERE}/action?op=publish"))
            .await;
        assert_eq!(unknown.status, 404);
        let entry = world
            .get(&format!(
                "/offtake/v1/audit?id={}",
                path.rsplit('/').next().unwrap()
            ))
            .await;
        let newest = &entry.body["items"][0]["operation"];
        assert!(newest.as_str().unwrap().ends_with("/action"), "{newest}");
    }
}

#[tokio::test]
async fn drafts_are_found_by_their_state_renamed_and_deleted() {
    let world = World::new().await;
    let path = draft(&world, "connections", &json!({"name": "zone"})).await;
    world.landing_zone().await;
    let drafts = world.get("/connections?property=state==draft").await;
    assert_eq!(drafts.ids(), [path.rsplit('/').next().unwrap()]);
    assert_eq!(
        world
            .get("/connections?property=state==enabled")
            .await
            .ids()
            .len(),
        1
    );
    let count = world
        .get("/connections?count=true&property=state==DRAFT")
        .await;
    assert_eq!(count.body, json!({"count": 1}));
    let rename = json!([{"op": "replace", "path": "/name", "value": "new"}]);
    assert_eq!(patch(&world, &path, &rename).await.status, 200);
    let read = world.get(&path).await;
    assert_eq!(
        (&read.item()["name"], &read.item()["state"]),
        (&json!("new"), &json!("draft"))
    );
    assert_eq!(world.delete(&path).await.status, 202);
    assert_eq!(world.get(&path).await.status, 404);
    // Any other mode is nothing.
    let made = world
        .post(
            "/connections?mode=Server-to-server",
            &json!({"name": "zone"}),
        )
        .await;
    let read = world.get(&format!("/connections/{}", made.id())).await;
    assert_eq!(read.item()["state"], "enabled");
}
