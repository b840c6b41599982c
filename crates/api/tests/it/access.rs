//! What each operation needs, and that a caller without it gets nothing (contract, 11).

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use offtake_api::{Needs, operations};
use offtake_model::{Actor, Role, RoleBinding, SandboxName};
use offtake_ports::IdentityStore;
use serde_json::json;

use crate::world::{Answer, S3, World};

/// What everybody may ask.
const OPEN: [(&str, &str); 7] = [
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("POST", "/ims/token/v3"),
    ("POST", "/ims/token/v2"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
];

async fn become_(world: &World, roles: Vec<RoleBinding>) {
    let mut client = world.client().await;
    client.roles = roles;
    world
        .store
        .replace_client(&client, &Actor::service(world.tenant(), "test"))
        .await
        .unwrap();
}

fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "prod" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn only_tokens_health_and_the_document_need_nothing() {
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
            // An answer to HEAD has no body.
            if refused && operation.method != "HEAD" {
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

pub(crate) async fn as_client(
    world: &World,
    id: &str,
    secret: &str,
) -> BTreeMap<&'static str, String> {
    let form =
        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=openid");
    let answer = world.post_form("/ims/token/v3", &form).await;
    let token = answer.body["access_token"].as_str().unwrap_or_default();
    let mut headers = world.headers();
    headers.insert("authorization", format!("Bearer {token}"));
    headers.insert("x-api-key", id.to_owned());
    headers.insert("content-type", "application/json".to_owned());
    headers
}

fn secret_of(answer: &Answer) -> (String, String) {
    assert!(answer.status < 300, "{}", answer.text);
    let text = |key: &str| answer.body[key].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

#[tokio::test]
async fn clients_are_made_changed_rotated_and_disabled() {
    let world = World::new().await;
    let body = json!({"name": "partner", "roles": [{"role": "viewer"}]});
    let (id, secret) = secret_of(&world.post("/offtake/v1/clients", &body).await);
    let headers = as_client(&world, &id, &secret).await;
    let flows = format!("{}/flows", crate::world::FLOW_SERVICE);
    let ask = async |headers: &BTreeMap<&'static str, String>| {
        world
            .call("GET", &flows, headers, Body::empty())
            .await
            .status
    };
    assert_eq!(ask(&headers).await, 200);
    let listed = world.get("/offtake/v1/clients").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains(&secret) && !listed.text.contains("secret"));

    let (_, fresh) = secret_of(&world.act(&format!("/offtake/v1/clients/{id}/secret")).await);
    assert_ne!(fresh, secret);
    assert_eq!(
        ask(&as_client(&world, &id, &secret).await).await,
        401,
        "the old secret has ended"
    );
    let headers = as_client(&world, &id, &fresh).await;
    assert_eq!(ask(&headers).await, 200);

    let path = format!("/offtake/v1/clients/{id}");
    let off = world
        .with_body("PATCH", &path, &[], json!({"enabled": false}).to_string())
        .await;
    assert_eq!(off.body["enabled"], false, "{}", off.text);
    assert_eq!(ask(&headers).await, 403, "its token ends with it");
}

#[tokio::test]
async fn nobody_hands_out_more_than_they_have_or_changes_themselves() {
    let world = World::new().await;
    let body = json!({"name": "admin", "roles": [{"role": "admin"}]});
    let (id, secret) = secret_of(&world.post("/offtake/v1/clients", &body).await);
    let headers = as_client(&world, &id, &secret).await;
    let first = world.first.client.to_string();
    let operator = json!({"name": "x", "roles": [{"role": "operator"}]});
    for (method, path, body, status) in [
        ("POST", "/offtake/v1/clients".to_owned(), operator, 403),
        (
            "POST",
            "/offtake/v1/organisations".to_owned(),
            json!({"name": "x"}),
            403,
        ),
        (
            "POST",
            format!("/offtake/v1/clients/{first}/secret"),
            json!({}),
            403,
        ),
        (
            "PATCH",
            format!("/offtake/v1/clients/{first}"),
            json!({"enabled": false}),
            403,
        ),
        (
            "PATCH",
            format!("/offtake/v1/clients/{id}"),
            json!({"roles": [{"role": "viewer"}]}),
            400,
        ),
        (
            "PATCH",
            "/offtake/v1/clients/unknown".to_owned(),
            json!({"enabled": false}),
            404,
        ),
        (
            "POST",
            "/offtake/v1/clients".to_owned(),
            json!({"name": "x", "roles": []}),
            400,
        ),
        (
            "POST",
            "/offtake/v1/clients".to_owned(),
            json!({"name": "x", "roles": [{"role": "king"}]}),
            400,
        ),
        (
            "POST",
            "/offtake/v1/clients".to_owned(),
            json!({"name": "x", "roles": [{"role": "viewer", "sandbox": "none"}]}),
            404,
        ),
    ] {
        let answer = world
            .call(method, &path, &headers, Body::from(body.to_string()))
            .await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn organisations_and_sandboxes_see_nothing_of_each_other() {
    let world = World::new().await;
    let flow = world.flow().await;
    let made = world
        .post("/offtake/v1/organisations", &json!({"name": "Other"}))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |key: &str| made.body[key].as_str().unwrap().to_owned();
    let mut headers = as_client(&world, &text("clientId"), &text("clientSecret")).await;
    headers.insert("x-gw-ims-org-id", text("id"));
    let one = format!("{}/flows/{flow}", crate::world::FLOW_SERVICE);
    let theirs = world.call("GET", &one, &headers, Body::empty()).await;
    let missing = one.replace(&flow, "00000000-0000-0000-0000-000000000000");
    let missing = world.call("GET", &missing, &headers, Body::empty()).await;
    assert_eq!(theirs.status, 404);
    assert_eq!(
        theirs.text.replace(&flow, ""),
        missing
            .text
            .replace("00000000-0000-0000-0000-000000000000", "")
    );

    let dev = json!({"name": "dev", "title": "Development"});
    let path = "/data/foundation/sandbox-management/sandboxes";
    let made = world.post(path, &dev).await;
    assert_eq!(
        (made.status, &made.body["type"]),
        (201, &json!("development"))
    );
    assert_eq!(world.post(path, &dev).await.status, 409);
    for wrong in ["", "Dev", "-a", "a/b", "1a"] {
        assert_eq!(
            world.post(path, &json!({"name": wrong})).await.status,
            400,
            "{wrong}"
        );
    }
    let listed = world.get(path).await;
    assert_eq!(listed.body["_page"]["count"], 2, "{}", listed.text);
    let mut headers = world.headers();
    headers.insert("x-sandbox-name", "dev".to_owned());
    let there = world.call("GET", &one, &headers, Body::empty()).await;
    assert_eq!(there.status, 404);
}
