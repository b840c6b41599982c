//! The landing zone in containers: who is let in, for how long, and what is taken away.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request};
use offtake_destination_azure::{ContainerZoneSettings, ContainerZones};
use offtake_model::plan::DestinationKind;
use offtake_model::{Millis, SandboxName, Tenant};
use offtake_ports::testing::ManualClock;
use offtake_ports::testing::retention_suite::withdraws;
use offtake_ports::{Explorer, FolderEntry, Sinks, ZoneIssuer, ZoneKeys, ZonePlace, Zones};
use offtake_storage::Retries;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::bench::{done, has, known, network, sink_ref, stage};

const HOUR: Duration = Duration::from_hours(1);

/// Zones whose containers no other test uses.
fn zones(now: Millis) -> ContainerZones {
    let settings = ContainerZoneSettings {
        prefix: Uuid::new_v4().simple().to_string()[..15].to_owned(),
        account: known("AZURE_ACCOUNT"),
        account_key: SecretString::from(known("AZURE_KEY")),
        endpoint: Some(known("AZURE_ENDPOINT")),
    };
    let clock = Arc::new(ManualClock::new(now));
    ContainerZones::new(&network(), settings, Retries::default(), clock).unwrap()
}

fn now() -> Millis {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Millis::from_secs(i64::try_from(since.as_secs()).unwrap())
}

fn tenant(sandbox: &str) -> Tenant {
    Tenant {
        sandbox: SandboxName(sandbox.to_owned()),
        ..sink_ref(DestinationKind::LandingZone, None).tenant
    }
}

/// Address and token that were given out for the tenant.
async fn issued(zones: &ContainerZones, tenant: &Tenant, lifetime: Duration) -> (String, String) {
    match zones.issue(tenant, lifetime).await.unwrap() {
        ZoneKeys::Signature { url, token, .. } => (url, token.expose_secret().to_owned()),
        ZoneKeys::Temporary { .. } => panic!("a container is opened by a signature"),
    }
}

/// Status and body of a receiver's request.
async fn ask(method: Method, address: String) -> (u16, String) {
    let mut request = Request::new(Bytes::new());
    let kind = http::HeaderValue::from_static("BlockBlob");
    request.headers_mut().insert("x-ms-blob-type", kind);
    if method == Method::PUT {
        let none = http::HeaderValue::from_static("0");
        request.headers_mut().insert(CONTENT_LENGTH, none);
    }
    *request.method_mut() = method;
    *request.uri_mut() = address.parse().unwrap();
    let answer = network().door().send(request).await.unwrap();
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    (answer.status().as_u16(), body)
}

#[tokio::test]
async fn a_signature_lists_and_reads_one_sandbox_and_does_nothing_else() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let zones = zones(now());
    let (ours, theirs) = (tenant("prod"), tenant("dev"));
    let (url, token) = issued(&zones, &ours, HOUR).await;
    let list = |url: &str| format!("{url}?restype=container&comp=list&{token}");
    assert_eq!(ask(Method::GET, list(&url)).await.0, 200);
    for tenant in [&ours, &theirs] {
        let mut sink = sink_ref(DestinationKind::LandingZone, None);
        sink.tenant = tenant.clone();
        let opened = zones.open(&sink).await.unwrap();
        let staged = stage(&*opened, "a/file.json", 1, b"rows").await;
        assert!(done(&opened.publish(&staged).await.unwrap()));
        let shown = Explorer::list(&zones, &sink, "", 10).await.unwrap();
        assert_eq!(shown, [FolderEntry::Folder("a".to_owned())]);
    }
    let (status, listed) = ask(Method::GET, list(&url)).await;
    assert!(
        status == 200 && listed.contains("<Name>a/file.json</Name>"),
        "{listed}"
    );
    let file = |url: &str| format!("{url}/a/file.json?{token}");
    assert_eq!(ask(Method::GET, file(&url)).await, (200, "rows".to_owned()));
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(ask(method, file(&url)).await.0, 403);
    }
    let ZonePlace::Container { container, .. } = zones.place(&theirs) else {
        panic!("a zone in an account is a container");
    };
    let other = format!("{}/{container}", url.rsplit_once('/').unwrap().0);
    assert_eq!(ask(Method::GET, list(&other)).await.0, 403);
    assert_eq!(ask(Method::GET, file(&other)).await.0, 403);
    let (without, _) = ask(Method::GET, format!("{url}/a/file.json")).await;
    assert!((400..500).contains(&without), "{without}");
}

#[tokio::test]
async fn a_signature_ends_and_is_never_good_for_longer_than_a_week() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let past = Millis::from_secs(now().secs() - 10);
    let (url, token) = issued(&zones(past), &tenant("prod"), Duration::from_secs(5)).await;
    let listed = ask(
        Method::GET,
        format!("{url}?restype=container&comp=list&{token}"),
    )
    .await;
    assert_eq!(listed.0, 403);
    let issued = zones(Millis(0)).issue(&tenant("prod"), Duration::MAX).await;
    let Ok(ZoneKeys::Signature { expires_at, .. }) = issued else {
        panic!("{issued:?}");
    };
    assert_eq!(expires_at.secs(), 7 * 86_400);
}

#[tokio::test]
async fn what_was_put_is_withdrawn_by_its_bytes() {
    if has("AZURE_ENDPOINT") {
        let zone = zones(now()).zone(&tenant("prod")).await.unwrap();
        assert_eq!(withdraws(&*zone).await, Ok(()));
    }
}
