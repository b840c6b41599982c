use offtake_model::change::SourceRef;
use offtake_model::id::ConnectionId;
use offtake_model::resource::{
    Auth, Connection, ConnectionState, Dataset, DatasetEntry, Flow, FlowState, LastOperation,
    Object, SealedSecret, SourceConnection, SpecRef, TableFormat, TargetConnection,
};
use offtake_model::{
    DatasetId, ErrorCode, ExportMode, Fault, Millis, ResourceBody, ResourceId, RunMetrics,
    Schedule, TimeUnit,
};
use serde_json::{Value, json};

use super::body::{decode, encode};
use super::{from_json, to_json};

fn object(value: &Value) -> Object {
    value.as_object().unwrap().clone()
}

fn spec() -> SpecRef {
    SpecRef {
        id: "5e258e0d-fcb8-4a4d-9c09-b2d8d3c4c2c1".to_owned(),
        version: "1.0".to_owned(),
    }
}

fn check(body: &ResourceBody, golden: &str) {
    let row = encode(body).unwrap();
    let spelled: Value = serde_json::from_str(&row.json).unwrap();
    let wanted: Value = serde_json::from_str(golden).unwrap();
    assert_eq!(spelled, wanted, "{}", row.json);
    assert_eq!(decode(body.kind(), &row).unwrap(), *body);
}

#[test]
fn a_connection_is_stored_with_its_secret_sealed() {
    let body = ResourceBody::Connection(Connection {
        name: "bucket".to_owned(),
        description: Some("ours".to_owned()),
        spec: spec(),
        auth: Some(Auth {
            spec_name: "Access Key".to_owned(),
            shown: object(&json!({"s3AccessKey": "AKIA", "s3SecretKey": "****"})),
            sealed: Some(SealedSecret {
                text: "v1.0.a.b".to_owned(),
            }),
            authorized_date: "2026-01-02".to_owned(),
        }),
        state: ConnectionState::Enabled,
    });
    check(&body, include_str!("golden/connection.json"));
}

#[test]
fn only_a_draft_is_stored_with_its_state() {
    let body = ResourceBody::Connection(Connection {
        name: "bucket".to_owned(),
        description: None,
        spec: spec(),
        auth: None,
        state: ConnectionState::Draft,
    });
    check(&body, include_str!("golden/draft.json"));
}

#[test]
fn a_source_connection_is_stored_with_its_datasets() {
    let body = ResourceBody::Source(SourceConnection {
        name: "source".to_owned(),
        description: None,
        spec: spec(),
        datasets: vec![DatasetEntry {
            id: DatasetId("5c8c3c555033b814b69f947f".to_owned()),
            name: "events".to_owned(),
        }],
        data: Some(json!({"format": "custom"})),
        base_connection_id: Some("base".to_owned()),
        state: ConnectionState::Enabled,
    });
    check(&body, include_str!("golden/source.json"));
}

#[test]
fn a_target_connection_is_stored_with_its_parameters() {
    let body = ResourceBody::Target(TargetConnection {
        name: "target".to_owned(),
        description: None,
        base_connection_id: ConnectionId("00000000-0000-0000-0000-000000000007".parse().unwrap()),
        spec: spec(),
        params: object(&json!({"datasetFileType": "JSON", "path": "exports"})),
        state: ConnectionState::Enabled,
    });
    check(&body, include_str!("golden/target.json"));
}

#[test]
fn a_flow_is_stored_without_what_stands_in_columns() {
    let body = ResourceBody::Flow(Box::new(Flow {
        name: "flow".to_owned(),
        description: None,
        spec: spec(),
        source_connection_ids: vec![ResourceId("source".to_owned())],
        target_connection_ids: vec![ResourceId("target".to_owned())],
        schedule: Schedule {
            export_mode: ExportMode::FirstFullThenIncremental,
            interval: 3,
            time_unit: TimeUnit::Hour,
            start: Millis(1_700_000_000_000),
            end: None,
        },
        schedule_params: object(&json!({"interval": 3})),
        transformations: json!([]),
        state: FlowState::Disabled,
        generation: 4,
        enabled_at: Some(Millis(5)),
        next_due_at: Some(Millis(6)),
        last_operation: LastOperation {
            operation: "update".to_owned(),
            at: Millis(7),
            ops: json!([{"op": "replace"}]),
        },
    }));
    check(&body, include_str!("golden/flow.json"));
}

#[test]
fn a_dataset_is_stored_with_its_place() {
    let body = ResourceBody::Dataset(Dataset {
        name: "events".to_owned(),
        location: SourceRef {
            root: "lake".to_owned(),
            path: "events".to_owned(),
        },
        format: TableFormat::Delta,
        extra: object(&json!({"tags": {"a": ["b"]}})),
    });
    check(&body, include_str!("golden/dataset.json"));
}

#[test]
fn every_stored_value_carries_its_version() {
    let metrics = RunMetrics {
        input_rows: 1,
        ..RunMetrics::default()
    };
    let text = to_json(&metrics, "metrics").unwrap();
    assert!(text.starts_with(r#"{"version":1,"value":{"#), "{text}");
    assert_eq!(from_json::<RunMetrics>(&text, "metrics"), Ok(metrics));
}

#[test]
fn a_value_of_another_version_is_refused_without_showing_it() {
    let text = r#"{"version":2,"value":{"code":"INTERNAL","message":"row data"}}"#;
    let refused = from_json::<Fault>(text, "fault").unwrap_err();
    assert_eq!(refused.code, ErrorCode::Internal);
    assert_eq!(
        refused.message,
        "stored fault has version 2, this program reads 1"
    );
    let broken = from_json::<Fault>(r#"{"version":1,"value":"row data"}"#, "fault").unwrap_err();
    assert!(!format!("{broken:?}").contains("row data"), "{broken:?}");
}
