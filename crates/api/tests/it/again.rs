//! Runs again and runs on demand (contract, 9, D2a and D2b).

use std::time::Duration;

use offtake_model::delivery::AbortThen;
use offtake_model::{ErrorCode, Fault, Transition};
use offtake_ports::{Applied, DeliveryJournal, DeliveryQueue};
use serde_json::{Value, json};

use crate::runs::succeed;
use crate::world::{Answer, NOW, World};

pub(crate) const ADHOC: &str = "/data/core/activation/disflowprovider/adhocrun";

fn code(answer: &Answer) -> &Value {
    &answer.body["report"]["additionalContext"]["code"]
}

/// Ends the one queued delivery badly.
pub(crate) async fn fail(world: &World) {
    let store = &world.store;
    let lease = store.claim("owner", Duration::from_mins(1)).await.unwrap();
    let lease = lease.unwrap();
    let fault = Fault::new(ErrorCode::DestinationFull, "no room");
    for transition in [
        Transition::StartAbort {
            then: AbortThen::Failed,
            fault,
        },
        Transition::FinishAbort,
    ] {
        let applied = store.apply(&lease, &transition).await.unwrap();
        assert_eq!(applied, Applied::Done);
    }
}

pub(crate) async fn dataset_of(world: &World, flow: &str) -> String {
    let read = world.get(&format!("/flows/{flow}")).await;
    let source = read.item()["sourceConnectionIds"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let read = world.get(&format!("/sourceConnections/{source}")).await;
    read.item()["params"]["datasets"][0]["dataSetId"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn wish(flow: &str, dataset: &str) -> Value {
    json!({"activationInfo": {"destinations": [{"flowId": flow, "datasets": [{"id": dataset}]}]}})
}

#[tokio::test]
async fn a_failed_run_is_triggered_again_for_what_it_left_undone() {
    let world = World::new().await;
    let flow = world.flow().await;
    let failed = world.post("/runs", &json!({"flowId": flow})).await.id();
    let action = format!("/runs/{failed}/action?op=re_trigger");
    let early = world.act(&action).await;
    assert_eq!(
        (early.status, code(&early)),
        (400, &json!("RUN_ACTION_NOT_ALLOWED"))
    );
    assert!(early.text.contains("1422"));
    fail(&world).await;
    world.clock.advance(Duration::from_mins(7));

    let answer = world.act(&action).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let again = answer.body["id"].as_str().unwrap().to_owned();
    assert_ne!(again, failed);
    let read = world.get(&format!("/runs/{again}")).await;
    let run = read.item();
    assert_eq!(run["occurrence"], NOW, "the occurrence is the failed run's");
    assert_eq!(
        (&run["kind"], &run["flowId"]),
        (&json!("now"), &json!(flow))
    );
    assert_eq!(run["activities"].as_array().unwrap().len(), 1);
    succeed(&world).await;
    let done = world
        .act(&format!("/runs/{again}/action?op=RE_TRIGGER"))
        .await;
    assert_eq!(done.status, 400, "{}", done.text);

    for (op, status, refusal) in [
        ("op=CANCEL", 400, "ACTION_UNKNOWN"),
        ("", 400, "QUERY_PARAMETER_MISSING"),
    ] {
        let answer = world.act(&format!("/runs/{failed}/action?{op}")).await;
        assert_eq!((answer.status, code(&answer)), (status, &json!(refusal)));
    }
    let missing = world
        .act("/runs/00000000-0000-0000-0000-000000000000/action?op=RE_TRIGGER")
        .await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn a_past_run_is_replayed_under_its_own_occurrence() {
    let world = World::new().await;
    let flow = world.flow().await;
    let past = world.post("/runs", &json!({"flowId": flow})).await.id();
    let body = json!({"flowId": flow, "params": {"replayOf": past}});
    world.refused("/runs", &body, 404, "REPLAY_UNKNOWN").await;
    succeed(&world).await;
    world.clock.advance(Duration::from_hours(5));
    let replay = world.post("/runs", &body).await.id();
    let read = world.get(&format!("/runs/{replay}")).await;
    assert_eq!(
        (&read.item()["kind"], &read.item()["occurrence"]),
        (&json!("replay"), &json!(NOW))
    );

    let both = json!({"flowId": flow, "params": {"replayOf": past, "full": true}});
    world.refused("/runs", &both, 400, "FIELD_INVALID").await;
    let nested = json!({"flowId": flow, "params": {"replayOf": replay}});
    world.refused("/runs", &nested, 400, "FIELD_INVALID").await;
    let unknown = json!({"flowId": flow, "params": {"replayOf": "x"}});
    world
        .refused("/runs", &unknown, 404, "REPLAY_UNKNOWN")
        .await;
}

#[tokio::test]
async fn an_export_on_demand_names_where_it_can_be_watched() {
    let world = World::new().await;
    let flow = world.flow().await;
    let dataset = dataset_of(&world, &flow).await;
    let more = [
        ("host", "offtake.example:8480"),
        (
            "accept",
            "application/vnd.adobe.adhoc.dataset.activation+json; version=1",
        ),
        ("idempotency-key", "k"),
    ];
    let body = wish(&flow, &dataset);
    let first = world
        .with_body("POST", ADHOC, &more, body.to_string())
        .await;
    assert_eq!(first.status, 200, "{}", first.text);
    let started = &first.body["destinations"][0]["datasets"][0];
    assert_eq!(
        (&started["id"], &started["flowId"]),
        (&json!(dataset), &json!(flow))
    );
    let url = started["statusURL"].as_str().unwrap();
    let path = url.strip_prefix("http://offtake.example:8480").unwrap();
    let run = world.get(path).await;
    assert_eq!(run.item()["kind"], "adhoc");

    let again = world
        .with_body("POST", ADHOC, &more, body.to_string())
        .await;
    assert_eq!(again.text, first.text, "the same key is the same run");
    let second = world.post(ADHOC, &body).await;
    assert_eq!((second.status, code(&second)), (400, &json!("RUN_ACTIVE")));
    assert!(
        second.body["message"]
            .as_str()
            .unwrap()
            .contains("a run already exists")
    );
}

#[tokio::test]
async fn an_export_on_demand_that_cannot_start_is_refused_whole() {
    let world = World::new().await;
    let flow = world.flow().await;
    let dataset = dataset_of(&world, &flow).await;
    let mut later = world.flow_body().await;
    later["scheduleParams"]["startTime"] = json!(NOW / 1000 + 3600);
    let later = world.post("/flows", &later).await.id();
    let later_dataset = dataset_of(&world, &later).await;
    let two = json!({"activationInfo": {"destinations": [
        {"flowId": flow, "datasets": [{"id": dataset}]},
        {"flowId": later, "datasets": [{"id": later_dataset}]}]}});
    let audience = json!({"activationInfo": {"2d4f…": ["segment"]}});
    for (body, status, refusal) in [
        (wish("missing", &dataset), 404, "RESOURCE_NOT_FOUND"),
        (
            wish(&flow, "000000000000000000000000"),
            400,
            "DATASET_NOT_IN_FLOW",
        ),
        (two, 400, "FLOW_STATE_INVALID"),
        (audience, 400, "MEDIA_TYPE_NOT_DATASET"),
        (json!({}), 400, "FIELD_INVALID"),
        (
            json!({"activationInfo": {"destinations": []}}),
            400,
            "FIELD_INVALID",
        ),
        (
            json!({"activationInfo": {"destinations": [{"flowId": flow, "datasets": []}]}}),
            400,
            "FIELD_INVALID",
        ),
    ] {
        world.refused(ADHOC, &body, status, refusal).await;
    }
    world.act(&format!("/flows/{flow}/action?op=disable")).await;
    world
        .refused(ADHOC, &wish(&flow, &dataset), 400, "FLOW_STATE_INVALID")
        .await;
}
