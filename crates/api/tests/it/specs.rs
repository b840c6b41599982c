//! Connection and flow specs (contract, 4.5 and 5).

use serde_json::json;

use crate::world::{DATA_LAKE, LANDING_ZONE, LANDING_ZONE_FLOW, World};

#[tokio::test]
async fn all_seven_connection_specs_and_six_flow_specs_are_listed() {
    let world = World::new().await;
    let connections = world.get("/connectionSpecs").await;
    assert_eq!(connections.ids().len(), 7);
    assert_eq!(connections.body["_links"], json!({}));
    let names: Vec<&str> = connections.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|spec| spec["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"activation-datalake"));
    assert_eq!(world.get("/flowSpecs").await.ids().len(), 6);
}

#[tokio::test]
async fn a_spec_is_read_by_id_with_or_without_a_trailing_slash() {
    let world = World::new().await;
    for path in [
        format!("/connectionSpecs/{LANDING_ZONE}"),
        format!("/connectionSpecs/{LANDING_ZONE}/"),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.item()["name"], "Data Landing Zone");
        assert_eq!(answer.item()["authSpec"], json!([]));
        assert_eq!(answer.item()["encryptionSpecs"], json!([]));
    }
    let flow = world.get(&format!("/flowSpecs/{LANDING_ZONE_FLOW}")).await;
    assert_eq!(
        flow.item()["targetConnectionSpecIds"],
        json!([LANDING_ZONE])
    );
}

#[tokio::test]
async fn specs_can_be_filtered_by_name() {
    let world = World::new().await;
    for query in ["name==Amazon S3", "name=\"Amazon S3\""] {
        let answer = world
            .get(&format!("/connectionSpecs?property={query}"))
            .await;
        assert_eq!(answer.ids(), ["4fce964d-3f37-408f-9778-e597338a21ee"]);
    }
}

#[tokio::test]
async fn an_unknown_spec_is_not_found() {
    let world = World::new().await;
    let id = "4890fc95-5a1f-4983-94bb-e060c08e3f81";
    for collection in ["connectionSpecs", "flowSpecs"] {
        let answer = world.get(&format!("/{collection}/{id}")).await;
        let text = format!("{collection} not found with id = [{id}]");
        assert_eq!(answer.status, 404);
        assert_eq!(answer.body["errorMessage"], text);
        assert_eq!(answer.body["errorDetails"], text);
    }
}

#[tokio::test]
async fn specs_are_read_only() {
    let world = World::new().await;
    for collection in ["connectionSpecs", "flowSpecs"] {
        let posted = world.post(&format!("/{collection}"), &json!({})).await;
        let put = world
            .with_body("PUT", &format!("/{collection}/{DATA_LAKE}"), &[], "{}")
            .await;
        for answer in [posted, put] {
            assert_eq!(answer.status, 400);
            assert_eq!(
                answer.body["type"],
                "http://ns.adobe.com/aep/errors/FLOW-1426-400"
            );
        }
    }
}

#[tokio::test]
async fn exportable_datasets_are_paged_by_offset_for_every_spec() {
    let world = World::new().await;
    for ordinal in 0..5 {
        world.dataset(&format!("d{ordinal}")).await;
    }
    let query = "configs?outputType=activationDatasets&outputField=datasets";
    let specs = world.get("/connectionSpecs").await.ids();
    for spec in specs {
        let answer = world.get(&format!("/connectionSpecs/{spec}/{query}")).await;
        assert_eq!(answer.ids().len(), 5);
        let expected = json!({"start": 0, "end": 4, "total": 5, "hasNext": false});
        assert_eq!(answer.body["pageInfo"], expected);
    }
    let base = format!("/connectionSpecs/{DATA_LAKE}/{query}");
    let page = world
        .get(&format!("{base}&start=2&limit=2&properties=name,state"))
        .await;
    assert_eq!(page.ids().len(), 2);
    assert_eq!(
        page.body["pageInfo"],
        json!({"start": 2, "end": 3, "total": 5, "hasNext": true})
    );
    let beyond = world.get(&format!("{base}&start=9")).await;
    assert_eq!(
        beyond.body["pageInfo"],
        json!({"start": 9, "end": 9, "total": 5, "hasNext": false})
    );
    let item = page.item();
    for field in ["name", "fileDescription", "aspect", "state"] {
        assert!(!item[field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn exportable_datasets_need_both_output_parameters() {
    let world = World::new().await;
    let base = format!("/connectionSpecs/{DATA_LAKE}/configs");
    for (query, code) in [
        ("", "QUERY_PARAMETER_MISSING"),
        ("?outputType=activationDatasets", "QUERY_PARAMETER_MISSING"),
        ("?outputField=datasets", "QUERY_PARAMETER_MISSING"),
        (
            "?outputType=x&outputField=datasets",
            "QUERY_PARAMETER_MISSING",
        ),
        (
            "?outputType=activationDatasets&outputField=datasets&limit=0",
            "PAGE_INVALID",
        ),
        (
            "?outputType=activationDatasets&outputField=datasets&limit=101",
            "PAGE_INVALID",
        ),
        (
            "?outputType=activationDatasets&outputField=datasets&start=-1",
            "PAGE_INVALID",
        ),
    ] {
        let answer = world.get(&format!("{base}{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(
            answer.body["report"]["additionalContext"]["code"], code,
            "{query}"
        );
    }
}
