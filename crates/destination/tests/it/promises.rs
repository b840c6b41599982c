use bytes::Bytes;
use offtake_model::ErrorCode;
use offtake_model::plan::DestinationKind;
use offtake_ports::testing::explore_suite::shows;
use offtake_ports::testing::sink_suite::{conforms, reads_back};
use offtake_ports::{Discarded, Published, Sinks};

use crate::bench::{Bench, sink, tag, tenant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_conforms() {
    assert_eq!(conforms(&Bench::new()).await, Ok(()));
}

#[tokio::test]
async fn the_folder_conforms_on_one_thread() {
    assert_eq!(conforms(&Bench::new()).await, Ok(()));
}

#[tokio::test]
async fn the_folder_can_be_read_back() {
    assert_eq!(reads_back(&Bench::new()).await, Ok(()));
}

#[tokio::test]
async fn the_folder_is_shown() {
    let bench = Bench::new();
    assert_eq!(shows(&bench, &bench.folder_sinks()).await, Ok(()));
}

#[tokio::test]
async fn a_probe_leaves_nothing() {
    let bench = Bench::new();
    bench.open().await.probe().await.unwrap();
    assert_eq!(bench.everything(), Vec::<String>::new());
}

#[tokio::test]
async fn a_discarded_delivery_leaves_not_even_a_folder() {
    let bench = Bench::new();
    let one = bench.stage("exports/day/one.json", 1, b"1").await;
    let two = bench.stage("exports/day/two.json", 2, b"2").await;
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&one).await,
        Ok(Published::Done { .. })
    ));
    assert_eq!(sink.discard(&two.handle).await, Ok(Discarded::Gone));
    assert_eq!(
        bench.everything(),
        ["exports/", "exports/day/", "exports/day/one.json"]
    );
    sink.retract(&one.handle).await.unwrap();
    assert_eq!(bench.everything(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing_once_it_is_discarded() {
    let bench = Bench::new();
    let sink = bench.open().await;
    let mut upload = sink.begin("a/b/file.json", &tag(1)).await.unwrap();
    upload.write(Bytes::from_static(b"half")).await.unwrap();
    let handle = upload.handle().clone();
    drop(upload);
    assert_eq!(sink.discard(&handle).await, Ok(Discarded::Gone));
    assert_eq!(bench.everything(), Vec::<String>::new());
}

#[tokio::test]
async fn a_handle_without_detail_still_finds_the_attempts_file() {
    let bench = Bench::new();
    let mut token = bench.stage("a/file.json", 1, b"x").await;
    token.handle.detail.clear();
    let sink = bench.open().await;
    assert_eq!(sink.discard(&token.handle).await, Ok(Discarded::Gone));
    assert_eq!(bench.everything(), Vec::<String>::new());
}

#[tokio::test]
async fn an_attempt_begins_once() {
    let bench = Bench::new();
    let sink = bench.open().await;
    let _upload = sink.begin("a/file.json", &tag(1)).await.unwrap();
    let twice = sink.begin("a/file.json", &tag(1)).await.err().unwrap();
    assert_eq!(twice.code, ErrorCode::DestinationConflict);
}

#[tokio::test]
async fn files_and_folders_are_closed_to_strangers() {
    use std::os::unix::fs::PermissionsExt;

    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"x").await;
    assert!(matches!(
        bench.open().await.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    for name in ["", "a", "a/file.json"] {
        let mode = std::fs::metadata(bench.folder().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o007, 0, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn readers_get_a_published_file_by_key() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"rows").await;
    let zone = bench.folder_sinks().zone(&tenant()).await.unwrap();
    assert_eq!(zone.read("a/file.json").await, Ok(None));
    assert!(matches!(
        bench.open().await.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    let read = zone.read("a/file.json").await.unwrap().unwrap();
    assert_eq!(read, b"rows".as_slice());
    let file = zone.open("a/file.json").await.unwrap().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4);
}

#[tokio::test]
async fn other_destinations_are_not_available() {
    let bench = Bench::new();
    for kind in [
        DestinationKind::S3,
        DestinationKind::AzureBlob,
        DestinationKind::AdlsGen2,
        DestinationKind::Gcs,
        DestinationKind::Sftp,
    ] {
        let mut other = sink();
        other.kind = kind;
        let fault = bench.folder_sinks().open(&other).await.err().unwrap();
        assert_eq!(fault.code, ErrorCode::DestinationNotAvailable);
    }
}

#[tokio::test]
async fn sandboxes_do_not_see_each_other() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"x").await;
    let mut dev = sink();
    dev.tenant.sandbox.0 = "dev".to_owned();
    let other = bench.folder_sinks().open(&dev).await.unwrap();
    assert_eq!(other.publish(&token).await, Ok(Published::Lost));
    assert_eq!(other.look(&token).await, Ok(None));
    assert!(matches!(
        bench.open().await.publish(&token).await,
        Ok(Published::Done { .. })
    ));
}
