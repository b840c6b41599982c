//! The landing zone: its two calls, and its files for whoever shows a signature (contract, 10.4).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use axum::body::Body;
use offtake_model::{Actor, Role, RoleBinding};
use offtake_ports::IdentityStore;
use serde_json::{Value, json};

use crate::world::{Answer, NOW, World};

const ZONE: &str = "/data/foundation/connectors/landingzone";
const CREDENTIALS: &str =
    "/data/foundation/connectors/landingzone/credentials?type=dlz_destination";
const REFRESH: &str =
    "/data/foundation/connectors/landingzone/credentials?type=dlz_destination&action=refresh";

fn put(world: &World, key: &str, text: &str) {
    let zone = world.dir.path().join("landing-zone");
    let path = zone.join(world.first.org.as_str()).join("prod").join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Path and query of the signed address.
fn signed(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let uri = answer.body["SASUri"].as_str().unwrap();
    let rest = uri.strip_prefix("http://zone.test").unwrap();
    let (path, query) = rest.split_once('?').unwrap();
    assert_eq!(answer.body["SASToken"], query);
    (path.to_owned(), query.to_owned())
}

async fn credentials(world: &World) -> (String, String) {
    let mut headers = world.headers();
    headers.insert("host", "zone.test".to_owned());
    signed(
        &world
            .call("GET", CREDENTIALS, &headers, Body::empty())
            .await,
    )
}

/// A request without a token.
async fn bare(world: &World, method: &str, path: &str, more: &[(&'static str, &str)]) -> Answer {
    let headers: BTreeMap<&'static str, String> = more
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    world.call(method, path, &headers, Body::empty()).await
}

#[tokio::test]
async fn the_zone_is_described_as_a_container() {
    let world = World::new().await;
    for kind in ["?type=dlz_destination", "?type=user_drop_zone", ""] {
        let answer = world.get(&format!("{ZONE}{kind}")).await;
        assert_eq!(
            answer.body,
            json!({"containerName": "dlz-destination", "containerTTL": "0"})
        );
    }
    let answer = world.get(&format!("{ZONE}?type=other")).await;
    assert_eq!(answer.status, 400);
    let answer = world
        .act(&format!("{ZONE}/credentials?type=dlz_destination"))
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

#[tokio::test]
async fn credentials_have_the_documented_shape() {
    let world = World::new().await;
    let mut headers = world.headers();
    headers.insert("host", "zone.test".to_owned());
    let answer = world
        .call("GET", CREDENTIALS, &headers, Body::empty())
        .await;
    let (path, query) = signed(&answer);
    let org = world.first.org.as_str().strip_suffix("@AdobeOrg").unwrap();
    assert_eq!(
        path,
        format!("/offtake/v1/landing-zone/{org}-prod/dlz-destination")
    );
    assert!(query.starts_with("sv=2024-11-04&sr=c&sp=rl&se=2026-09-21T15:13:20Z&si=1&sig="));
    let mut keys: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "SASToken",
            "SASUri",
            "containerName",
            "expiryTime",
            "storageAccountName"
        ]
    );
    assert_eq!(answer.body["expiryTime"], NOW / 1_000 + 3_600);
    assert_eq!(answer.body["storageAccountName"], format!("{org}-prod"));
}

#[tokio::test]
async fn a_signed_address_lists_as_json_and_as_the_blob_service() {
    let world = World::new().await;
    for key in ["a/1.json", "a/2 & <3>.json", "b/x", "a/.part.part"] {
        put(&world, key, key);
    }
    let (path, query) = credentials(&world).await;

    let answer = bare(&world, "GET", &format!("{path}?{query}&maxresults=2"), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let names = |body: &Value| -> Vec<String> {
        let files = body["files"].as_array().unwrap();
        files
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&answer.body), ["a/1.json", "a/2 & <3>.json"]);
    assert_eq!(answer.body["nextMarker"], "a/2 & <3>.json");
    let next = format!("{path}?{query}&marker=a%2F2%20%26%20%3C3%3E.json");
    let answer = bare(&world, "GET", &next, &[]).await;
    assert_eq!(names(&answer.body), ["b/x"]);
    assert_eq!(answer.body["files"][0]["size"], 3);
    assert_eq!(answer.body.get("nextMarker"), None);

    let xml = format!("{path}?{query}&restype=container&comp=list&prefix=a%2F");
    let answer = bare(&world, "GET", &xml, &[]).await;
    assert_eq!(answer.headers["content-type"], "application/xml");
    assert!(
        answer
            .text
            .contains("<Name>a/2 &amp; &lt;3&gt;.json</Name>"),
        "{}",
        answer.text
    );
    assert!(
        answer
            .text
            .ends_with("</Blobs><NextMarker></NextMarker></EnumerationResults>")
    );
    assert!(!answer.text.contains(".part"));

    let folders = format!("{path}?{query}&delimiter=/");
    let answer = bare(&world, "GET", &folders, &[]).await;
    assert_eq!(answer.body, json!({"files": [], "folders": ["a/", "b/"]}));
    for odd in [
        "maxresults=0",
        "delimiter=x",
        "comp=metadata",
        "restype=container",
    ] {
        let answer = bare(&world, "GET", &format!("{path}?{query}&{odd}"), &[]).await;
        assert_eq!(answer.status, 400, "{odd}: {}", answer.text);
        assert_eq!(
            answer.headers["x-ms-error-code"],
            "InvalidQueryParameterValue"
        );
    }
}

#[tokio::test]
async fn a_file_is_downloaded_whole_and_in_ranges() {
    let world = World::new().await;
    put(&world, "é x/part 1.json", "0123456789");
    let (path, query) = credentials(&world).await;
    let file = format!("{path}/%C3%A9%20x/part%201.json?{query}");
    let whole = bare(&world, "GET", &file, &[]).await;
    assert_eq!((whole.status, whole.text.as_str()), (200, "0123456789"));
    assert_eq!(whole.headers["x-ms-blob-type"], "BlockBlob");
    let etag = whole.headers["etag"].to_str().unwrap().to_owned();
    for header in ["range", "x-ms-range"] {
        let asked = [(header, "bytes=2-4"), ("if-match", etag.as_str())];
        let some = bare(&world, "GET", &file, &asked).await;
        assert_eq!((some.status, some.text.as_str()), (206, "234"));
        assert_eq!(some.headers["content-range"], "bytes 2-4/10");
    }
    let head = bare(&world, "HEAD", &file, &[]).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], "10");
    let beyond = bare(&world, "GET", &file, &[("range", "bytes=10-")]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.headers["x-ms-error-code"], "InvalidRange");
    let other = bare(&world, "GET", &file, &[("if-match", "\"0x1\"")]).await;
    assert_eq!(other.status, 412);
    for key in [
        "missing",
        "..%2F..%2Fkey",
        "%C3%A9%20x",
        "a/../../x",
        "%2e%2e/%2e%2e/x",
    ] {
        let answer = bare(&world, "GET", &format!("{path}/{key}?{query}"), &[]).await;
        assert_eq!(answer.status, 404, "{key}: {}", answer.text);
        assert!(answer.text.starts_with("<?xml"), "{}", answer.text);
    }
    for method in ["PUT", "DELETE", "POST"] {
        assert_eq!(bare(&world, method, &file, &[]).await.status, 405);
    }
}

#[tokio::test]
async fn without_the_very_signature_nothing_is_answered() {
    let world = World::new().await;
    put(&world, "x", "secret");
    let (path, query) = credentials(&world).await;
    let (other_path, _) = path.split_once("-prod").unwrap();
    for address in [
        format!("{path}/x"),
        path.clone(),
        format!("{path}/x?{}", query.replace("si=1", "si=2")),
        format!("{path}/x?{}", query.replace("sp=rl", "sp=rwl")),
        format!("{path}/x?{}", query.replace("se=2026", "se=2036")),
        format!("{path}/x?{query}A"),
        format!("{other_path}-dev/dlz-destination/x?{query}"),
        format!("{path}s/x?{query}"),
    ] {
        let answer = bare(&world, "GET", &address, &[]).await;
        assert_eq!(answer.status, 403, "{address}: {}", answer.text);
        assert_eq!(answer.headers["x-ms-error-code"], "AuthenticationFailed");
        assert!(
            answer.text.contains("[SIGNATURE_INVALID]"),
            "{}",
            answer.text
        );
    }
    let good = format!("{path}/x?{query}");
    assert_eq!(bare(&world, "GET", &good, &[]).await.text, "secret");
    world.clock.advance(Duration::from_secs(3_599));
    assert_eq!(bare(&world, "GET", &good, &[]).await.text, "secret");
    world.clock.advance(Duration::from_secs(1));
    let late = bare(&world, "GET", &good, &[]).await;
    assert_eq!(late.status, 403);
    assert!(late.text.contains("[SIGNATURE_EXPIRED]"), "{}", late.text);
}

#[tokio::test]
async fn a_refresh_ends_what_was_given_out_before() {
    let world = World::new().await;
    put(&world, "x", "secret");
    let (path, old) = credentials(&world).await;
    let mut headers = world.headers();
    headers.insert("host", "zone.test".to_owned());
    for generation in ["si=2", "si=3"] {
        let (_, new) = signed(&world.call("POST", REFRESH, &headers, Body::empty()).await);
        assert!(new.contains(generation), "{new}");
        let refused = bare(&world, "GET", &format!("{path}/x?{old}"), &[]).await;
        assert_eq!(refused.status, 403);
        assert!(refused.text.contains("[SIGNATURE_INVALID]"));
        assert_eq!(
            bare(&world, "GET", &format!("{path}/x?{new}"), &[])
                .await
                .text,
            "secret"
        );
    }
    assert!(credentials(&world).await.1.contains("si=3"));

    let mut client = world.client().await;
    client.roles = vec![RoleBinding::everywhere(Role::Viewer)];
    let by = Actor::service(world.tenant(), "test");
    world.store.replace_client(&client, &by).await.unwrap();
    assert_eq!(world.get(CREDENTIALS).await.status, 200);
    assert_eq!(world.act(REFRESH).await.status, 403);
}

#[tokio::test]
async fn every_sandbox_has_a_zone_of_its_own() {
    let world = World::new().await;
    put(&world, "x", "of prod");
    let body = json!({"name": "dev", "title": "Dev"});
    let made = world
        .post("/data/foundation/sandbox-management/sandboxes", &body)
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let mut headers = world.headers();
    headers.insert("host", "zone.test".to_owned());
    headers.insert("x-sandbox-name", "dev".to_owned());
    let (path, query) = signed(
        &world
            .call("GET", CREDENTIALS, &headers, Body::empty())
            .await,
    );
    assert!(path.contains("-dev/"));
    let listed = bare(&world, "GET", &format!("{path}?{query}"), &[]).await;
    assert_eq!(listed.body, json!({"files": [], "folders": []}));
    // A refresh in one sandbox leaves the other's signatures alone.
    let (prod_path, prod) = credentials(&world).await;
    world.call("POST", REFRESH, &headers, Body::empty()).await;
    let kept = bare(&world, "GET", &format!("{prod_path}/x?{prod}"), &[]).await;
    assert_eq!(kept.text, "of prod");
}
