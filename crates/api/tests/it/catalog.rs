//! Datasets (contract, 10.1 and D10).

use serde_json::{Value, json};

use crate::world::{DATASETS, NOW, World};

fn orders() -> Value {
    json!({
        "name": "Orders",
        "description": "all of them",
        "schemaRef": {"id": "https://ns.example.com/schemas/orders", "contentType": "application/vnd.adobe.xed+json;version=1"},
        "fileDescription": {"persisted": true, "containerFormat": "parquet", "format": "parquet"},
        "tags": {"adobe/pqs/table": ["orders"]},
        "location": "lake://default/sales/orders"
    })
}

#[tokio::test]
async fn a_dataset_is_made_read_and_listed_keyed_by_its_id() {
    let world = World::new().await;
    let made = world
        .post(&format!("{DATASETS}?requestDataSource=False"), &orders())
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let reference = made.body[0].as_str().unwrap();
    let id = reference.strip_prefix("@/dataSets/").unwrap();
    assert_eq!(id.len(), 24);
    assert_eq!(made.headers["location"], format!("{DATASETS}/{id}"));

    let read = world.get(&format!("{DATASETS}/{id}")).await;
    let sandbox = world
        .get("/data/foundation/sandbox-management/sandboxes/prod")
        .await;
    let client = world.first.client.to_string();
    let mut expected = orders();
    let more = json!({
        "imsOrg": world.first.org.to_string(), "sandboxId": sandbox.body["id"], "version": "1.0.0",
        "created": NOW, "updated": NOW, "createdClient": client, "createdUser": client, "updatedUser": client,
        "aspect": "production", "state": "DRAFT", "files": format!("@/dataSetFiles?dataSetId={id}"), "viewId": id,
        "classification": {"dataBehavior": "record", "managedBy": "CUSTOMER"}
    });
    expected
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    assert_eq!(read.body, json!({ id: expected }));
    assert_eq!(world.get(DATASETS).await.body, read.body);
}

#[tokio::test]
async fn a_dataset_without_a_table_tag_is_read_with_one_made_of_its_name() {
    let world = World::new().await;
    let body = json!({
        "name": "Web Orders-2026", "location": "lake://default/x", "tags": {"team": ["sales"]}
    });
    let id = world.post(DATASETS, &body).await.body[0]
        .as_str()
        .unwrap()
        .replace("@/dataSets/", "");
    let tags = json!({"team": ["sales"], "adobe/pqs/table": ["web_orders_2026"]});
    assert_eq!(world.get(DATASETS).await.body[&id]["tags"], tags);
    let read = world.get(&format!("{DATASETS}/{id}")).await;
    assert_eq!(read.body[&id]["tags"], tags);
}

#[tokio::test]
async fn a_missing_dataset_is_404_in_the_body_too() {
    let world = World::new().await;
    let answer = world
        .get(&format!("{DATASETS}/5ef3e3259ad2a1191ab7dd7d"))
        .await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body["status"], 404);
}

#[tokio::test]
async fn the_list_pages_by_offset_filters_by_name_and_projects() {
    let world = World::new().await;
    assert_eq!(world.get(DATASETS).await.body, json!({}));
    for name in ["a1", "a2", "b1"] {
        world.dataset(name).await;
    }
    let names = async |query: &str| {
        let answer = world.get(&format!("{DATASETS}?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut names: Vec<String> = answer
            .body
            .as_object()
            .unwrap()
            .values()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("name=a*").await, ["a1", "a2"]);
    assert_eq!(names("name=!a1,a2").await, ["b1"]);
    assert_eq!(names("orderBy=desc:name&limit=1").await, ["b1"]);
    assert_eq!(names("orderBy=asc:name&limit=1&start=1").await, ["a2"]);
    assert!(names("start=3").await.is_empty());
    let projected = world
        .get(&format!("{DATASETS}?name=a1&properties=name,state"))
        .await;
    let only = projected.body.as_object().unwrap().values().next().unwrap();
    assert_eq!(*only, json!({"name": "a1", "state": "DRAFT"}));
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "start=x",
        "orderBy=asc:tags",
        "orderBy=up:name",
    ] {
        assert_eq!(
            world.get(&format!("{DATASETS}?{query}")).await.status,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_dataset_that_cannot_be_exported_is_refused_and_leaves_no_row() {
    let world = World::new().await;
    let with = |change: Value| {
        let mut body = orders();
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        body
    };
    for (body, status, code) in [
        (
            json!({"location": "lake://default/x"}),
            400,
            "FIELD_INVALID",
        ),
        (with(json!({"name": 1})), 400, "FIELD_INVALID"),
        (with(json!({"location": ""})), 400, "FIELD_INVALID"),
        (
            with(json!({"location": "/etc/passwd"})),
            400,
            "LOCATION_NOT_ALLOWED",
        ),
        (
            with(json!({"location": "lake://default/../x"})),
            400,
            "LOCATION_NOT_ALLOWED",
        ),
        (
            with(json!({"location": "lake://other/x"})),
            400,
            "LOCATION_NOT_ALLOWED",
        ),
        (
            with(json!({"location": "lake://default/missing"})),
            404,
            "SOURCE_NOT_FOUND",
        ),
    ] {
        world.refused(DATASETS, &body, status, code).await;
    }
}

#[tokio::test]
async fn what_the_catalogue_says_itself_cannot_be_overwritten() {
    let world = World::new().await;
    let body = json!({
        "name": "x", "location": "lake://default/x",
        "id": "forged", "imsOrg": "forged", "created": 1, "version": "9.9.9", "anything": {"else": true}
    });
    let id = world.post(DATASETS, &body).await.body[0]
        .as_str()
        .unwrap()
        .replace("@/dataSets/", "");
    let read = world.get(&format!("{DATASETS}/{id}")).await;
    assert!(!read.text.contains("forged"));
    assert_eq!(read.body[&id]["created"], NOW);
    assert_eq!(read.body[&id]["version"], "1.0.0");
    assert_eq!(read.body[&id]["anything"], json!({"else": true}));
}

#[tokio::test]
async fn a_request_that_is_only_to_be_checked_changes_nothing() {
    let world = World::new().await;
    let id = world.dataset("kept").await;
    let one = format!("{DATASETS}/{id}");
    let before = world.get(DATASETS).await.body;
    let rows = world.rows().await;
    let check = async |method: &'static str, path: &str, body: &Value| {
        let pragma = [("pragma", "no-cache, Validate-Only")];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        world.with_body(method, path, &pragma, body).await
    };
    let named = json!([format!("@/dataSets/{id}")]);
    let operations =
        json!([{"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled:true"]}]);
    for (method, path, body, answered) in [
        ("POST", DATASETS, orders(), json!([])),
        ("POST", DATASETS, json!({"name": "managed"}), json!([])),
        (
            "PUT",
            one.as_str(),
            json!({"name": "renamed"}),
            named.clone(),
        ),
        (
            "PATCH",
            one.as_str(),
            json!({"name": "renamed"}),
            named.clone(),
        ),
        ("PATCH", one.as_str(), operations, named.clone()),
        ("DELETE", one.as_str(), Value::Null, named),
    ] {
        let answer = check(method, path, &body).await;
        assert_eq!(
            (answer.status, &answer.body),
            (200, &answered),
            "{method} {body}: {}",
            answer.text
        );
    }
    for (method, path, body, status) in [
        ("POST", DATASETS, json!({"description": "no name"}), 400),
        (
            "POST",
            DATASETS,
            json!({"name": "x", "location": "/etc"}),
            400,
        ),
        (
            "POST",
            DATASETS,
            json!({"name": "x", "location": "lake://default/missing"}),
            404,
        ),
        ("PUT", one.as_str(), json!({"name": 7}), 400),
        (
            "PATCH",
            one.as_str(),
            json!({"location": "lake://default/other"}),
            400,
        ),
        (
            "PATCH",
            "/data/foundation/catalog/dataSets/unknown",
            json!({"name": "x"}),
            404,
        ),
        (
            "DELETE",
            "/data/foundation/catalog/dataSets/unknown",
            Value::Null,
            404,
        ),
    ] {
        let answer = check(method, path, &body).await;
        assert_eq!(answer.status, status, "{method} {body}: {}", answer.text);
    }
    let stale = [("pragma", "validate-only"), ("if-match", "\"stale\"")];
    let renamed = json!({"name": "renamed"}).to_string();
    let answer = world.with_body("PATCH", &one, &stale, renamed).await;
    assert_eq!(answer.status, 412, "{}", answer.text);
    assert_eq!(world.get(DATASETS).await.body, before);
    assert_eq!(world.rows().await, rows, "nor is anything written down");
    // Any other pragma is no such wish.
    let cached = [("pragma", "no-cache")];
    let renamed = json!({"name": "renamed"}).to_string();
    assert_eq!(
        world
            .with_body("PATCH", &one, &cached, renamed)
            .await
            .status,
        200
    );
    assert_eq!(world.get(DATASETS).await.body[&id]["name"], "renamed");
}
