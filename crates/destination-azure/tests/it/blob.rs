//! The Blob sink: its promises, what it leaves, and what wrong settings say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use offtake_destination_azure::AzureSinks;
use offtake_model::ErrorCode;
use offtake_model::plan::DestinationKind;
use offtake_ports::testing::SinkBench;
use offtake_ports::testing::explore_suite::shows;
use offtake_ports::testing::sink_suite::{conforms, reads_back};
use offtake_ports::{Discarded, Published, Sinks, StagedSink};
use offtake_storage::Retries;

use crate::bench::{
    Container, Entry, Told, access_of, done, has, key_string, network, sas_string, sink_ref, stage,
    tag,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_conforms_with_the_accounts_key() {
    if has("AZURE_ENDPOINT") {
        let container = Container::make(Entry::Key).await;
        assert_eq!(conforms(&container).await, Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_conforms_with_a_signature() {
    if has("AZURE_ENDPOINT") {
        let container = Container::make(Entry::Sas("rcwd")).await;
        assert_eq!(conforms(&container).await, Ok(()));
    }
}

#[tokio::test]
async fn manifests_are_read_back_where_the_signature_may_list() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    for entry in [Entry::Key, Entry::Sas("rcwdl")] {
        let container = Container::make(entry).await;
        assert_eq!(reads_back(&container).await, Ok(()), "{entry:?}");
    }
    let container = Container::make(Entry::Sas("rcwd")).await;
    let denied = open(&container).await.list("a").await.unwrap_err();
    assert_eq!(denied.code, ErrorCode::DestinationDenied);
}

#[tokio::test]
async fn a_container_is_shown() {
    if has("AZURE_ENDPOINT") {
        let container = Container::make(Entry::Sas("rcwdl")).await;
        let sinks = container.azure_sinks();
        assert_eq!(shows(&container, &sinks).await, Ok(()));
    }
}

async fn open(container: &Container) -> Arc<dyn StagedSink> {
    container
        .azure_sinks()
        .open(&container.sink())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_probe_and_a_discard_of_a_whole_file_leave_nothing() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let container = Container::make(Entry::Key).await;
    let sink = open(&container).await;
    sink.probe().await.unwrap();
    let token = stage(&*sink, "a/file.json", 1, b"rows").await;
    assert_eq!(sink.discard(&token.handle).await, Ok(Discarded::Gone));
    assert_eq!(container.everything().await, [""; 0]);
}

#[tokio::test]
async fn files_can_be_delivered_without_the_rights_to_read_and_to_delete() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let container = Container::make(Entry::Sas("cw")).await;
    let sink = open(&container).await;
    let token = stage(&*sink, "a/file.json", 1, b"rows").await;
    let other = stage(&*sink, "a/file.json", 2, b"ROWS").await;
    assert_eq!(sink.look(&token).await, Ok(None));
    for _ in 0..2 {
        assert!(done(&sink.publish(&token).await.unwrap()));
        assert!(sink.look(&token).await.unwrap().unwrap().ours);
    }
    assert_eq!(sink.publish(&other).await, Ok(Published::Conflict));
    assert!(!sink.look(&other).await.unwrap().unwrap().ours);
    assert_eq!(
        container.read("a/file.json").await,
        Ok(Some(Bytes::from_static(b"rows")))
    );
    for _ in 0..2 {
        sink.put("a/m", Bytes::from_static(b"{}")).await.unwrap();
    }
    let conflict = sink
        .put("a/m", Bytes::from_static(b"[]"))
        .await
        .unwrap_err();
    assert_eq!(conflict.code, ErrorCode::DestinationConflict);
    let denied = sink.discard(&other.handle).await.unwrap_err();
    assert_eq!(denied.code, ErrorCode::DestinationDenied);
}

#[tokio::test]
async fn a_discard_without_the_right_to_delete_makes_nothing_visible() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let container = Container::make(Entry::Sas("rcw")).await;
    let sink = open(&container).await;
    let token = stage(&*sink, "a/file.json", 1, b"rows").await;
    assert_eq!(sink.discard(&token.handle).await, Ok(Discarded::Gone));
    assert_eq!(sink.publish(&token).await, Ok(Published::Lost));
    assert_eq!(container.list().await.unwrap(), [""; 0]);
}

/// A discard that ended between its commit and its deletion left a blob under a dying tag.
#[tokio::test]
async fn what_a_discard_left_halfway_is_cleared_by_whoever_comes_next() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let container = Container::make(Entry::Key).await;
    let sink = open(&container).await;
    let dying = |attempt| format!("discarded/{}", tag(attempt));
    for (key, attempt) in [("a/again.json", 1), ("a/next.json", 2)] {
        container.plant(key, &dying(attempt)).await;
    }
    let handle = stage(&*sink, "a/again.json", 1, b"rows").await.handle;
    assert_eq!(sink.discard(&handle).await, Ok(Discarded::Gone));
    let next = stage(&*sink, "a/next.json", 3, b"rows").await;
    assert!(!sink.look(&next).await.unwrap().unwrap().ours);
    assert!(done(&sink.publish(&next).await.unwrap()));
    assert_eq!(container.list().await.unwrap(), ["a/next.json"]);
}

#[tokio::test]
async fn each_wrong_setting_has_its_own_code() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let container = Container::make(Entry::Key).await;
    let (name, hour) = (container.name.as_str(), Duration::from_hours(1));
    let right = crate::bench::known("AZURE_KEY");
    let wrong = "d3Jvbmcga2V5";
    let table = [
        (key_string(wrong), name, ErrorCode::DestinationKeysInvalid),
        (
            key_string(&right),
            "no-such-container",
            ErrorCode::DestinationBucketMissing,
        ),
        (key_string("!"), name, ErrorCode::ConnectionStringInvalid),
        (sas_string(name, "rl", hour), name, ErrorCode::SasTooNarrow),
        (
            sas_string(name, "rcwd", Duration::from_mins(5)),
            name,
            ErrorCode::DestinationKeysExpired,
        ),
        (
            sas_string("another", "rcwd", hour),
            name,
            ErrorCode::DestinationDenied,
        ),
        (
            sas_string(name, "cw", hour),
            name,
            ErrorCode::DestinationDenied,
        ),
    ];
    for (text, container, expected) in table {
        let told = Arc::new(Told(access_of(&text)));
        let sinks = AzureSinks::new(&network(), told, Retries::default());
        let opened = sinks
            .open(&sink_ref(DestinationKind::AzureBlob, Some(container)))
            .await;
        let fault = match opened {
            Ok(sink) => sink.probe().await.unwrap_err(),
            Err(fault) => fault,
        };
        assert_eq!(fault.code, expected, "{fault}");
        let shown = format!("{fault:?}");
        assert!(!shown.contains(&right) && !shown.contains(wrong), "{shown}");
        assert!(!shown.contains("sig="), "{shown}");
    }
}

#[tokio::test]
async fn a_blob_of_somebody_else_is_left_alone() {
    if !has("AZURE_ENDPOINT") {
        return;
    }
    let container = Container::make(Entry::Key).await;
    let sink = open(&container).await;
    let token = stage(&*sink, "a/file.json", 1, b"rows").await;
    let planted = container.call(Method::PUT, "/a/file.json").await;
    assert_eq!(planted.status().as_u16(), 201);
    assert_eq!(sink.publish(&token).await, Ok(Published::Conflict));
    assert_eq!(sink.discard(&token.handle).await, Ok(Discarded::Gone));
    sink.retract(&token.handle).await.unwrap();
    assert_eq!(container.read("a/file.json").await, Ok(Some(Bytes::new())));
}
