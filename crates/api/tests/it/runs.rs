//! Runs on demand, and what is shown of them (contract, 4.11 and 8).

use std::time::Duration;

use offtake_model::change::Position;
use offtake_model::delivery::{AbortThen, CursorMove};
use offtake_model::plan::PlanMode;
use offtake_model::{
    Attempt, AttemptId, AttemptTag, DeliveryRecord, ErrorCode, ExportPlan, Fault, Lease,
    PlannedTask, RunMetrics, Schema, SealedFile, StageHandle, StageToken, Transition, Winner,
};
use offtake_ports::{Applied, DeliveryJournal, DeliveryQueue, Recorded};
use serde_json::json;

use crate::world::{LANDING_ZONE_FLOW, NOW, World};

#[tokio::test]
async fn a_run_on_demand_waits_with_every_documented_metric() {
    let world = World::new().await;
    let flow = world.flow().await;
    let made = world
        .post("/runs", &json!({"flowId": flow, "status": "active"}))
        .await;
    let id = made.id();
    let read = world.get(&format!("/runs/{id}")).await;
    assert_eq!(read.headers["etag"].to_str().unwrap(), made.etag());
    let run = read.item();
    let source = world.get("/sourceConnections").await;
    let dataset = &source.item()["params"]["datasets"][0]["dataSetId"];
    let entity = format!("dataSet:{}", dataset.as_str().unwrap());
    let source = source.ids().remove(0);
    let target = world.get("/targetConnections").await.ids().remove(0);
    let activity = run["activities"][0]["id"].clone();
    assert_eq!(run["flowId"], flow);
    assert_eq!(
        run["flowSpec"],
        json!({"id": LANDING_ZONE_FLOW, "version": "1.0"})
    );
    assert_eq!(run["createdAt"], NOW);
    assert_eq!(run["createdClient"], world.first.client.to_string());
    assert_eq!(run["providerRefId"].as_str().unwrap().len(), 32);
    assert_eq!(
        (&run["kind"], &run["occurrence"]),
        (&json!("now"), &json!(NOW))
    );
    assert!(run.get("state").is_none() && run.get("version").is_none());
    assert_eq!(
        run["metrics"],
        json!({
            "durationSummary": {},
            "latencySummary": {},
            "sizeSummary": {"inputBytes": 0, "outputBytes": 0},
            "recordSummary": {
                "inputRecordCount": 0, "createdRecordCount": 0, "outputRecordCount": 0, "skippedRecordCount": 0,
                "failedRecordCount": 0,
                "sourceSummaries": [{"id": source, "inputRecordCount": 0, "skippedRecordCount": 0,
                    "entitySummaries": [{"id": entity, "inputRecordCount": 0, "skippedRecordCount": 0}]}],
                "targetSummaries": [{"id": target, "createdRecordCount": 0, "outputRecordCount": 0,
                    "entitySummaries": [{"id": entity, "createdRecordCount": 0, "outputRecordCount": 0}]}],
                "skippedInfo": [], "failedInfo": []
            },
            "fileSummary": {"inputFileCount": 0, "outputFileCount": 0},
            "statusSummary": {"status": "waiting", "errors": [], "activityRefs": [activity]}
        })
    );
    assert_eq!(run["activities"][0]["name"], "Dataset Export Activity");
    assert_eq!(
        run["activities"][0]["statusSummary"],
        json!({
            "status": "waiting", "errors": [],
            "extensions": {"incremental.datasetId": dataset, "offtake.state": "queued", "offtake.attempt": 0}
        })
    );
    let flow = world.get(&format!("/flows/{flow}")).await;
    assert_eq!(
        flow.item()["lastRunDetails"],
        json!({"id": id, "state": "waiting"})
    );
}

#[tokio::test]
async fn the_same_idempotency_key_starts_one_run() {
    let world = World::new().await;
    let flow = world.flow().await;
    let body = json!({"flowId": flow}).to_string();
    let start = async |key: &str, body: &str| {
        world
            .with_body("POST", "/runs", &[("idempotency-key", key)], body)
            .await
    };
    let first = start("a", &body).await.id();
    assert_eq!(start("a", &body).await.id(), first);
    assert_ne!(start("b", &body).await.id(), first);
    let full = json!({"flowId": flow, "params": {"full": true}}).to_string();
    assert_eq!(start("a", &full).await.status, 400);
    for key in ["", "with space", &"x".repeat(129)] {
        assert_eq!(start(key, &body).await.status, 400, "{key}");
    }
    assert_eq!(world.get("/runs").await.ids().len(), 2);
}

#[tokio::test]
async fn without_a_key_every_request_starts_a_run() {
    let world = World::new().await;
    let flow = world.flow().await;
    let body = json!({"flowId": flow, "params": {"full": true}});
    let first = world.post("/runs", &body).await.id();
    assert_ne!(world.post("/runs", &body).await.id(), first);
}

#[tokio::test]
async fn a_run_that_cannot_start_is_refused_and_leaves_no_row() {
    let world = World::new().await;
    let flow = world.flow().await;
    let nobody = "00000000-0000-0000-0000-000000000000";
    for (body, code) in [
        (json!({"flowId": nobody}), "FLOW_UNKNOWN"),
        (json!({"flowId": ""}), "FLOW_UNKNOWN"),
        (json!({"flowId": 7}), "FLOW_UNKNOWN"),
        (json!({}), "FIELD_INVALID"),
        (
            json!({"flowId": flow, "params": {"full": "yes"}}),
            "FIELD_INVALID",
        ),
        (
            json!({"flowId": flow, "params": {"windowStartTime": 1}}),
            "FIELD_INVALID",
        ),
        (json!({"flowId": flow, "params": []}), "FIELD_INVALID"),
        (json!({"flowId": flow, "extra": 1}), "FIELD_INVALID"),
    ] {
        world.refused("/runs", &body, 400, code).await;
    }
    let unknown = world.post("/runs", &json!({"flowId": nobody})).await;
    assert_eq!(
        unknown.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-1430-400"
    );
    world.act(&format!("/flows/{flow}/action?op=disable")).await;
    world
        .refused("/runs", &json!({"flowId": flow}), 400, "FLOW_STATE_INVALID")
        .await;
    let disabled = world.post("/runs", &json!({"flowId": flow})).await;
    assert_eq!(
        disabled.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-1444-400"
    );
}

#[tokio::test]
async fn a_flow_that_has_ended_starts_no_run() {
    let world = World::new().await;
    let mut body = world.flow_body().await;
    body["scheduleParams"]["endTime"] = json!(NOW / 1000 + 60);
    let flow = world.post("/flows", &body).await.id();
    world.clock.advance(Duration::from_secs(61));
    world
        .refused("/runs", &json!({"flowId": flow}), 400, "FLOW_STATE_INVALID")
        .await;
}

#[tokio::test]
async fn a_missing_run_is_not_found_and_runs_cannot_be_written() {
    let world = World::new().await;
    for id in ["00000000-0000-0000-0000-000000000000", "x"] {
        let answer = world.get(&format!("/runs/{id}")).await;
        assert_eq!(
            answer.body["errorMessage"],
            format!("runs not found with id = [{id}]")
        );
    }
    let written = world.with_body("PUT", "/runs/x", &[], "{}").await;
    assert_eq!(written.status, 400);
    assert_eq!(
        written.body["type"],
        "http://ns.adobe.com/aep/errors/FLOW-1427-400"
    );
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_by_flow() {
    let world = World::new().await;
    let first_flow = world.flow().await;
    let second_flow = world.flow().await;
    let mut started = Vec::new();
    for flow in [&first_flow, &second_flow, &first_flow] {
        world.clock.advance(Duration::from_secs(1));
        started.push(world.post("/runs", &json!({"flowId": flow})).await.id());
    }
    started.reverse();
    assert_eq!(world.get("/runs").await.ids(), started);
    let by_flow = world
        .get(&format!("/runs?property=flowId=={first_flow}"))
        .await;
    assert_eq!(by_flow.ids(), [started[0].clone(), started[2].clone()]);
    let count = world
        .get(&format!(
            "/runs?limit=20&count=True&property=flowId=={second_flow}"
        ))
        .await;
    assert_eq!(count.body, json!({"count": 1}));
    let waiting = world
        .get("/runs?property=metrics.statusSummary.status==Waiting&property=createdAt>=1")
        .await;
    // The second run of the first flow covers nothing that the waiting one doesn't: it is skipped with a warning.
    assert_eq!(waiting.ids().len(), 2);
    let skipped = world.get(&format!("/runs/{}", started[0])).await;
    let summary = &skipped.item()["metrics"]["statusSummary"];
    assert_eq!(summary["status"], "success");
    assert_eq!(summary["errors"], json!([]));
    assert_eq!(
        skipped.item()["activities"][0]["statusSummary"]["errors"],
        json!([])
    );
    let records = &skipped.item()["metrics"]["recordSummary"];
    assert_eq!(records["warningInfo"][0]["errorCode"], "OVERLAPPED");
    assert_eq!(records["warningInfo"][0]["type"], "Warning");
    assert_eq!(records["failedInfo"], json!([]));
    let both = world
        .get(&format!(
            "/runs?property=flowId=={first_flow},{second_flow}"
        ))
        .await;
    assert_eq!(both.ids().len(), 3);
    let nobody = world
        .get("/runs?property=flowId==00000000-0000-0000-0000-000000000000")
        .await;
    assert!(nobody.ids().is_empty());
    let page = world
        .get(&format!("/runs?limit=1&property=flowId=={first_flow}"))
        .await;
    let href = page.body["_links"]["next"]["href"].as_str().unwrap();
    assert_eq!(world.get(href).await.ids(), [started[2].clone()]);
}

#[tokio::test]
async fn a_failed_run_says_why_and_what_to_do() {
    let world = World::new().await;
    let flow = world.flow().await;
    let run = world.post("/runs", &json!({"flowId": flow})).await.id();
    let lease = world
        .store
        .claim("owner", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    world.clock.advance(Duration::from_secs(2));
    let processing = world.get(&format!("/runs/{run}")).await;
    assert_eq!(
        processing.item()["metrics"]["statusSummary"]["status"],
        "processing"
    );
    let fault = Fault::new(
        ErrorCode::SourceHistoryLost,
        "history of [orders] before version 7 is gone",
    );
    for transition in [
        Transition::StartAbort {
            then: AbortThen::Failed,
            fault,
        },
        Transition::FinishAbort,
    ] {
        assert_eq!(
            world.store.apply(&lease, &transition).await.unwrap(),
            Applied::Done
        );
    }
    let failed = world.get(&format!("/runs/{run}")).await;
    let summary = &failed.item()["metrics"]["statusSummary"];
    assert_eq!(summary["status"], "failed");
    let error = &summary["errors"][0];
    assert_eq!(error["errorCode"], "SOURCE_HISTORY_LOST");
    assert_eq!(error["type"], "Error");
    assert!(error["code"].as_str().unwrap().starts_with("EXPORT-"));
    assert!(error["message"].as_str().unwrap().contains("version 7"));
    assert!(error["advice"].as_str().unwrap().contains("params.full"));
    assert_eq!(error.get("count"), None);
    let records = &failed.item()["metrics"]["recordSummary"];
    let info = &records["failedInfo"][0];
    for field in ["code", "message", "type", "errorCode"] {
        assert_eq!(info[field], error[field], "{field}");
    }
    assert_eq!(info["count"], records["failedRecordCount"]);
    assert_eq!(records.get("warningInfo"), None);
    assert!(failed.item()["metrics"]["durationSummary"]["completedAtUTC"].is_i64());
    assert_ne!(failed.item()["etag"], processing.item()["etag"]);
    let flow = world.get(&format!("/flows/{flow}")).await;
    assert_eq!(flow.item()["lastRunDetails"]["state"], "failed");
    let found = world
        .get("/flows?property=lastRunDetails.state==Failed")
        .await;
    assert_eq!(found.ids().len(), 1);
}

/// Walks the one queued delivery to its end as the delivery loop would, with one file of 20 rows.
pub(crate) async fn succeed(world: &World) -> Lease {
    let store = &world.store;
    let lease = store
        .claim("owner", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    let record = store.load(&lease).await.unwrap().unwrap();
    let plan = plan_of(&record);
    let position = plan.to.clone();
    let attempt = AttemptId(record.id.0);
    let handle = StageHandle {
        key: plan.tasks[0].key.clone(),
        tag: AttemptTag {
            delivery: record.id,
            task: 0,
            attempt,
        },
        detail: String::new(),
    };
    let token = StageToken {
        handle: handle.clone(),
        bytes: 500,
        detail: String::new(),
    };
    let apply = async |transition: Transition| {
        assert_eq!(
            store.apply(&lease, &transition).await.unwrap(),
            Applied::Done
        );
    };
    apply(Transition::SavePlan(Box::new(plan))).await;
    let row = Attempt {
        task: 0,
        id: attempt,
        epoch: lease.epoch,
        handle: None,
        discarded: false,
    };
    assert_eq!(
        store.begin_attempt(&lease, &row).await.unwrap(),
        Applied::Done
    );
    assert_eq!(
        store.save_handle(&lease, attempt, &handle).await.unwrap(),
        Applied::Done
    );
    let file = SealedFile {
        token,
        input_rows: 20,
        rows: 20,
        bytes: 500,
        sha256: "00".repeat(32),
        passage: offtake_model::delivery::Passage::Encoded,
    };
    let winner = Winner {
        task: 0,
        attempt,
        file,
    };
    assert_eq!(store.record(&lease, &winner).await.unwrap(), Recorded::Won);
    apply(Transition::Freeze).await;
    let rev = store.load(&lease).await.unwrap().unwrap().rev;
    apply(Transition::PointOfNoReturn {
        rev,
        manifest: b"{}".to_vec(),
        sha256: "00".repeat(32),
    })
    .await;
    let metrics = RunMetrics {
        input_rows: 20,
        output_rows: 20,
        input_bytes: 900,
        output_bytes: 500,
        input_files: 2,
        output_files: 1,
    };
    let cursor = CursorMove {
        flow: record.run.flow,
        dataset: record.dataset,
        to: position,
        seq: 1,
        seen: None,
    };
    world.clock.advance(Duration::from_secs(3));
    apply(Transition::Commit {
        metrics,
        cursor: Some(cursor),
    })
    .await;
    lease
}

fn plan_of(record: &DeliveryRecord) -> ExportPlan {
    let spec = record.run.spec.clone();
    let task = PlannedTask {
        index: 0,
        key: "out/folder/part-00000.gz.parquet".to_owned(),
        slices: Vec::new(),
    };
    ExportPlan {
        format_version: ExportPlan::FORMAT_VERSION,
        delivery: record.id,
        run: record.run.id,
        dataset: record.dataset.clone(),
        dataset_name: "orders".to_owned(),
        kind: record.run.kind,
        occurrence: record.run.occurrence,
        spec,
        mode: PlanMode::Full,
        from: None,
        to: Position::Delta {
            table: "t".to_owned(),
            version: 3,
        },
        seq: 1,
        schema: Schema::default(),
        schema_fingerprint: "00".repeat(32),
        folder: "out/folder".to_owned(),
        tasks: vec![task],
        manifest_key: "out/_offtake/x.manifest".to_owned(),
        file_manifest_key: None,
    }
}

#[tokio::test]
async fn a_succeeded_run_shows_counters_files_and_manifest() {
    let world = World::new().await;
    let flow = world.flow().await;
    let id = world.post("/runs", &json!({"flowId": flow})).await.id();
    let lease = succeed(&world).await;
    let read = world.get(&format!("/runs/{id}")).await;
    let metrics = &read.item()["metrics"];
    assert_eq!(
        metrics["durationSummary"],
        json!({"startedAtUTC": NOW, "completedAtUTC": NOW + 3000})
    );
    assert_eq!(
        metrics["sizeSummary"],
        json!({"inputBytes": 900, "outputBytes": 500})
    );
    let records = &metrics["recordSummary"];
    for (field, count) in [
        ("inputRecordCount", 20),
        ("createdRecordCount", 20),
        ("outputRecordCount", 20),
        ("skippedRecordCount", 0),
        ("failedRecordCount", 0),
    ] {
        assert_eq!(records[field], count, "{field}");
    }
    assert_eq!(
        records["sourceSummaries"][0]["entitySummaries"][0]["inputRecordCount"],
        20
    );
    assert_eq!(
        records["targetSummaries"][0]["entitySummaries"][0]["outputRecordCount"],
        20
    );
    assert_eq!(
        metrics["fileSummary"],
        json!({
            "inputFileCount": 2, "outputFileCount": 1,
            "manifest": {"fileInfo": [{
                "path": "/out/folder/part-00000.gz.parquet", "outputBytes": 500, "pathPrefix": "/out", "outputRecordCount": 20
            }]}
        })
    );
    let delivery = lease.delivery.to_string();
    assert_eq!(
        metrics["statusSummary"],
        json!({"status": "success", "errors": [], "activityRefs": [delivery]})
    );
    let activity = &read.item()["activities"][0];
    assert_eq!(
        activity["statusSummary"]["extensions"]["offtake.manifest"],
        "out/_offtake/x.manifest"
    );
    assert_eq!(
        activity["recordSummary"],
        json!({
            "inputRecordCount": 20, "outputRecordCount": 20, "createdRecordCount": 20, "skippedRecordCount": 0
        })
    );
    let shown = world.get(&format!("/flows/{flow}")).await;
    assert_eq!(
        shown.item()["lastRunDetails"],
        json!({
            "id": id, "state": "success", "startedAtUTC": NOW, "completedAtUTC": NOW + 3000
        })
    );
}

#[tokio::test]
async fn a_run_does_not_change_its_flow_s_etag() {
    let world = World::new().await;
    let flow = world.flow().await;
    let etag = world.get(&format!("/flows/{flow}")).await.headers["etag"].clone();
    world.post("/runs", &json!({"flowId": flow})).await.id();
    succeed(&world).await;
    assert_eq!(
        world.get(&format!("/flows/{flow}")).await.headers["etag"],
        etag
    );
}
