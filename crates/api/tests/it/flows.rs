//! Flows (contract, 4.10).

use std::time::Duration;

use serde_json::{Value, json};

use crate::connections::s3;
use crate::world::{Answer, DATA_LAKE, LANDING_ZONE, LANDING_ZONE_FLOW, NOW, S3, S3_FLOW, World};

fn changed(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

fn without(body: &Value, key: &str) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove(key);
    body
}

#[tokio::test]
async fn a_flow_is_made_enabled_and_due_at_once_when_its_start_has_passed() {
    let world = World::new().await;
    let body = world.flow_body().await;
    let made = world.post("/flows", &body).await;
    let id = made.id();
    let read = world.get(&format!("/flows/{id}")).await;
    assert_eq!(read.headers["etag"].to_str().unwrap(), made.etag());
    let source = body["sourceConnectionIds"][0].clone();
    let target = body["targetConnectionIds"][0].clone();
    let base = world.get("/connections").await.ids()[0].clone();
    let flow = read.item();
    let zone = json!({"id": LANDING_ZONE, "version": "1.0"});
    for (field, expected) in [
        ("name", json!("flow")),
        ("description", json!("")),
        ("state", json!("enabled")),
        ("createdAt", json!(NOW)),
        ("version", json!(made.etag())),
        ("etag", json!(made.etag())),
        (
            "flowSpec",
            json!({"id": LANDING_ZONE_FLOW, "version": "1.0"}),
        ),
        ("sourceConnectionIds", json!([source])),
        ("targetConnectionIds", json!([target])),
        ("transformations", json!([])),
        (
            "scheduleParams",
            json!({"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210}),
        ),
        ("runs", json!(format!("/runs?property=flowId=={id}"))),
        (
            "inheritedAttributes",
            json!({
                "properties": {"isDestinationFlow": true},
                "sourceConnections": [{"id": source, "connectionSpec": {"id": DATA_LAKE, "version": "1.0"}}],
                "targetConnections": [{
                    "id": target, "connectionSpec": zone,
                    "baseConnection": {"id": base, "connectionSpec": zone},
                    "data": {"outputType": "DATASET_EXPORT"}
                }]
            }),
        ),
        (
            "lastOperation",
            json!({
                "started": NOW, "updated": NOW, "percentCompleted": 100,
                "status": {"value": "completed", "properties": null, "errors": []},
                "ops": [], "operation": "create"
            }),
        ),
    ] {
        assert_eq!(flow[field], expected, "{field}");
    }
    assert!(flow.get("lastRunDetails").is_none());
    assert!(flow["nextRunAt"].as_i64().unwrap() <= NOW);
}

#[tokio::test]
async fn a_flow_that_starts_later_is_due_then() {
    let world = World::new().await;
    let start = NOW / 1000 + 600;
    let body = changed(
        &world.flow_body().await,
        "/scheduleParams/startTime",
        json!(start),
    );
    let id = world.post("/flows", &body).await.id();
    let read = world.get(&format!("/flows/{id}")).await;
    assert_eq!(read.item()["nextRunAt"], start * 1000);
}

#[tokio::test]
async fn the_known_client_s_spellings_are_accepted() {
    let world = World::new().await;
    let body = changed(
        &world.flow_body().await,
        "/scheduleParams",
        json!({
            "timeUnit": "day", "frequency": "hour", "interval": "1", "exportMode": "FIRST_FULL_THEN_INCREMENTAL",
            "startTime": 1_675_901_210, "endTime": NOW / 1000 + 9_000_000
        }),
    );
    let id = world.post("/flows", &body).await.id();
    let read = world.get(&format!("/flows/{id}")).await;
    assert_eq!(read.item()["scheduleParams"]["interval"], 1);
}

#[tokio::test]
async fn every_illegal_flow_is_refused_with_its_documented_number() {
    let world = World::new().await;
    let body = world.flow_body().await;
    let source = body["sourceConnectionIds"][0].clone();
    let target = body["targetConnectionIds"][0].clone();
    let nobody = json!(["00000000-0000-0000-0000-000000000000"]);
    let schedule = |params: Value| changed(&body, "/scheduleParams", params);
    let mut stateful = body.clone();
    stateful["state"] = json!("enabled");
    for (body, status, code) in [
        (stateful, 400, "STATE_NOT_ALLOWED"),
        (without(&body, "name"), 400, "FIELD_INVALID"),
        (without(&body, "flowSpec"), 400, "SPEC_NOT_VALID"),
        (
            changed(&body, "/flowSpec/id", json!(LANDING_ZONE)),
            400,
            "SPEC_NOT_VALID",
        ),
        (
            changed(&body, "/flowSpec", json!({"id": LANDING_ZONE_FLOW})),
            422,
            "SPEC_VERSION_MISSING",
        ),
        (
            changed(&body, "/flowSpec/id", json!(S3_FLOW)),
            400,
            "CONNECTION_NOT_USABLE",
        ),
        (
            changed(&body, "/sourceConnectionIds", nobody.clone()),
            400,
            "CONNECTION_NOT_USABLE",
        ),
        (
            changed(&body, "/sourceConnectionIds", json!([target])),
            400,
            "CONNECTION_NOT_USABLE",
        ),
        (
            changed(&body, "/targetConnectionIds", nobody),
            400,
            "CONNECTION_NOT_USABLE",
        ),
        (
            changed(&body, "/targetConnectionIds", json!([source])),
            400,
            "CONNECTION_NOT_USABLE",
        ),
        (
            changed(&body, "/sourceConnectionIds", json!([])),
            400,
            "FIELD_INVALID",
        ),
        (
            changed(&body, "/transformations", json!([{}])),
            400,
            "FIELD_INVALID",
        ),
        (without(&body, "scheduleParams"), 400, "FIELD_INVALID"),
        (
            schedule(json!({"interval": 5, "timeUnit": "hour", "startTime": 1})),
            400,
            "SCHEDULE_INVALID",
        ),
        (
            schedule(json!({"interval": 2, "timeUnit": "day", "startTime": 1})),
            400,
            "SCHEDULE_INVALID",
        ),
        (
            schedule(json!({"interval": 1, "timeUnit": "week", "startTime": 1})),
            400,
            "SCHEDULE_INVALID",
        ),
        (
            schedule(
                json!({"interval": 1, "timeUnit": "day", "startTime": 1, "exportMode": "DAILY_FULL_EXPORT"}),
            ),
            400,
            "SCHEDULE_INVALID",
        ),
    ] {
        world.refused("/flows", &body, status, code).await;
    }
    let millis = schedule(json!({"interval": 3, "timeUnit": "hour", "startTime": NOW}));
    let text = world.refused("/flows", &millis, 400, "FIELD_INVALID").await;
    assert!(text.contains("milliseconds"), "{text}");
}

#[tokio::test]
async fn a_flow_to_a_destination_that_this_build_lacks_is_refused() {
    let world = World::new().await;
    let base = world.post("/connections", &s3()).await.id();
    let target = world.post("/targetConnections", &json!({
        "name": "t", "baseConnectionId": base, "connectionSpec": {"id": S3, "version": "1.0"},
        "params": {"bucketName": "bucket", "path": "p", "compression": "NONE", "datasetFileType": "JSON"}
    })).await.id();
    let mut body = world.flow_body().await;
    body["flowSpec"]["id"] = json!(S3_FLOW);
    body["targetConnectionIds"] = json!([target]);
    let text = world
        .refused("/flows", &body, 422, "DESTINATION_NOT_AVAILABLE")
        .await;
    assert!(text.contains("Amazon S3"), "{text}");
}

#[tokio::test]
async fn a_flow_is_disabled_and_enabled_and_never_twice() {
    let world = World::new().await;
    let id = world.flow().await;
    let path = format!("/flows/{id}");
    let act = async |op: &str| world.act(&format!("{path}/action?op={op}")).await;

    let twice = act("enable").await;
    assert_eq!(twice.status, 400);
    assert_eq!(
        twice.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-1422-400"
    );

    world.clock.advance(Duration::from_secs(5));
    let disabled = act("disable").await;
    assert_eq!(
        (disabled.status, disabled.body["id"].as_str()),
        (200, Some(id.as_str()))
    );
    let read = world.get(&path).await;
    assert_eq!(read.item()["state"], "disabled");
    assert_eq!(read.item()["etag"], disabled.body["etag"]);
    assert_eq!(read.item()["updatedAt"], NOW + 5000);
    assert_eq!(read.item()["lastOperation"]["operation"], "disable");
    assert!(read.item().get("nextRunAt").is_none());
    assert_eq!(act("DISABLE").await.status, 400);

    assert_eq!(act("ENABLE").await.status, 200);
    let read = world.get(&path).await;
    assert_eq!(read.item()["state"], "enabled");
    assert!(read.item()["nextRunAt"].is_i64());
}

#[tokio::test]
async fn an_action_must_be_known_and_its_flow_too() {
    let world = World::new().await;
    let id = world.flow().await;
    let code = |answer: &Answer| answer.body["report"]["additionalContext"]["code"].clone();
    let unknown = world.act(&format!("/flows/{id}/action?op=explode")).await;
    assert_eq!(code(&unknown), "ACTION_UNKNOWN");
    let missing = world.act(&format!("/flows/{id}/action")).await;
    assert_eq!(code(&missing), "QUERY_PARAMETER_MISSING");
    let nobody = world
        .act("/flows/00000000-0000-0000-0000-000000000000/action?op=enable")
        .await;
    assert_eq!(
        nobody.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-1439-400"
    );
}

async fn patch(world: &World, id: &str, etag: Option<&str>, operations: &Value) -> Answer {
    let more: Vec<(&'static str, &str)> = etag.map(|etag| ("if-match", etag)).into_iter().collect();
    world
        .with_body(
            "PATCH",
            &format!("/flows/{id}"),
            &more,
            operations.to_string(),
        )
        .await
}

#[tokio::test]
async fn if_match_is_honoured_by_actions_and_required_by_patches() {
    let world = World::new().await;
    let id = world.flow().await;
    let etag = world.get(&format!("/flows/{id}")).await.item()["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    let stale = "\"00000009-0000-0200-0000-000000000000\"";

    let action = format!("/flows/{id}/action?op=disable");
    let answer = world
        .with_body("POST", &action, &[("if-match", stale)], "")
        .await;
    assert_eq!(answer.status, 412);
    let text =
        format!("Supplied version=[{stale}] does not match the current version on entity=[{etag}]");
    assert_eq!(answer.body["errorMessage"], text);
    assert_eq!(
        answer.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-1404-412"
    );

    let rename = json!([{"op": "replace", "path": "/name", "value": "new"}]);
    let answer = patch(&world, &id, None, &rename).await;
    assert_eq!(
        answer.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-1403-400"
    );
    assert_eq!(patch(&world, &id, Some(stale), &rename).await.status, 412);
    let bare = etag.trim_matches('"').to_owned();
    for given in [etag.as_str(), "*"] {
        let answer = patch(&world, &id, Some(given), &rename).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(patch(&world, &id, Some(&bare), &rename).await.status, 412);
}

#[tokio::test]
async fn a_patch_renames_and_reschedules_and_a_partial_schedule_keeps_the_rest() {
    let world = World::new().await;
    let id = world.flow().await;
    let start = NOW / 1000 + 1000;
    let operations = json!([
        {"op": "Replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/description", "value": "text"},
        {"op": "replace", "path": "/scheduleParams", "value": {"startTime": start}},
        {"op": "replace", "path": "/scheduleParams/interval", "value": 6}
    ]);
    let answer = patch(&world, &id, Some("*"), &operations).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let read = world.get(&format!("/flows/{id}")).await;
    let flow = read.item();
    assert_eq!(
        (&flow["name"], &flow["description"]),
        (&json!("new"), &json!("text"))
    );
    assert_eq!(
        flow["scheduleParams"],
        json!({"interval": 6, "timeUnit": "hour", "startTime": start})
    );
    assert_eq!(flow["nextRunAt"], start * 1000);
    assert_eq!(flow["lastOperation"]["operation"], "update");
    assert_eq!(flow["lastOperation"]["ops"], operations);
    assert_eq!(flow["etag"], answer.body["etag"]);
}

#[tokio::test]
async fn an_illegal_patch_changes_nothing() {
    let world = World::new().await;
    let id = world.flow().await;
    let before = world.get(&format!("/flows/{id}")).await.text;
    for (code, operations) in [
        ("FIELD_INVALID", json!({})),
        ("FIELD_INVALID", json!([])),
        (
            "FIELD_INVALID",
            json!([{"op": "replace", "path": "/name", "value": ""}]),
        ),
        ("FIELD_INVALID", json!([{"op": "remove", "path": "/name"}])),
        (
            "PATCH_OPERATION_INVALID",
            json!([{"op": "replace", "path": "/name"}]),
        ),
        (
            "PATCH_OPERATION_INVALID",
            json!([{"op": "move", "path": "/name", "value": "x"}]),
        ),
        (
            "PATCH_OPERATION_INVALID",
            json!([{"path": "/name", "value": "x"}]),
        ),
        (
            "PATCH_OPERATION_INVALID",
            json!([{"op": 1, "path": "/name", "value": "x"}]),
        ),
        ("PATCH_OPERATION_INVALID", json!(["replace"])),
        (
            "PATCH_PATH_INVALID",
            json!([{"op": "replace", "path": "/state", "value": "disabled"}]),
        ),
        (
            "PATCH_PATH_INVALID",
            json!([{"op": "replace", "path": "/id", "value": "x"}]),
        ),
        (
            "PATCH_PATH_INVALID",
            json!([{"op": "replace", "path": "name", "value": "x"}]),
        ),
        (
            "PATCH_PATH_INVALID",
            json!([{"op": "replace", "value": "x"}]),
        ),
        (
            "PATCH_PATH_INVALID",
            json!([{"op": "add", "path": "/transformations/0", "value": {}}]),
        ),
        (
            "PATCH_PATH_INVALID",
            json!([{"op": "remove", "path": "/scheduleParams"}]),
        ),
        (
            "PATCH_PATH_INVALID",
            json!([{"op": "replace", "path": "/name", "value": "x"}, {"op": "replace", "path": "/nowhere", "value": 1}]),
        ),
        (
            "SCHEDULE_INVALID",
            json!([{"op": "replace", "path": "/scheduleParams", "value": {"interval": 5}}]),
        ),
        (
            "CONNECTION_NOT_USABLE",
            json!([{"op": "replace", "path": "/sourceConnectionIds", "value": ["00000000-0000-0000-0000-000000000000"]}]),
        ),
    ] {
        let answer = patch(&world, &id, Some("*"), &operations).await;
        assert_eq!(answer.status, 400, "{operations}: {}", answer.text);
        let context = &answer.body["report"]["additionalContext"];
        assert_eq!(context["code"], code, "{operations}: {}", answer.text);
        assert_eq!(
            world.get(&format!("/flows/{id}")).await.text,
            before,
            "{operations}"
        );
    }
}

#[tokio::test]
async fn a_mode_other_than_draft_is_nothing() {
    let world = World::new().await;
    let body = world.flow_body().await;
    let id = world.post("/flows?mode=published", &body).await.id();
    let read = world.get(&format!("/flows/{id}")).await;
    assert_eq!(read.item()["state"], "enabled");
}

#[tokio::test]
async fn a_deleted_flow_is_gone_and_its_connections_stay() {
    let world = World::new().await;
    let id = world.flow().await;
    let answer = world.delete(&format!("/flows/{id}")).await;
    assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    assert_eq!(world.get(&format!("/flows/{id}")).await.status, 404);
    assert_eq!(world.delete(&format!("/flows/{id}")).await.status, 404);
    assert_eq!(world.get("/sourceConnections").await.ids().len(), 1);
    assert_eq!(world.get("/targetConnections").await.ids().len(), 1);
}
