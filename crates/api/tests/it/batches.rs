//! Batches through the documented requests: made, filled, promoted, looked at, taken back.

use axum::body::Body;
use serde_json::{Value, json};

use crate::world::{Answer, DATASETS, World};

const BATCHES: &str = "/data/foundation/import/batches";
const CATALOG: &str = "/data/foundation/catalog";

async fn managed(world: &World, body: Value) -> String {
    let answer = world.post(DATASETS, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let reference = answer.body[0].as_str().unwrap();
    reference.rsplit('/').next().unwrap().to_owned()
}

async fn batch(world: &World, dataset: &str) -> String {
    let body =
        json!({"datasetId": dataset, "inputFormat": {"format": "JSON"}, "tags": {"a": ["b"]}});
    world.post(BATCHES, &body).await.id()
}

async fn put(world: &World, batch: &str, dataset: &str, text: &str) -> Answer {
    let path = format!("{BATCHES}/{batch}/datasets/{dataset}/files/a/b.json");
    let mut headers = world.headers();
    headers.insert("content-type", "application/octet-stream".to_owned());
    world
        .call("PUT", &path, &headers, Body::from(text.to_owned()))
        .await
}

async fn ingested(world: &World, dataset: &str, text: &str) -> String {
    let id = batch(world, dataset).await;
    assert_eq!(put(world, &id, dataset, text).await.status, 201);
    let answer = world.act(&format!("{BATCHES}/{id}?action=COMPLETE")).await;
    assert_eq!(answer.body["status"], "loaded", "{}", answer.text);
    assert!(world.service.promote_next().await.unwrap());
    assert!(!world.service.promote_next().await.unwrap());
    id
}

#[tokio::test]
async fn a_batch_goes_its_documented_way_and_the_dataset_names_it() {
    let world = World::new().await;
    let dataset = managed(&world, json!({"name": "Orders"})).await;
    let first = ingested(&world, &dataset, "{\"id\":1}\n").await;
    let bad = ingested(&world, &dataset, "{\"id\":\"x\"}\n").await;
    let seen = world.get(&format!("{CATALOG}/dataSets/{dataset}")).await;
    let seen = &seen.body[&dataset];
    assert_eq!(seen["lastBatchId"], json!(bad));
    assert_eq!(seen["lastBatchStatus"], "failed");
    assert_eq!(seen["lastSuccessfulBatch"], json!(first));
    let listed = world
        .get(&format!(
            "{CATALOG}/batches?dataSet={dataset}&status=failed"
        ))
        .await;
    assert_eq!(listed.body.as_object().unwrap().len(), 1);
    assert_eq!(listed.body[&bad]["metrics"]["failedRecordCount"], 1);
    assert_eq!(listed.body[&bad]["errors"][0]["rows"][0]["line"], 1);
    let refused = world.act(&format!("{BATCHES}/{bad}?action=REVERT")).await;
    assert_eq!(
        refused.body["report"]["additionalContext"]["code"],
        "BATCH_STATE_INVALID"
    );
    let reverted = world.act(&format!("{BATCHES}/{first}?action=REVERT")).await;
    assert_eq!(reverted.body["status"], "inactive", "{}", reverted.text);
    let files = world
        .get(&format!("/data/foundation/export/batches/{first}/files"))
        .await;
    assert_eq!(files.body["data"], json!([]));
}

#[tokio::test]
async fn a_promotion_that_was_interrupted_is_taken_up_again() {
    let world = World::new().await;
    let dataset = managed(&world, json!({"name": "Orders"})).await;
    let id = batch(&world, &dataset).await;
    put(&world, &id, &dataset, "{\"id\":1}").await;
    world.act(&format!("{BATCHES}/{id}?action=COMPLETE")).await;
    // As a service leaves it that is killed after its commit and before it wrote that down.
    let tenant = world.tenant();
    let name = offtake_model::BatchId(id.clone());
    let stored = || offtake_ports::BatchStore::get(&world.store, &tenant, &name);
    let before = stored().await.unwrap().unwrap();
    assert!(world.service.promote_next().await.unwrap());
    let after = stored().await.unwrap().unwrap();
    let mut torn = after.clone();
    torn.state = offtake_model::BatchState::Staging;
    torn.details = before.details.clone();
    torn.details.attempts = 1;
    let replaced =
        offtake_ports::BatchStore::replace(&world.store, &torn, after.revision, None).await;
    assert_eq!(replaced.unwrap(), offtake_ports::Replaced::Done);
    assert!(world.service.promote_next().await.unwrap());
    let again = stored().await.unwrap().unwrap();
    assert_eq!(again.state, offtake_model::BatchState::Success);
    assert_eq!(again.details.version, after.details.version);
}

#[tokio::test]
async fn another_tenants_batches_do_not_exist() {
    let world = World::new().await;
    let dataset = managed(&world, json!({"name": "Orders"})).await;
    let id = ingested(&world, &dataset, "{\"id\":1}").await;
    let mut elsewhere = world.tenant();
    elsewhere.sandbox = offtake_model::SandboxName("dev".to_owned());
    let name = offtake_model::BatchId(id);
    let found = offtake_ports::BatchStore::get(&world.store, &elsewhere, &name).await;
    assert_eq!(found.unwrap(), None);
    let query = offtake_model::batch::BatchQuery::default();
    let page = offtake_ports::PageRequest {
        limit: 10,
        after: None,
        offset: 0,
    };
    let listed = offtake_ports::BatchStore::list(&world.store, &elsewhere, &query, &page).await;
    assert!(listed.unwrap().items.is_empty());
}

#[tokio::test]
async fn datasets_are_filtered_as_documented() {
    let world = World::new().await;
    let tagged = json!({"name": "A", "tags": {"k": ["v", "w"]}, "description": "first", "schemaRef": {"id": "s"}});
    let one = managed(&world, tagged).await;
    let two = managed(&world, json!({"name": "B", "tags": {"k": ["x"]}})).await;
    for (query, expected) in [
        ("tags=k:v", vec![&one]),
        ("tags=k:*", vec![&one, &two]),
        ("tags=k:v,k:x", vec![]),
        ("description=first,second", vec![&one]),
        ("description=!first", vec![&two]),
        ("schemaRef.id=s", vec![&one]),
        ("property=description", vec![&one]),
        ("property=!description", vec![&two]),
        ("property=name==B", vec![&two]),
        ("property=name~^[Bb]$", vec![&two]),
        ("property=!name~^B", vec![&one]),
        ("property=tags.k~v|x", vec![&one, &two]),
        ("property=tags.k~^v$&property=name~A", vec![&one]),
        ("property=missing~.", vec![]),
        ("createdAfter=1&createdBefore=2", vec![]),
        ("createdAfter=1&requestDataSource=False", vec![&one, &two]),
    ] {
        let answer = world.get(&format!("{DATASETS}?{query}")).await;
        let found: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found, expected, "{query}: {}", answer.text);
    }
    for query in [
        "tags=k",
        "createdAfter=x",
        "limit=0",
        "property=name~(",
        "property=name~",
        "property=!name~(?=x)",
    ] {
        assert_eq!(
            world.get(&format!("{DATASETS}?{query}")).await.status,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn datasets_are_merged_patched_replaced_and_deleted() {
    let world = World::new().await;
    let id = managed(
        &world,
        json!({"name": "A", "tags": {"k": ["v"]}, "description": "old"}),
    )
    .await;
    let path = format!("{DATASETS}/{id}");
    let v2 = format!("{CATALOG}/v2/dataSets/{id}");
    let ttl = r#"{"description":null,"extensions":{"adobe_lakeHouse":{"rowExpiration":{"ttlValue":"P3M"}}}}"#;
    let merged = world.with_body("PATCH", &v2, &[], ttl).await;
    assert_eq!(
        merged.body,
        json!([format!("@/dataSets/{id}")]),
        "{}",
        merged.text
    );
    let operations = r#"[{"op":"add","path":"/tags/unifiedProfile","value":["enabled:true"]}]"#;
    let kind = [("content-type", "application/json-patch+json")];
    assert_eq!(
        world
            .with_body("PATCH", &path, &kind, operations)
            .await
            .status,
        200
    );
    let seen = world.get(&path).await.body[&id].clone();
    assert_eq!(seen["tags"]["unifiedProfile"], json!(["enabled:true"]));
    assert_eq!(seen["tags"]["k"], json!(["v"]));
    assert_eq!(
        seen["extensions"]["adobe_lakeHouse"]["rowExpiration"]["ttlValue"],
        "P3M"
    );
    assert_eq!(seen["description"], Value::Null);
    assert_eq!(seen["version"], "1.0.2");
    let stale = world
        .with_body("PUT", &path, &[("if-match", "\"0\"")], r#"{"name":"B"}"#)
        .await;
    assert_eq!(stale.status, 412);
    assert_eq!(
        world
            .with_body("PUT", &path, &[], r#"{"name":"B"}"#)
            .await
            .status,
        200
    );
    let moved = world
        .with_body("PATCH", &path, &[], r#"{"location":"lake://default/x"}"#)
        .await;
    assert_eq!(moved.status, 400);
    assert_eq!(
        world.delete(&path).await.body,
        json!([format!("@/dataSets/{id}")])
    );
    let gone = world.get(&path).await;
    assert_eq!(
        (gone.status, gone.body["status"].clone()),
        (404, json!(404))
    );
}
