use offtake_model::resource::SpecRef;
use offtake_model::{
    Compression, DestinationKind, ErrorCode, Fault, FileType, GzipLevel, GzipMembers, GzipRules,
    OnRewrite,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    MASK, check_base_connection, check_flow_target, connection, dataset, flow, shown, source,
    target,
};
use crate::specs;

const UUID: &str = "68936e2b-4b0c-4b7a-9f0e-0d6a3c9f0b11";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn spec(kind: DestinationKind) -> Value {
    json!({"id": specs::destination(kind).id(), "version": "1.0"})
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "calls read better with a value made in place"
)]
fn s3(params: Value) -> Value {
    json!({
        "name": "Lake drop", "connectionSpec": spec(DestinationKind::S3),
        "auth": {"specName": "Access Key", "params": params},
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "calls read better with a value made in place"
)]
fn target_of(kind: DestinationKind, location: Value) -> Value {
    let mut params =
        json!({"mode": "Server-to-server", "compression": "NONE", "datasetFileType": "JSON"});
    params
        .as_object_mut()
        .unwrap()
        .extend(location.as_object().unwrap().clone());
    json!({"name": "t", "baseConnectionId": UUID, "params": params, "connectionSpec": spec(kind)})
}

fn lake_source() -> Value {
    json!({
        "name": "Connecting to Data Lake", "description": "d",
        "connectionSpec": {"id": "23598e46-f560-407b-88d5-ea6207e49db0", "version": "1.0"},
        "params": {"datasets": [{"dataSetId": "5ef3e3259ad2a1191ab7dd7d", "name": "AAM Devices Data"}]},
    })
}

fn s3_flow() -> Value {
    json!({
        "name": "f", "description": "d", "flowSpec": {"id": "269ba276-16fc-47db-92b0-c1049a3c131f", "version": "1.0"},
        "sourceConnectionIds": [UUID], "targetConnectionIds": [UUID], "transformations": [],
        "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210},
    })
}

/// The body with one field changed; `place` is a JSON pointer.
fn with(mut body: Value, place: &str, value: Value) -> Value {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(object), Value::Null) => drop(object.remove(key)),
        (parent, value) => parent[key] = value,
    }
    body
}

fn refused<T: std::fmt::Debug>(result: Result<T, Fault>, code: ErrorCode, part: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.code, code, "{}", fault.message);
    assert!(
        fault.message.contains(part),
        "{part} is not in {}",
        fault.message
    );
}

#[test]
fn the_tutorials_connections_are_accepted() {
    let by_name = |kind, name, params| json!({"name": "n", "connectionSpec": spec(kind), "auth": {"specName": name, "params": params}});
    for body in [
        s3(json!({"s3SecretKey": SECRET, "s3AccessKey": KEY})),
        by_name(
            DestinationKind::AzureBlob,
            "ConnectionString",
            json!({"connectionString": "DefaultEndpointsProtocol=https"}),
        ),
        by_name(
            DestinationKind::AdlsGen2,
            "Azure Service Principal Auth",
            json!({"servicePrincipalKey": "k", "url": "abfss://c@a.dfs.core.windows.net", "tenant": "t", "servicePrincipalId": "i"}),
        ),
        by_name(
            DestinationKind::Gcs,
            "Google Cloud Storage authentication credentials",
            json!({"accessKeyId": "i", "secretAccessKey": "k"}),
        ),
        by_name(
            DestinationKind::Sftp,
            "SFTP with Password",
            json!({"domain": "d", "username": "u", "password": "p"}),
        ),
        by_name(
            DestinationKind::Sftp,
            "SFTP with SSH Key",
            json!({"domain": "d", "username": "u", "sshKey": "a2V5"}),
        ),
    ] {
        let draft = connection(&body).unwrap();
        let auth = draft.auth.unwrap();
        assert_eq!(auth.secrets.len(), 1);
        assert!(auth.secrets.keys().all(|key| auth.shown[key] == MASK));
        assert_eq!(draft.spec.id, body["connectionSpec"]["id"]);
    }
}

#[test]
fn a_body_of_only_a_name_is_a_landing_zone() {
    let zone = specs::destination(DestinationKind::LandingZone).reference();
    for body in [
        json!({"name": "Data Landing Zone(DLZ) Base Connection"}),
        json!({"name": "n", "auth": null, "connectionSpec": null, "encryption": null}),
        json!({"name": "n", "auth": null, "connectionSpec": spec(DestinationKind::LandingZone)}),
    ] {
        let draft = connection(&body).unwrap();
        assert_eq!(
            (draft.spec, draft.kind, draft.auth),
            (zone.clone(), DestinationKind::LandingZone, None)
        );
    }
}

/// Each case: a place in the body, its new value, and what the message says.
type Cases<'a> = &'a [(&'a str, Value, &'a str)];

fn refuse_all<T: std::fmt::Debug>(
    create: impl Fn(&Value) -> Result<T, Fault>,
    good: &Value,
    code: ErrorCode,
    cases: Cases<'_>,
) {
    assert!(create(good).is_ok());
    for (place, value, part) in cases {
        refused(
            create(&with(good.clone(), place, value.clone())),
            code,
            part,
        );
    }
}

fn refuse_connections(code: ErrorCode, cases: Cases<'_>) {
    let good = s3(json!({"s3AccessKey": KEY, "s3SecretKey": SECRET}));
    refuse_all(connection, &good, code, cases);
}

#[test]
fn bad_fields_of_a_connection_are_named() {
    refuse_connections(
        ErrorCode::FieldInvalid,
        &[
            ("/name", Value::Null, "`name` is required"),
            ("/name", json!(" "), "`name` is required"),
            ("/name", json!(5), "`name` must be a text, got 5"),
            ("/description", json!([]), "`description` must be a text"),
            (
                "/connectionSpec",
                json!("x"),
                "`connectionSpec` must be an object",
            ),
            (
                "/connectionSpec/version",
                json!("2.0"),
                "must be \"1.0\", got \"2.0\"",
            ),
            ("/conectionSpec", json!({}), "no field \"conectionSpec\""),
        ],
    );
    for body in [json!([]), json!("x"), Value::Null] {
        refused(
            connection(&body),
            ErrorCode::FieldInvalid,
            "must be a JSON object",
        );
    }
}

#[test]
fn a_connection_names_a_known_spec_and_its_version() {
    let lake = specs::data_lake().id();
    let legacy = "4890fc95-5a1f-4983-94bb-e060c08e3f81";
    refuse_connections(
        ErrorCode::SpecNotValid,
        &[
            (
                "/connectionSpec",
                Value::Null,
                "Please provide a valid spec id",
            ),
            (
                "/connectionSpec/id",
                Value::Null,
                "Please provide a valid spec id",
            ),
            ("/connectionSpec/id", json!("x"), "\"x\""),
            ("/connectionSpec/id", json!(legacy), "4890fc95"),
            ("/connectionSpec/id", json!(lake), "data lake"),
        ],
    );
    let part = "connectionSpec.version 'version' is required for spec info";
    let missing = [("/connectionSpec/version", Value::Null, part)];
    refuse_connections(ErrorCode::SpecVersionMissing, &missing);
}

#[test]
fn bad_credentials_are_refused() {
    let unknown = [(
        "/auth/specName",
        json!("Password"),
        "Amazon S3 has Access Key",
    )];
    refuse_connections(ErrorCode::AuthSpecUnknown, &unknown);
    let pattern = "pattern ^[A-Z2-7]{20}$, got \"minioadmin\"";
    refuse_connections(
        ErrorCode::FieldInvalid,
        &[
            ("/auth", Value::Null, "`auth` is required for Amazon S3"),
            ("/auth/specName", Value::Null, "`auth.specName` is required"),
            (
                "/auth/params",
                json!("x"),
                "`auth.params` is required: an object",
            ),
            (
                "/auth/params/s3AccessKey",
                Value::Null,
                "`auth.params.s3AccessKey` is required",
            ),
            ("/auth/params/s3AccessKey", json!("minioadmin"), pattern),
            (
                "/auth/params/bucket",
                json!("b"),
                "has no parameter \"bucket\"",
            ),
        ],
    );
}

#[test]
fn encryption_is_refused_wherever_it_is_asked_for() {
    let asked = [(
        "/encryption",
        json!({"specName": "File Encryption"}),
        "encryption",
    )];
    refuse_connections(ErrorCode::EncryptionNotAvailable, &asked);
    refuse_all(
        target,
        &s3_target(),
        ErrorCode::EncryptionNotAvailable,
        &asked,
    );
    refuse_all(flow, &s3_flow(), ErrorCode::EncryptionNotAvailable, &asked);
}

#[test]
fn a_landing_zone_has_no_authentication() {
    let body = json!({
        "name": "n", "connectionSpec": spec(DestinationKind::LandingZone), "auth": {"specName": "Access Key", "params": {}},
    });
    refused(
        connection(&body),
        ErrorCode::AuthSpecUnknown,
        "has no authentication",
    );
}

#[test]
fn no_message_and_no_debug_output_holds_a_secret() {
    let swapped = s3(json!({"s3AccessKey": SECRET, "s3SecretKey": KEY}));
    let fault = connection(&swapped).unwrap_err();
    assert!(
        !fault.message.contains(SECRET) && !fault.message.contains(KEY),
        "{}",
        fault.message
    );
    assert!(fault.message.contains("s3AccessKey") && fault.message.contains("s3SecretKey"));
    let wrong_type = s3(json!({"s3AccessKey": KEY, "s3SecretKey": 123_456}));
    assert!(
        !connection(&wrong_type)
            .unwrap_err()
            .message
            .contains("123456")
    );
    let draft = connection(&s3(json!({"s3AccessKey": KEY, "s3SecretKey": SECRET}))).unwrap();
    assert!(!format!("{draft:?}").contains(SECRET));
}

#[test]
fn key_patterns_are_waived_for_other_servers_only() {
    let elsewhere = json!({
        "s3AccessKey": "minioadmin", "s3SecretKey": "minioadmin", "endpoint": "http://127.0.0.1:9000", "region": "us-east-1",
        "pathStyle": true,
    });
    let auth = connection(&s3(elsewhere.clone())).unwrap().auth.unwrap();
    assert_eq!(auth.shown["endpoint"], "http://127.0.0.1:9000");
    for (key, value) in [
        ("endpoint", Value::Null),
        ("endpoint", json!("ftp://x")),
        ("endpoint", json!("http://user:pass@x")),
        ("region", json!("")),
        ("pathStyle", json!("yes")),
        ("s3SecretKey", json!("")),
    ] {
        let mut params = elsewhere.clone();
        params[key] = value;
        assert!(connection(&s3(params)).is_err(), "{key}");
    }
}

#[test]
fn an_sftp_server_may_be_called_host_and_have_a_port() {
    let sftp = |params: Value| {
        connection(&json!({
            "name": "n", "connectionSpec": spec(DestinationKind::Sftp), "auth": {"specName": "SFTP with Password", "params": params},
        }))
    };
    let draft = sftp(
        json!({"host": "h", "username": "u", "password": "p", "port": 2222, "hostKeys": ["ssh-ed25519 AAAA"]}),
    );
    let auth = draft.unwrap().auth.unwrap();
    assert_eq!(
        (&auth.shown["domain"], &auth.shown["port"]),
        (&json!("h"), &json!(2222))
    );
    assert!(!auth.shown.contains_key("host"));
    let base = json!({"domain": "d", "username": "u", "password": "p"});
    assert!(sftp(with(base.clone(), "/host", json!("d"))).is_ok());
    refused(
        sftp(with(base.clone(), "/host", json!("e"))),
        ErrorCode::FieldInvalid,
        "differ",
    );
    refused(
        sftp(with(base, "/port", json!(70_000))),
        ErrorCode::FieldInvalid,
        "at most 65535, got 70000",
    );
}

#[test]
fn the_tutorials_source_is_accepted_also_as_a_client_sends_it() {
    let draft = source(&lake_source()).unwrap();
    assert_eq!(draft.datasets[0].name.as_deref(), Some("AAM Devices Data"));
    let lean = with(
        lake_source(),
        "/params/datasets",
        json!([{"dataSetId": "a"}, {"dataSetId": "b"}]),
    );
    let draft = source(&with(lean, "/data", json!({"format": "delimited"}))).unwrap();
    assert_eq!(
        (draft.datasets.len(), draft.datasets[0].name.as_ref()),
        (2, None)
    );
    assert_eq!(draft.data, Some(json!({"format": "delimited"})));
}

#[test]
fn bad_sources_are_refused() {
    let refuse = |code, cases: Cases<'_>| refuse_all(source, &lake_source(), code, cases);
    let profile_store = "8a9c3494-9708-43d7-ae3f-cda01e5030e1";
    let destination = specs::destination(DestinationKind::S3).id();
    refuse(
        ErrorCode::SpecNotValid,
        &[
            ("/connectionSpec/id", json!(destination), "23598e46"),
            ("/connectionSpec/id", json!(profile_store), "valid spec id"),
            ("/connectionSpec", Value::Null, "valid spec id"),
        ],
    );
    let missing = [("/connectionSpec/version", Value::Null, "version")];
    refuse(ErrorCode::SpecVersionMissing, &missing);
    let twice = json!([{"dataSetId": "a"}, {"dataSetId": "a"}]);
    let nameless = "`params.datasets[0].dataSetId` is required";
    refuse(
        ErrorCode::FieldInvalid,
        &[
            ("/params", Value::Null, "`params.datasets` is required"),
            ("/params/datasets", json!([]), "at least one"),
            (
                "/params/datasets",
                json!(["a"]),
                "`params.datasets[0]` must be an object",
            ),
            ("/params/datasets", json!([{"name": "a"}]), nameless),
            ("/params/datasets", twice, "\"a\" twice"),
            ("/params/other", json!(1), "no field \"other\""),
        ],
    );
}

#[test]
fn the_tutorials_targets_are_accepted() {
    for (kind, location, container) in [
        (
            DestinationKind::S3,
            json!({"bucketName": "your-bucket-name", "path": "folder/subfolder"}),
            Some("your-bucket-name"),
        ),
        (
            DestinationKind::AzureBlob,
            json!({"container": "your-container-name", "path": "folder/subfolder"}),
            Some("your-container-name"),
        ),
        (
            DestinationKind::AdlsGen2,
            json!({"path": "folder/subfolder"}),
            None,
        ),
        (
            DestinationKind::LandingZone,
            json!({"path": "folder/subfolder"}),
            None,
        ),
        (
            DestinationKind::Gcs,
            json!({"bucketName": "your-bucket-name", "path": "/folder//subfolder/"}),
            Some("your-bucket-name"),
        ),
        (
            DestinationKind::Sftp,
            json!({"remotePath": "folder/subfolder"}),
            None,
        ),
    ] {
        let draft = target(&target_of(kind, location)).unwrap();
        assert_eq!(draft.settings.path, "folder/subfolder");
        assert_eq!(draft.settings.container.as_deref(), container);
        assert_eq!(draft.settings.encoding.file_type, FileType::Json);
        assert_eq!(draft.params["mode"], "Server-to-server");
    }
}

#[test]
fn a_targets_words_are_normalised_and_its_wishes_read() {
    let body = target_of(
        DestinationKind::LandingZone,
        json!({
            "path": "/", "compression": "gzip", "datasetFileType": "parquet", "onRewrite": "FULL",
            "includeFileManifest": true, "fileType": "CSV", "csvOptions": {},
            "compressionLevel": "Fast", "gzipMembers": "SINGLE",
        }),
    );
    let draft = target(&body).unwrap();
    assert_eq!(draft.params["gzipMembers"], "single");
    let gzip = GzipRules {
        level: GzipLevel::Fast,
        members: GzipMembers::Single,
    };
    assert_eq!(draft.settings.encoding.gzip, gzip);
    assert_eq!(
        (
            &draft.params["compression"],
            &draft.params["datasetFileType"]
        ),
        (&json!("GZIP"), &json!("PARQUET"))
    );
    assert_eq!(draft.settings.encoding.compression, Compression::Gzip);
    assert_eq!(draft.settings.encoding.file_type, FileType::Parquet);
    assert_eq!(
        (
            draft.settings.on_rewrite,
            draft.settings.include_file_manifest
        ),
        (OnRewrite::Full, true)
    );
    assert_eq!(draft.settings.path, "");
}

fn s3_target() -> Value {
    target_of(
        DestinationKind::S3,
        json!({"bucketName": "bucket", "path": "p"}),
    )
}

fn refuse_targets(code: ErrorCode, cases: Cases<'_>) {
    refuse_all(target, &s3_target(), code, cases);
}

#[test]
fn a_target_names_its_connection_and_spec() {
    let lake = specs::data_lake().id();
    let base = "/baseConnectionId";
    refuse_targets(
        ErrorCode::FieldInvalid,
        &[(base, Value::Null, "`baseConnectionId` is required")],
    );
    refuse_targets(
        ErrorCode::ConnectionNotUsable,
        &[(base, json!("x"), "no base connection")],
    );
    let missing = [("/connectionSpec/version", Value::Null, "version")];
    refuse_targets(ErrorCode::SpecVersionMissing, &missing);
    refuse_targets(
        ErrorCode::SpecNotValid,
        &[("/connectionSpec/id", json!(lake), "no target")],
    );
}

#[test]
fn bad_places_are_refused() {
    refuse_targets(
        ErrorCode::FieldInvalid,
        &[
            ("/params", Value::Null, "`params` is required"),
            (
                "/params/bucketName",
                json!("A"),
                "`params.bucketName` must match the pattern",
            ),
            (
                "/params/bucketName",
                json!("a".repeat(223)),
                "at most 222 characters",
            ),
            (
                "/params/path",
                json!("a".repeat(1_025)),
                "at most 1024 characters",
            ),
            (
                "/params/path",
                json!("a".repeat(1_000)),
                "no room for file names",
            ),
            ("/params/path", json!("a/../b"), "`..` segment"),
            (
                "/params/path",
                json!("a b"),
                "must match the pattern ^[0-9a-zA-Z/",
            ),
        ],
    );
    let zone = target_of(
        DestinationKind::LandingZone,
        json!({"path": "é".repeat(200)}),
    );
    refused(
        target(&zone),
        ErrorCode::FieldInvalid,
        "longer than 255 bytes",
    );
}

#[test]
fn bad_wishes_are_refused() {
    refuse_targets(
        ErrorCode::FieldInvalid,
        &[
            (
                "/params/datasetFileType",
                json!("DELIMITED"),
                "[\"JSON\",\"PARQUET\"], got \"DELIMITED\"",
            ),
            (
                "/params/compression",
                Value::Null,
                "`params.compression` is required",
            ),
            (
                "/params/includeFileManifest",
                json!("yes"),
                "must be of type boolean, got \"yes\"",
            ),
            ("/params/onRewrite", json!("ignore"), "[\"fail\",\"full\"]"),
            ("/params/compressionLevel", json!(9), "must be of type"),
            (
                "/params/gzipMembers",
                json!("two"),
                "[\"several\",\"single\"]",
            ),
            ("/params/maxRowsPerFile", json!(0), "at least 1, got 0"),
            ("/params/maxRowsPerFile", json!(1.5), "must be of type"),
            (
                "/params/onrewrite",
                json!("full"),
                "no parameter \"onrewrite\"",
            ),
        ],
    );
}

#[test]
fn a_target_needs_a_base_of_its_own_platform() {
    let draft = target(&target_of(
        DestinationKind::LandingZone,
        json!({"path": "p"}),
    ))
    .unwrap();
    let base = |kind| -> SpecRef { specs::destination(kind).reference() };
    assert!(
        check_base_connection(
            &draft.spec,
            draft.base_connection_id,
            &base(DestinationKind::LandingZone)
        )
        .is_ok()
    );
    let other = check_base_connection(
        &draft.spec,
        draft.base_connection_id,
        &base(DestinationKind::S3),
    );
    refused(other, ErrorCode::ConnectionNotUsable, "4fce964d");
}

#[test]
fn the_tutorials_flow_is_accepted() {
    let draft = flow(&s3_flow()).unwrap();
    assert_eq!(draft.kind, DestinationKind::S3);
    assert_eq!(
        Value::Object(draft.schedule.echo),
        s3_flow()["scheduleParams"]
    );
    assert_eq!(draft.transformations, json!([]));
}

#[test]
fn bad_flows_are_refused() {
    let refuse = |code, cases: Cases<'_>| refuse_all(flow, &s3_flow(), code, cases);
    let state = [("/state", json!("enabled"), "`state` may not be sent")];
    refuse(ErrorCode::StateNotAllowed, &state);
    let legacy = "71471eba-b620-49e4-90fd-23f1fa0174d8";
    let specs = [
        ("/flowSpec", Value::Null, "valid spec id"),
        ("/flowSpec/id", json!(legacy), "71471eba"),
    ];
    refuse(ErrorCode::SpecNotValid, &specs);
    refuse(
        ErrorCode::SpecVersionMissing,
        &[("/flowSpec/version", Value::Null, "flowSpec.version")],
    );
    let stranger = [("/targetConnectionIds", json!(["x"]), "names no connection")];
    refuse(ErrorCode::ConnectionNotUsable, &stranger);
    let interval = [("/scheduleParams/interval", json!(5), "3, 6, 8, 9, 12 or 24")];
    refuse(ErrorCode::ScheduleInvalid, &interval);
    let millis = json!(1_675_901_210_000_i64);
    refuse(
        ErrorCode::FieldInvalid,
        &[
            ("/sourceConnectionIds", Value::Null, "an array of one id"),
            (
                "/sourceConnectionIds",
                json!([UUID, UUID]),
                "exactly one id, got 2",
            ),
            ("/transformations", json!([{}]), "must be an empty array"),
            (
                "/scheduleParams",
                Value::Null,
                "`scheduleParams` is required",
            ),
            (
                "/scheduleParams/startTime",
                millis,
                "looks like milliseconds",
            ),
            ("/schedule", json!({}), "no field \"schedule\""),
        ],
    );
}

#[test]
fn a_flow_spec_fits_its_own_destination_only() {
    let draft = flow(&s3_flow()).unwrap();
    let target = |kind| specs::destination(kind).reference();
    assert!(check_flow_target(&draft.spec, &target(DestinationKind::S3)).is_ok());
    let other = check_flow_target(&draft.spec, &target(DestinationKind::Sftp));
    refused(
        other,
        ErrorCode::ConnectionNotUsable,
        "the flow spec 269ba276",
    );
}

#[test]
fn a_dataset_needs_a_name_and_is_managed_without_a_place() {
    let draft = dataset(
        &json!({"name": "Orders", "location": "lake://default/orders", "tags": {"a": ["b"]}}),
    )
    .unwrap();
    assert_eq!(
        (
            draft.location.as_deref(),
            draft.extra["tags"]["a"][0].as_str()
        ),
        (Some("lake://default/orders"), Some("b"))
    );
    assert_eq!(dataset(&json!({"name": "Orders"})).unwrap().location, None);
    refused(
        dataset(&json!({"name": "Orders", "location": " "})),
        ErrorCode::FieldInvalid,
        "`location` must say",
    );
    refused(
        dataset(&json!({"location": "x"})),
        ErrorCode::FieldInvalid,
        "`name` is required",
    );
}

#[test]
fn long_values_are_cut_short_in_messages() {
    assert!(shown(&json!("x".repeat(10_000))).len() < 300);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(
                "id|version|specName|params|path|[a-z]{1,3}",
                inner,
                0..3
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const PLACES: [&str; 12] = [
    "/name",
    "/description",
    "/connectionSpec",
    "/connectionSpec/id",
    "/auth",
    "/auth/params",
    "/auth/params/s3AccessKey",
    "/params",
    "/params/path",
    "/params/bucketName",
    "/params/datasets",
    "/scheduleParams",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_anywhere_gives_an_answer_and_never_an_internal_fault(place in proptest::sample::select(&PLACES[..]), value in any_json()) {
        let bodies = [
            s3(json!({"s3AccessKey": KEY, "s3SecretKey": SECRET})),
            lake_source(),
            target_of(DestinationKind::S3, json!({"bucketName": "bucket", "path": "p"})),
            s3_flow(),
        ];
        for body in bodies {
            let (parent, _) = place.rsplit_once('/').unwrap();
            if !body.pointer(parent).is_some_and(Value::is_object) {
                continue;
            }
            let body = with(body, place, value.clone());
            let faults = [
                connection(&body).err(), source(&body).err(), target(&body).err(), flow(&body).err(), dataset(&body).err(),
            ];
            for fault in faults.into_iter().flatten() {
                prop_assert!((400..500).contains(&fault.code.status()), "{}", fault);
                prop_assert!(!fault.message.contains(SECRET), "{}", fault.message);
            }
        }
    }
}
