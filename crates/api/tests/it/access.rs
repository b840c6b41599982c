//! What each operation needs, and that a caller without it gets nothing (contract, 11).

use std::collections::BTreeSet;

use axum::body::Body;
use offtake_api::{Needs, operations};
use offtake_model::{Role, RoleBinding, SandboxName};
use offtake_ports::IdentityStore;
use serde_json::json;

use crate::world::{S3, World};

/// What everybody may ask.
const OPEN: [(&str, &str); 4] = [
    ("POST", "/ims/token/v3"),
    ("POST", "/ims/token/v2"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
];

async fn become_(world: &World, roles: Vec<RoleBinding>) {
    let mut client = world.client().await;
    client.roles = roles;
    world.store.replace_client(&client).await.unwrap();
}

fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "prod" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn only_tokens_and_health_need_nothing() {
    let open: Vec<(&str, String)> = operations()
        .into_iter()
        .filter(|it| it.needs == Needs::Nothing)
        .map(|it| (it.method, it.path))
        .collect();
    let open: BTreeSet<(&str, &str)> = open.iter().map(|(m, p)| (*m, p.as_str())).collect();
    assert_eq!(open, BTreeSet::from(OPEN));
}

#[tokio::test]
async fn a_caller_without_the_permission_gets_403_from_every_operation() {
    let world = World::new().await;
    let operations = operations();
    assert!(operations.len() >= 35);
    for role in [
        None,
        Some(Role::Viewer),
        Some(Role::Exporter),
        Some(Role::Ingestor),
    ] {
        become_(
            &world,
            role.map(RoleBinding::everywhere).into_iter().collect(),
        )
        .await;
        let granted = role.map_or(&[][..], Role::permissions);
        for operation in &operations {
            let Needs::AnyOf(needed) = operation.needs else {
                continue;
            };
            let allowed = needed.iter().any(|it| granted.contains(it));
            let answer = world
                .call(
                    operation.method,
                    &filled(&operation.path),
                    &world.headers(),
                    Body::empty(),
                )
                .await;
            let refused = answer.status == 403;
            assert_eq!(refused, !allowed, "{role:?} {operation:?}: {}", answer.text);
            if refused {
                let problem = &answer.body["report"]["additionalContext"];
                assert_eq!(problem["code"], "PERMISSION_MISSING");
                assert!(answer.text.contains("2118-403"));
                assert!(answer.text.contains(needed[0].name()));
            }
        }
    }
}

#[tokio::test]
async fn a_role_holds_in_its_own_sandbox_only() {
    let world = World::new().await;
    let binding = |name: &str| RoleBinding {
        sandbox: Some(SandboxName(name.to_owned())),
        role: Role::Viewer,
    };
    become_(&world, vec![binding("dev")]).await;
    assert_eq!(world.get("/flows").await.status, 403);
    become_(&world, vec![binding("prod")]).await;
    assert_eq!(world.get("/flows").await.status, 200);
}

#[tokio::test]
async fn the_exporter_can_do_the_documented_tutorial_and_no_more() {
    let world = World::new().await;
    let dataset = world.dataset("orders").await;
    become_(&world, vec![RoleBinding::everywhere(Role::Exporter)]).await;
    let configs = "/connectionSpecs/23598e46-f560-407b-88d5-ea6207e49db0/configs?outputType=activationDatasets&outputField=datasets";
    assert_eq!(world.get(configs).await.status, 200);
    let base = world.landing_zone().await;
    assert!(!base.is_empty());
    let source = json!({
        "name": "s", "connectionSpec": {"id": crate::world::DATA_LAKE, "version": "1.0"},
        "params": {"datasets": [{"dataSetId": dataset}]}
    });
    let source = world.post("/sourceConnections", &source).await.id();
    let target = world.landing_target().await;
    let flow = json!({
        "name": "f", "flowSpec": {"id": crate::world::LANDING_ZONE_FLOW, "version": "1.0"},
        "sourceConnectionIds": [source], "targetConnectionIds": [target], "transformations": [],
        "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210}
    });
    let flow = world.post("/flows", &flow).await.id();
    assert_eq!(
        world
            .get(&format!("/runs?property=flowId=={flow}"))
            .await
            .status,
        200
    );
    assert_eq!(
        world.delete(&format!("/connections/{base}")).await.status,
        403
    );
    let body = json!({"name": "x", "location": "lake://default/x"});
    assert_eq!(world.post(crate::world::DATASETS, &body).await.status, 403);
    let s3 = json!({"name": "b", "connectionSpec": {"id": S3, "version": "1.0"}});
    assert_eq!(
        world.post("/connections", &s3).await.status,
        400,
        "allowed, and wrong"
    );
}
