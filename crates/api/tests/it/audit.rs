//! Every operation that changes something is written down, and only those.

use std::collections::BTreeMap;

use axum::body::Body;
use offtake_api::{Needs, operations};
use serde_json::{Value, json};

use crate::again::{ADHOC, dataset_of, fail, wish};
use crate::world::{Answer, LANDING_ZONE, World};

const AUDIT: &str = "/offtake/v1/audit";
const BATCHES: &str = "/data/foundation/import/batches";
const SANDBOXES: &str = "/data/foundation/sandbox-management/sandboxes";
const DATA_SETS: &str = "/data/foundation/catalog/dataSets";

/// Methods that change something by their nature, but not here: searches, and writes that are always refused.
const CHANGE_NOTHING: [&str; 8] = [
    "POST /offtake/v1/folder-previews",
    "POST /connections/search",
    "POST /flows/search",
    "PUT /runs/{id}",
    "POST /connectionSpecs",
    "PUT /connectionSpecs/{id}",
    "POST /flowSpecs",
    "PUT /flowSpecs/{id}",
];

/// Works only on a restored store; the end-to-end tests look for its entry.
const AFTER_A_RESTORE: &str = "POST /offtake/v1/held-flows/{id}/reconcile";

/// A trial writes at the destination.
const TRIAL: &str = "GET /connections/{id}/test";

async fn newest(world: &World) -> u64 {
    let answer = world.get(&format!("{AUDIT}?limit=1")).await;
    let first = answer.item()["id"].as_str();
    first.unwrap().parse().unwrap()
}

/// A request that works, for each operation that changes something.
async fn request(world: &World, operation: &str) -> (String, Value, Vec<(&'static str, String)>) {
    let etag = |answer: Answer| {
        vec![(
            "if-match",
            answer.item()["etag"].as_str().unwrap().to_owned(),
        )]
    };
    let rename = json!([{"op": "replace", "path": "/name", "value": "other"}]);
    let plain = |path: String, body: Value| (path, body, Vec::new());
    let edit = async |path: String| {
        let read = world.get(&path).await;
        (path, rename.clone(), etag(read))
    };
    let batch = async || {
        let made = world.post(DATA_SETS, &json!({"name": "managed"})).await;
        let dataset = made.body[0]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let body = json!({"datasetId": dataset, "inputFormat": {"format": "json"}});
        let made = world.post(BATCHES, &body).await;
        let id = made.body["id"].as_str().unwrap().to_owned();
        (
            id.clone(),
            format!("{BATCHES}/{id}/datasets/{dataset}/files/a.json"),
        )
    };
    let named = json!({"name": "it"});
    match operation {
        "POST /connections" => plain("/connections".to_owned(), named),
        "PATCH /connections/{id}" => {
            edit(format!("/connections/{}", world.landing_zone().await)).await
        }
        "DELETE /connections/{id}" | "GET /connections/{id}/test" => {
            let test = if operation.ends_with("test") {
                "/test"
            } else {
                ""
            };
            plain(
                format!("/connections/{}{test}", world.landing_zone().await),
                Value::Null,
            )
        }
        "POST /sourceConnections" => {
            let dataset = world.dataset("orders").await;
            let spec = json!({"id": crate::world::DATA_LAKE, "version": "1.0"});
            let params = json!({"datasets": [{"dataSetId": dataset}]});
            let body = json!({"name": "source", "connectionSpec": spec, "params": params});
            plain("/sourceConnections".to_owned(), body)
        }
        "PATCH /sourceConnections/{id}" => {
            edit(format!("/sourceConnections/{}", world.source().await)).await
        }
        "DELETE /sourceConnections/{id}" => plain(
            format!("/sourceConnections/{}", world.source().await),
            Value::Null,
        ),
        "POST /targetConnections" => {
            let base = world.landing_zone().await;
            let params = json!({"mode": "Server-to-server", "path": "out", "compression": "gzip",
                                "datasetFileType": "parquet"});
            let body = json!({"name": "target", "baseConnectionId": base, "params": params,
                              "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"}});
            plain("/targetConnections".to_owned(), body)
        }
        "PATCH /targetConnections/{id}" => {
            edit(format!(
                "/targetConnections/{}",
                world.landing_target().await
            ))
            .await
        }
        "DELETE /targetConnections/{id}" => plain(
            format!("/targetConnections/{}", world.landing_target().await),
            Value::Null,
        ),
        "POST /flows" => plain("/flows".to_owned(), world.flow_body().await),
        "PATCH /flows/{id}" => edit(format!("/flows/{}", world.flow().await)).await,
        "DELETE /flows/{id}" => plain(format!("/flows/{}", world.flow().await), Value::Null),
        "POST /flows/{id}/action" => plain(
            format!("/flows/{}/action?op=disable", world.flow().await),
            Value::Null,
        ),
        "POST /connections/{id}/action" => {
            let made = world.post("/connections?mode=draft", &named).await;
            plain(
                format!("/connections/{}/action?op=publish", made.id()),
                Value::Null,
            )
        }
        "POST /sourceConnections/{id}/action" => {
            let dataset = world.dataset("orders").await;
            let spec = json!({"id": crate::world::DATA_LAKE, "version": "1.0"});
            let params = json!({"datasets": [{"dataSetId": dataset}]});
            let body = json!({"name": "source", "connectionSpec": spec, "params": params});
            let made = world.post("/sourceConnections?mode=draft", &body).await;
            plain(
                format!("/sourceConnections/{}/action?op=publish", made.id()),
                Value::Null,
            )
        }
        "POST /targetConnections/{id}/action" => {
            let base = world.landing_zone().await;
            let params =
                json!({"path": "out", "compression": "GZIP", "datasetFileType": "PARQUET"});
            let body = json!({"name": "target", "baseConnectionId": base, "params": params,
                              "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"}});
            let made = world.post("/targetConnections?mode=draft", &body).await;
            plain(
                format!("/targetConnections/{}/action?op=publish", made.id()),
                Value::Null,
            )
        }
        "POST /runs" => plain("/runs".to_owned(), json!({"flowId": world.flow().await})),
        "POST /data/core/activation/disflowprovider/adhocrun" => {
            let flow = world.flow().await;
            let dataset = dataset_of(world, &flow).await;
            plain(ADHOC.to_owned(), wish(&flow, &dataset))
        }
        "POST /data/foundation/catalog/dataSets" => plain(DATA_SETS.to_owned(), named),
        "PUT /data/foundation/catalog/dataSets/{id}"
        | "PATCH /data/foundation/catalog/dataSets/{id}" => plain(
            format!("{DATA_SETS}/{}", world.dataset("orders").await),
            named,
        ),
        "PATCH /data/foundation/catalog/v2/dataSets/{id}" => plain(
            format!(
                "/data/foundation/catalog/v2/dataSets/{}",
                world.dataset("orders").await
            ),
            rename,
        ),
        "DELETE /data/foundation/catalog/dataSets/{id}" => plain(
            format!("{DATA_SETS}/{}", world.dataset("orders").await),
            Value::Null,
        ),
        "POST /data/foundation/import/batches" => {
            let made = world.post(DATA_SETS, &json!({"name": "managed"})).await;
            let dataset = made.body[0].as_str().unwrap().rsplit('/').next().unwrap();
            plain(
                BATCHES.to_owned(),
                json!({"datasetId": dataset, "inputFormat": {"format": "json"}}),
            )
        }
        "POST /data/foundation/import/batches/{id}" => plain(
            format!("{BATCHES}/{}?action=ABORT", batch().await.0),
            Value::Null,
        ),
        "POST /data/foundation/import/batches/{batch}/datasets/{dataset}/files/{*file}" => plain(
            format!("{}?action=INITIALIZE", batch().await.1),
            Value::Null,
        ),
        "PUT /data/foundation/import/batches/{batch}/datasets/{dataset}/files/{*file}" => {
            let octets = vec![("content-type", "application/octet-stream".to_owned())];
            (batch().await.1, json!({"a": 1}), octets)
        }
        "PATCH /data/foundation/import/batches/{batch}/datasets/{dataset}/files/{*file}" => {
            let path = batch().await.1;
            world.act(&format!("{path}?action=INITIALIZE")).await;
            let octets = ("content-type", "application/octet-stream".to_owned());
            (
                path,
                json!({"a": 1}),
                vec![octets, ("content-range", "bytes 0-6/7".to_owned())],
            )
        }
        "POST /data/foundation/sandbox-management/sandboxes" => {
            plain(SANDBOXES.to_owned(), json!({"name": "dev"}))
        }
        "POST /data/foundation/connectors/landingzone/credentials" => plain(
            format!("{}?type=dlz_destination&action=refresh", &operation[5..]),
            Value::Null,
        ),
        "POST /offtake/v1/organisations" => plain(operation[5..].to_owned(), named),
        "PATCH /offtake/v1/organisations/{id}" => plain(
            format!("/offtake/v1/organisations/{}", world.first.org),
            json!({"quotas": {"flows": 9}}),
        ),
        "POST /offtake/v1/keys/rotate" | "POST /offtake/v1/keys/retire" => {
            plain(operation[5..].to_owned(), Value::Null)
        }
        "POST /offtake/v1/clients" => plain(
            operation[5..].to_owned(),
            json!({"name": "c", "roles": [{"role": "viewer"}]}),
        ),
        "PATCH /offtake/v1/clients/{id}" | "POST /offtake/v1/clients/{id}/secret" => {
            let body = json!({"name": "c", "roles": [{"role": "viewer"}]});
            let id = world.post("/offtake/v1/clients", &body).await.id();
            let path = format!("/offtake/v1/clients/{id}");
            if operation.ends_with("/secret") {
                plain(format!("{path}/secret"), Value::Null)
            } else {
                plain(path, json!({"enabled": false}))
            }
        }
        "POST /runs/{id}/action" => {
            let run = world
                .post("/runs", &json!({"flowId": world.flow().await}))
                .await
                .id();
            fail(world).await;
            plain(format!("/runs/{run}/action?op=re_trigger"), Value::Null)
        }
        other => panic!("{other} changes something: give this test a request that works"),
    }
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_an_entry() {
    let mut seen = 0;
    for operation in operations() {
        let short = operation.path.replace(crate::world::FLOW_SERVICE, "");
        let name = format!("{} {short}", operation.method);
        let reads = matches!(operation.method, "GET" | "HEAD") && name != TRIAL;
        let reads = reads || name == AFTER_A_RESTORE;
        if operation.needs == Needs::Nothing || reads || CHANGE_NOTHING.contains(&name.as_str()) {
            continue;
        }
        let world = World::new().await;
        let (path, body, more) = request(&world, &name).await;
        let before = newest(&world).await;
        let more: Vec<_> = more
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = world.with_body(operation.method, &path, &more, text).await;
        assert!(
            (200..300).contains(&answer.status),
            "{name}: {} {}",
            answer.status,
            answer.text
        );
        let after = world.get(&format!("{AUDIT}?limit=1")).await;
        let entry = after.item();
        assert!(
            entry["id"].as_str().unwrap().parse::<u64>().unwrap() > before,
            "{name} left no entry"
        );
        assert_eq!(
            entry["operation"],
            format!("{} {}", operation.method, operation.path),
            "{name}"
        );
        assert_eq!(entry["client"], world.first.client.to_string());
        seen += 1;
    }
    assert!(seen >= 28, "only {seen} operations change something");
}

#[tokio::test]
async fn an_entry_tells_what_became_of_what() {
    let world = World::new().await;
    let id = world.landing_zone().await;
    let path = format!("/connections/{id}");
    let etag = world.get(&path).await.item()["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    let rename = json!([{"op": "replace", "path": "/name", "value": "other"}]).to_string();
    let changed = world
        .with_body("PATCH", &path, &[("if-match", &etag)], rename.clone())
        .await;
    assert_eq!(changed.status, 200);
    let stale = world
        .with_body("PATCH", &path, &[("if-match", &etag)], rename)
        .await;
    assert_eq!(stale.status, 412, "a refused change leaves no entry");
    assert_eq!(world.delete(&path).await.status, 202);

    let found = world.get(&format!("{AUDIT}?id={id}")).await;
    let entries = found.body["items"].as_array().unwrap();
    let digests: Vec<_> = entries
        .iter()
        .map(|it| (it["before"].as_str(), it["after"].as_str()))
        .collect();
    let [(last, None), (first, Some(after)), (None, Some(made))] = digests[..] else {
        panic!("{digests:?}");
    };
    assert_eq!((last, first), (Some(after), Some(made)));
    assert_ne!(made, after);
    assert_eq!(entries[0]["collection"], "connections");
}

#[tokio::test]
async fn the_log_is_filtered_and_paged() {
    let world = World::new().await;
    for _ in 0..5 {
        world.landing_zone().await;
    }
    let mut path = format!("{AUDIT}?collection=connections&limit=2");
    let mut sizes = Vec::new();
    loop {
        let page = world.get(&path).await;
        sizes.push(page.body["items"].as_array().unwrap().len());
        match page.body["_links"]["next"]["href"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    let now = world.service.now().0;
    for (query, count) in [
        (format!("client={}&limit=100", world.first.client), 5),
        ("client=nobody".to_owned(), 0),
        ("sandbox=dev".to_owned(), 0),
        (format!("createdAfter={}", now + 1), 0),
        (format!("createdBefore={now}"), 0),
        (format!("createdAfter={now}&collection=connections"), 5),
    ] {
        let answer = world.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!(
            answer.body["items"].as_array().unwrap().len(),
            count,
            "{query}: {}",
            answer.text
        );
    }
    for wrong in [
        "limit=0",
        "limit=101",
        "createdAfter=x",
        "continuationToken=x",
        "user=y",
    ] {
        assert_eq!(
            world.get(&format!("{AUDIT}?{wrong}")).await.status,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn an_organisation_reads_its_own_log_only() {
    let world = World::new().await;
    world.landing_zone().await;
    let made = world
        .post("/offtake/v1/organisations", &json!({"name": "Other"}))
        .await;
    let text = |key: &str| made.body[key].as_str().unwrap().to_owned();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        text("clientId"),
        text("clientSecret")
    );
    let token = world.post_form("/ims/token/v3", &form).await;
    let headers = BTreeMap::from([
        (
            "authorization",
            format!("Bearer {}", token.body["access_token"].as_str().unwrap()),
        ),
        ("x-api-key", text("clientId")),
        ("x-gw-ims-org-id", text("id")),
    ]);
    let theirs = world.call("GET", AUDIT, &headers, Body::empty()).await;
    assert_eq!(theirs.status, 200, "{}", theirs.text);
    assert_eq!(theirs.body["items"], json!([]));
}
