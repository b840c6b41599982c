//! Lists that the store selects: what it leaves out is what the filter would have left out.

use std::time::Duration;

use offtake_model::delivery::AbortThen;
use offtake_model::{ErrorCode, Fault, Transition};
use offtake_ports::{Applied, DeliveryJournal, DeliveryQueue};
use serde_json::{Value, json};

use crate::world::World;

/// Runs of a flow each: failed, cancelled, under way and waiting; a second apart.
async fn runs(world: &World) {
    for ends in [Some(AbortThen::Failed), Some(AbortThen::Cancelled), None] {
        world.clock.advance(Duration::from_secs(1));
        let flow = world.flow().await;
        world.post("/runs", &json!({"flowId": flow})).await.id();
        world.clock.advance(Duration::from_secs(1));
        let store = &world.store;
        let lease = store
            .claim("owner", Duration::from_mins(1))
            .await
            .unwrap()
            .unwrap();
        let Some(then) = ends else {
            continue;
        };
        let fault = Fault::new(ErrorCode::DestinationFull, "no room");
        for transition in [
            Transition::StartAbort { then, fault },
            Transition::FinishAbort,
        ] {
            assert_eq!(
                store.apply(&lease, &transition).await.unwrap(),
                Applied::Done
            );
        }
    }
    world.clock.advance(Duration::from_secs(1));
    let flow = world.flow().await;
    world.post("/runs", &json!({"flowId": flow})).await.id();
}

async fn all(world: &World, path: &str) -> Vec<Value> {
    let answer = world.get(&format!("{path}?limit=100")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["items"].as_array().unwrap().clone()
}

/// Asks for those whose value at the pointer is this one, in pages of one, and for how many they are.
async fn check(world: &World, path: &str, all: &[Value], field: &str) {
    let pointer = format!("/{}", field.replace('.', "/"));
    for value in all.iter().filter_map(|item| item.pointer(&pointer)) {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let expected: Vec<&Value> = all
            .iter()
            .filter(|item| item.pointer(&pointer) == Some(value))
            .map(|item| &item["id"])
            .collect();
        let question = format!("{path}?property={field}=={text}");
        let count = world.get(&format!("{question}&count=true")).await;
        assert_eq!(count.body["count"], json!(expected.len()), "{question}");
        let mut found = Vec::new();
        let mut page = world.get(&format!("{question}&limit=1")).await;
        loop {
            found.extend(page.ids());
            let Some(next) = page.body["_links"]["next"]["href"].as_str() else {
                break;
            };
            page = world.get(&format!("{next}&limit=1")).await;
        }
        assert_eq!(json!(found), json!(expected), "{question}");
    }
}

#[tokio::test]
async fn runs_are_selected_by_what_they_show() {
    let world = World::new().await;
    runs(&world).await;
    let all = all(&world, "/runs").await;
    let words: Vec<&Value> = all
        .iter()
        .map(|it| &it["metrics"]["statusSummary"]["status"])
        .collect();
    assert_eq!(
        json!(words),
        json!(["waiting", "processing", "failed", "failed"])
    );
    for field in [
        "flowId",
        "metrics.statusSummary.status",
        "flowSpec.id",
        "createdAt",
        "metrics.durationSummary.startedAtUTC",
    ] {
        check(&world, "/runs", &all, field).await;
    }
    let failed = world
        .get("/runs?property=metrics.statusSummary.status==FAILED")
        .await;
    assert_eq!(failed.ids().len(), 2, "in either case");
    let started = &all[1]["metrics"]["durationSummary"]["startedAtUTC"];
    let both = format!(
        "/runs?property=metrics.durationSummary.startedAtUTC>={started}&property=createdAt<{}",
        all[0]["createdAt"]
    );
    assert_eq!(json!(world.get(&both).await.ids()), json!([all[1]["id"]]));
    let nothing = world.get("/runs?property=flowId==nonsense").await;
    assert!(nothing.ids().is_empty());
}

#[tokio::test]
async fn resources_are_selected_by_what_they_show() {
    let world = World::new().await;
    for name in ["a", "b", "a"] {
        world.clock.advance(Duration::from_secs(1));
        let mut body = world.flow_body().await;
        body["name"] = json!(name);
        let id = world.post("/flows", &body).await.id();
        if name == "b" {
            assert_eq!(
                world
                    .act(&format!("/flows/{id}/action?op=disable"))
                    .await
                    .status,
                200
            );
        }
    }
    for (path, fields) in [
        ("/flows", &["name", "state", "flowSpec.id", "createdAt"][..]),
        ("/connections", &["name", "connectionSpec.id", "createdAt"]),
        ("/sourceConnections", &["name", "connectionSpec.id"]),
        ("/targetConnections", &["name", "connectionSpec.id"]),
    ] {
        let all = all(&world, path).await;
        assert_eq!(all.len(), 3, "{path}");
        for field in fields {
            check(&world, path, &all, field).await;
        }
    }
}
