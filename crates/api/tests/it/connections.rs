//! Base, source and target connections (contract, 4.7 to 4.9).

use serde_json::{Value, json};

use crate::world::{DATA_LAKE, LANDING_ZONE, NOW, S3, World};

pub(crate) const S3_ACCESS: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const S3_SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12";

pub(crate) fn s3() -> Value {
    json!({
        "name": "Lake drop",
        "auth": {"specName": "Access Key", "params": {"s3AccessKey": S3_ACCESS, "s3SecretKey": S3_SECRET}},
        "connectionSpec": {"id": S3, "version": "1.0"}
    })
}

fn changed(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

fn without(mut body: Value, key: &str) -> Value {
    body.as_object_mut().unwrap().remove(key);
    body
}

/// The fields that the service sets on every entity (contract, 1).
async fn common(world: &World, id: &str, etag: &str) -> Value {
    let sandbox = world
        .get("/data/foundation/sandbox-management/sandboxes/prod")
        .await;
    let client = world.first.client.to_string();
    json!({
        "id": id, "createdAt": NOW, "updatedAt": NOW, "createdBy": client, "updatedBy": client,
        "createdClient": client, "updatedClient": client, "sandboxId": sandbox.body["id"], "sandboxName": "prod",
        "imsOrgId": world.first.org.to_string(), "version": etag, "etag": etag, "state": "enabled"
    })
}

fn merged(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        unreachable!()
    };
    base.as_object_mut().unwrap().extend(more);
    base
}

#[tokio::test]
async fn a_base_connection_is_made_and_read_with_its_secrets_masked() {
    let world = World::new().await;
    let made = world.post("/connections", &s3()).await;
    let id = made.id();
    assert_eq!(made.etag(), "\"00000001-0000-0200-0000-6ab13b800000\"");
    let read = world.get(&format!("/connections/{id}")).await;
    assert_eq!(read.headers["etag"].to_str().unwrap(), made.etag());
    let expected = merged(
        common(&world, &id, &made.etag()).await,
        json!({
            "name": "Lake drop",
            "connectionSpec": {"id": S3, "version": "1.0"},
            "auth": {"specName": "Access Key", "params": {
                "authorizedDate": "2026-09-21", "s3AccessKey": S3_ACCESS, "s3SecretKey": "****"
            }}
        }),
    );
    assert_eq!(read.body, json!({"items": [expected], "_links": {}}));
}

#[tokio::test]
async fn a_base_connection_of_only_a_name_is_the_landing_zone() {
    let world = World::new().await;
    for body in [
        json!({"name": "zone"}),
        json!({"name": "zone", "auth": null, "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"}}),
    ] {
        let id = world.post("/connections", &body).await.id();
        let read = world.get(&format!("/connections/{id}/")).await;
        assert_eq!(
            read.item()["connectionSpec"],
            json!({"id": LANDING_ZONE, "version": "1.0"})
        );
        assert!(read.item().get("auth").is_none());
    }
}

#[tokio::test]
async fn every_illegal_base_connection_is_refused_with_its_documented_number() {
    let world = World::new().await;
    let legacy = json!("4890fc95-5a1f-4983-94bb-e060c08e3f81");
    for (body, status, code) in [
        (without(s3(), "name"), 400, "FIELD_INVALID"),
        (changed(s3(), "/name", json!("")), 400, "FIELD_INVALID"),
        (without(s3(), "connectionSpec"), 400, "SPEC_NOT_VALID"),
        (
            changed(s3(), "/connectionSpec/id", json!("x")),
            400,
            "SPEC_NOT_VALID",
        ),
        (
            changed(s3(), "/connectionSpec/id", legacy),
            400,
            "SPEC_NOT_VALID",
        ),
        (
            changed(s3(), "/connectionSpec/id", json!(DATA_LAKE)),
            400,
            "SPEC_NOT_VALID",
        ),
        (
            changed(s3(), "/connectionSpec", json!({"id": S3})),
            422,
            "SPEC_VERSION_MISSING",
        ),
        (
            changed(s3(), "/connectionSpec/version", json!("2.0")),
            400,
            "FIELD_INVALID",
        ),
        (without(s3(), "auth"), 400, "FIELD_INVALID"),
        (
            changed(s3(), "/auth/specName", json!("Password")),
            400,
            "AUTH_SPEC_UNKNOWN",
        ),
        (
            changed(s3(), "/auth/params", json!({"s3AccessKey": S3_ACCESS})),
            400,
            "FIELD_INVALID",
        ),
        (
            changed(s3(), "/auth/params/s3AccessKey", json!("short")),
            400,
            "FIELD_INVALID",
        ),
        (
            merged(s3(), json!({"encryption": {"specName": "File Encryption"}})),
            422,
            "ENCRYPTION_NOT_AVAILABLE",
        ),
    ] {
        world.refused("/connections", &body, status, code).await;
    }
}

#[tokio::test]
async fn a_refusal_shows_the_given_value_unless_it_is_secret() {
    let world = World::new().await;
    let open = changed(s3(), "/auth/params/s3AccessKey", json!("lower case"));
    let text = world
        .refused("/connections", &open, 400, "FIELD_INVALID")
        .await;
    assert!(
        text.contains("lower case") && text.contains("s3AccessKey"),
        "{text}"
    );
    let secret = changed(s3(), "/auth/params/s3SecretKey", json!("canary-secret"));
    let text = world
        .refused("/connections", &secret, 400, "FIELD_INVALID")
        .await;
    assert!(
        !text.contains("canary-secret") && text.contains("s3SecretKey"),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_connection_is_404_with_the_documented_text() {
    let world = World::new().await;
    let ids = ["00000000-0000-0000-0000-000000000000", "not-a-uuid"];
    for collection in [
        "connections",
        "sourceConnections",
        "targetConnections",
        "flows",
    ] {
        for id in ids {
            let answer = world.get(&format!("/{collection}/{id}")).await;
            assert_eq!(answer.status, 404);
            assert_eq!(
                answer.body["errorMessage"],
                format!("{collection} not found with id = [{id}]")
            );
        }
    }
}

#[tokio::test]
async fn a_source_connection_fills_in_the_names_of_its_datasets() {
    let world = World::new().await;
    let first = world.dataset("orders").await;
    let second = world.dataset("customers").await;
    let made = world.post("/sourceConnections", &json!({
        "name": "source", "description": "two", "data": {"format": "delimited"},
        "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
        "params": {"datasets": [{"dataSetId": first}, {"dataSetId": second, "name": "Mine"}]}
    })).await;
    let id = made.id();
    let read = world.get(&format!("/sourceConnections/{id}")).await;
    assert_eq!(read.headers["etag"].to_str().unwrap(), made.etag());
    let expected = merged(
        common(&world, &id, &made.etag()).await,
        json!({
            "name": "source", "description": "two", "data": {"format": "delimited"},
            "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
            "params": {"datasets": [{"dataSetId": first, "name": "orders"}, {"dataSetId": second, "name": "Mine"}]},
            "inheritedAttributes": {}
        }),
    );
    assert_eq!(*read.item(), expected);
}

#[tokio::test]
async fn a_source_connection_with_an_unknown_dataset_is_refused_by_name() {
    let world = World::new().await;
    let known = world.dataset("orders").await;
    let body = |datasets: Value| {
        json!({
            "name": "s", "connectionSpec": {"id": DATA_LAKE, "version": "1.0"}, "params": {"datasets": datasets}
        })
    };
    let unknown =
        json!([{"dataSetId": known}, {"dataSetId": "5ef3e3259ad2a1191ab7dd7d", "name": "x"}]);
    let text = world
        .refused("/sourceConnections", &body(unknown), 400, "DATASET_UNKNOWN")
        .await;
    assert!(text.contains("5ef3e3259ad2a1191ab7dd7d"), "{text}");
    for (datasets, code) in [
        (json!([]), "FIELD_INVALID"),
        (
            json!([{"dataSetId": known}, {"dataSetId": known}]),
            "FIELD_INVALID",
        ),
        (json!([{"name": "x"}]), "FIELD_INVALID"),
        (json!("x"), "FIELD_INVALID"),
    ] {
        world
            .refused("/sourceConnections", &body(datasets), 400, code)
            .await;
    }
    let wrong = changed(
        body(json!([{"dataSetId": known}])),
        "/connectionSpec/id",
        json!(S3),
    );
    world
        .refused("/sourceConnections", &wrong, 400, "SPEC_NOT_VALID")
        .await;
    let versionless = changed(
        body(json!([{"dataSetId": known}])),
        "/connectionSpec",
        json!({"id": DATA_LAKE}),
    );
    world
        .refused(
            "/sourceConnections",
            &versionless,
            422,
            "SPEC_VERSION_MISSING",
        )
        .await;
}

#[tokio::test]
async fn a_source_connection_echoes_the_base_connection_that_it_was_given() {
    let world = World::new().await;
    let dataset = world.dataset("orders").await;
    let zone = world.landing_zone().await;
    let body = |base: Value| {
        json!({
            "name": "s", "connectionSpec": {"id": DATA_LAKE, "version": "1.0"}, "baseConnectionId": base,
            "params": {"datasets": [{"dataSetId": dataset}]}
        })
    };
    for base in [zone.as_str(), "nobody's"] {
        let id = world
            .post("/sourceConnections", &body(json!(base)))
            .await
            .id();
        let read = world.get(&format!("/sourceConnections/{id}")).await;
        assert_eq!(read.item()["baseConnectionId"], base);
        let found = world
            .get(&format!(
                "/sourceConnections?property=baseConnectionId=={base}"
            ))
            .await;
        assert_eq!(found.ids(), [id]);
    }
    for wrong in [json!(7), json!([zone]), json!({"id": zone})] {
        world
            .refused("/sourceConnections", &body(wrong), 400, "FIELD_INVALID")
            .await;
    }
}

fn s3_target(base: &str) -> Value {
    json!({
        "name": "target", "baseConnectionId": base, "connectionSpec": {"id": S3, "version": "1.0"},
        "params": {"mode": "Server-to-server", "bucketName": "bucket", "path": "a/b", "compression": "gzip",
                   "datasetFileType": "parquet"}
    })
}

#[tokio::test]
async fn a_target_connection_shows_its_base_connection_and_documented_spellings() {
    let world = World::new().await;
    let base = world.post("/connections", &s3()).await.id();
    let made = world.post("/targetConnections", &s3_target(&base)).await;
    let id = made.id();
    let read = world.get(&format!("/targetConnections/{id}")).await;
    let expected = merged(
        common(&world, &id, &made.etag()).await,
        json!({
            "name": "target", "baseConnectionId": base, "connectionSpec": {"id": S3, "version": "1.0"},
            "params": {"mode": "Server-to-server", "bucketName": "bucket", "path": "a/b", "compression": "GZIP",
                       "datasetFileType": "PARQUET"},
            "inheritedAttributes": {"baseConnection": {"id": base, "connectionSpec": {"id": S3, "version": "1.0"}}}
        }),
    );
    assert_eq!(*read.item(), expected);
}

#[tokio::test]
async fn every_illegal_target_connection_is_refused() {
    let world = World::new().await;
    let base = world.post("/connections", &s3()).await.id();
    let zone = world.landing_zone().await;
    let target = || s3_target(&base);
    for (body, status, code) in [
        (without(target(), "name"), 400, "FIELD_INVALID"),
        (without(target(), "baseConnectionId"), 400, "FIELD_INVALID"),
        (
            s3_target("00000000-0000-0000-0000-000000000000"),
            400,
            "CONNECTION_NOT_USABLE",
        ),
        (s3_target("x"), 400, "CONNECTION_NOT_USABLE"),
        (s3_target(&zone), 400, "CONNECTION_NOT_USABLE"),
        (without(target(), "connectionSpec"), 400, "SPEC_NOT_VALID"),
        (
            changed(target(), "/connectionSpec", json!({"id": S3})),
            422,
            "SPEC_VERSION_MISSING",
        ),
        (without(target(), "params"), 400, "FIELD_INVALID"),
        (
            changed(target(), "/params/bucketName", json!("Not A Bucket")),
            400,
            "FIELD_INVALID",
        ),
        (
            changed(target(), "/params/path", json!("a path")),
            400,
            "FIELD_INVALID",
        ),
        (
            changed(target(), "/params/datasetFileType", json!("DELIMITED")),
            400,
            "FIELD_INVALID",
        ),
        (
            changed(target(), "/params/compression", json!("ZIP")),
            400,
            "FIELD_INVALID",
        ),
    ] {
        world
            .refused("/targetConnections", &body, status, code)
            .await;
    }
}

#[tokio::test]
async fn another_sandbox_or_organisation_sees_nothing() {
    let world = World::new().await;
    let id = world.landing_zone().await;
    let stranger = World::new().await;
    assert_eq!(
        stranger.get(&format!("/connections/{id}")).await.status,
        404
    );
    assert!(stranger.get("/connections").await.ids().is_empty());
}

#[tokio::test]
async fn a_connection_is_tried_out() {
    let world = World::new().await;
    let zone = world.landing_zone().await;
    let tried = world.get(&format!("/connections/{zone}/test")).await;
    assert_eq!((tried.status, tried.body), (200, json!({"result": true})));

    let bucket = world.post("/connections", &s3()).await.id();
    let foreign = world.get(&format!("/connections/{bucket}/test")).await;
    let context = &foreign.body["report"]["additionalContext"];
    assert_eq!(context["code"], "DESTINATION_NOT_AVAILABLE");
    let missing = world
        .get("/connections/00000000-0000-4000-8000-000000000000/test")
        .await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn a_role_stands_in_for_keys() {
    let world = World::new().await;
    let role = |params: Value| {
        json!({
            "name": "role", "auth": {"specName": "Assumed Role", "params": params},
            "connectionSpec": {"id": S3, "version": "1.0"}
        })
    };
    let arn = "arn:aws:iam::123456789012:role/offtake";
    let good = role(json!({"s3Role": arn, "externalId": "ours", "region": "eu-west-1"}));
    let id = world.post("/connections", &good).await.id();
    let read = world.get(&format!("/connections/{id}")).await;
    assert_eq!(read.item()["auth"]["params"]["s3Role"], arn);
    for bad in [
        json!({}),
        json!({"s3Role": "arn:aws:iam::1:user/x"}),
        json!({"s3Role": arn, "externalId": "a b"}),
    ] {
        world
            .refused("/connections", &role(bad), 400, "FIELD_INVALID")
            .await;
    }
}
