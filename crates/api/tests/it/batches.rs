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

const EXPORT: &str = "/data/foundation/export";

/// Names and lengths of what a listing of meta files shows.
async fn meta(world: &World, batch: &str, path: &str) -> Vec<(String, String)> {
    let answer = world
        .get(&format!("{EXPORT}/batches/{batch}/meta{path}"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let entries = answer.body["data"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries
        .map(|entry| (text(&entry["name"]), text(&entry["length"])))
        .collect()
}

fn listed(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = entries.iter();
    owned
        .map(|(name, length)| ((*name).to_owned(), (*length).to_owned()))
        .collect()
}

#[tokio::test]
async fn what_is_remembered_of_a_batch_can_be_listed_and_read() {
    let world = World::new().await;
    let dataset = managed(&world, json!({"name": "Orders"})).await;
    let good = batch(&world, &dataset).await;
    assert_eq!(meta(&world, &good, "").await, [], "nothing was sent yet");
    put(&world, &good, &dataset, "{\"id\":1}\n").await;
    let files = listed(&[("input_files_0.json", "36")]);
    let top = listed(&[("input_files", "0")]);
    assert_eq!(meta(&world, &good, "").await, top, "while it takes files");
    assert_eq!(meta(&world, &good, "?path=input_files").await, files);
    world
        .act(&format!("{BATCHES}/{good}?action=COMPLETE"))
        .await;
    assert!(world.service.promote_next().await.unwrap());
    assert_eq!(
        meta(&world, &good, "").await,
        top,
        "and after its uploads went"
    );
    assert_eq!(meta(&world, &good, "?path=input_files/").await, files);

    let bad = ingested(&world, &dataset, "{\"id\":2}\n{\"id\":\"x\"}\n").await;
    let names: Vec<String> = meta(&world, &bad, "")
        .await
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(
        names,
        ["input_files", "row_errors", "row_errors_sample.json"]
    );
    let folder = world
        .get(&format!("{EXPORT}/batches/{bad}/meta?path=row_errors"))
        .await;
    let href = folder.body["data"][0]["_links"]["self"]["href"]
        .as_str()
        .unwrap();
    for path in [
        href.to_owned(),
        format!("{EXPORT}/batches/{bad}/meta?path=row_errors_sample.json"),
    ] {
        let file = world.get(&path).await;
        assert_eq!(file.headers["content-type"], "application/x-ndjson");
        let row: Value = serde_json::from_str(file.text.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&row["file"], &row["line"]),
            (&json!("a/b.json"), &json!(2))
        );
        assert_eq!(file.text.lines().count(), 1);
    }
    let length: usize = folder.body["data"][0]["length"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(length, world.get(href).await.text.len());
    for path in [
        "row_errors/x",
        "x",
        "input_files/row_errors_0.json",
        "row_errors/../input_files",
    ] {
        let answer = world
            .get(&format!("{EXPORT}/batches/{bad}/meta?path={path}"))
            .await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
}

async fn previewed(world: &World, batch: &str, dataset: &str, query: &str) -> Answer {
    let path = format!("{BATCHES}/{batch}/datasets/{dataset}/preview{query}");
    world.get(&path).await
}

#[tokio::test]
async fn uploads_can_be_looked_at_before_they_are_completed() {
    let world = World::new().await;
    let dataset = managed(&world, json!({"name": "Orders"})).await;
    let id = batch(&world, &dataset).await;
    let nothing = previewed(&world, &id, &dataset, "").await;
    let empty = json!({"formatParams": {}, "preview": {"columns": [], "rows": []}});
    assert_eq!((nothing.status, nothing.body), (200, empty));
    let rows: Vec<String> = (0..20).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    put(&world, &id, &dataset, &rows.concat()).await;
    for (query, count) in [
        ("", 5),
        ("?nrow=1", 1),
        ("?nrow=9&delimiter=;&header=True", 9),
    ] {
        let answer = previewed(&world, &id, &dataset, query).await;
        let shown = answer.body["preview"]["rows"].as_array().unwrap();
        assert_eq!(shown.len(), count, "{query}: {}", answer.text);
        assert_eq!(shown[0], json!({"id": 0}));
    }
    for query in ["?nrow=0", "?nrow=10", "?nrow=x"] {
        assert_eq!(
            previewed(&world, &id, &dataset, query).await.status,
            400,
            "{query}"
        );
    }
    assert_eq!(
        previewed(&world, &id, "5ef3e3259ad2a1191ab7dd7d", "")
            .await
            .status,
        404
    );
    assert_eq!(previewed(&world, "none", &dataset, "").await.status, 404);
    world.act(&format!("{BATCHES}/{id}?action=COMPLETE")).await;
    assert_eq!(
        previewed(&world, &id, &dataset, "").await.status,
        200,
        "still there"
    );
    assert!(world.service.promote_next().await.unwrap());
    let gone = previewed(&world, &id, &dataset, "").await;
    assert_eq!(gone.status, 400, "{}", gone.text);
    assert!(gone.text.contains("BATCH_STATE_INVALID"));
}

#[tokio::test]
async fn a_preview_of_csv_tries_other_options_than_the_batchs() {
    let world = World::new().await;
    let dataset = managed(&world, json!({"name": "Orders"})).await;
    let body = json!({"datasetId": dataset, "inputFormat": {"format": "csv", "delimiter": ";"}});
    let id = world.post(BATCHES, &body).await.id();
    put(&world, &id, &dataset, "n;name\n1;'a,b'\n2;\"x;y\"\n").await;
    let rows = async |query: &str| {
        let answer = previewed(&world, &id, &dataset, query).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let preview = answer.body["preview"].clone();
        (
            preview["columns"].clone(),
            preview["rows"].clone(),
            answer.body["formatParams"].clone(),
        )
    };
    let (columns, shown, options) = rows("").await;
    assert_eq!(columns, json!(["n", "name"]));
    assert_eq!(
        shown,
        json!([{"n": "1", "name": "'a,b'"}, {"n": "2", "name": "x;y"}])
    );
    assert_eq!(options, json!({"delimiter": ";", "header": true}));
    let (columns, shown, options) = rows("?delimiter=,&quote=%27&header=false&nrow=1").await;
    assert_eq!(columns, json!(["_c0"]));
    assert_eq!(shown, json!([{"_c0": "n;name"}]));
    assert_eq!(
        options,
        json!({"delimiter": ",", "quote": "'", "header": false})
    );
    for query in [
        "?delimiter=ab",
        "?charset=klingon",
        "?header=maybe",
        "?delimiter=;&quote=;",
    ] {
        let answer = previewed(&world, &id, &dataset, query).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(answer.text.contains("INPUT_FORMAT_INVALID"), "{query}");
    }
    let listed = json!({
        "datasetId": dataset, "inputFormat": {"format": "csv", "header": ["a", "b"]}
    });
    let id = world.post(BATCHES, &listed).await.id();
    put(&world, &id, &dataset, "1,2,3\n").await;
    let answer = previewed(&world, &id, &dataset, "").await;
    assert_eq!(
        answer.body["preview"]["rows"],
        json!([{"a": "1", "b": "2", "_c2": "3"}])
    );
}
