//! Names and links that try to leave the zone.

use std::fs;
use std::os::unix::fs::symlink;

use bytes::Bytes;
use offtake_model::ErrorCode;
use offtake_ports::{Discarded, Published, Sinks};

use crate::bench::{Bench, sink, tag, tenant};

#[tokio::test]
async fn a_key_that_walks_out_is_refused_by_every_call() {
    let bench = Bench::new();
    let sink = bench.open().await;
    let mut token = bench.stage("a/file.json", 1, b"x").await;
    for key in [
        "../out.json",
        "a/../../out.json",
        "/out.json",
        "a//b",
        "a/./b",
        "",
        "a/.b.part",
    ] {
        token.handle.key = key.to_owned();
        assert!(sink.begin(key, &tag(2)).await.is_err(), "{key}");
        assert!(sink.publish(&token).await.is_err(), "{key}");
        assert!(sink.discard(&token.handle).await.is_err(), "{key}");
        assert!(sink.retract(&token.handle).await.is_err(), "{key}");
        assert!(sink.look(&token).await.is_err(), "{key}");
        assert!(sink.put(key, Bytes::new()).await.is_err(), "{key}");
    }
    assert_eq!(bench.everything().len(), 2);
}

#[tokio::test]
async fn a_tenant_that_walks_out_is_refused() {
    let bench = Bench::new();
    for (org, sandbox) in [("..", "prod"), ("org", ".."), ("a/b", "prod"), ("", "prod")] {
        let mut other = sink();
        other.tenant.org.0 = org.to_owned();
        other.tenant.sandbox.0 = sandbox.to_owned();
        assert!(
            bench.folder_sinks().open(&other).await.is_err(),
            "{org}/{sandbox}"
        );
    }
}

#[tokio::test]
async fn a_folder_replaced_by_a_link_is_not_followed() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file.json"), b"theirs").unwrap();
    let sink = bench.open().await;
    let mut token = bench.stage("other/file.json", 1, b"ours").await;
    symlink(outside.path(), bench.folder().join("link")).unwrap();
    token.handle.key = "link/file.json".to_owned();
    let begun = sink.begin("link/new.json", &tag(1)).await.err().unwrap();
    assert_eq!(begun.code, ErrorCode::DestinationConflict);
    let put = sink.put("link/new.json", Bytes::new()).await.unwrap_err();
    assert_eq!(put.code, ErrorCode::DestinationConflict);
    assert!(sink.publish(&token).await.is_err());
    assert!(sink.retract(&token.handle).await.is_err());
    let zone = bench.folder_sinks().zone(&tenant()).await.unwrap();
    assert!(zone.read("link/file.json").await.is_err());
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().collect();
    assert_eq!(names.len(), 1);
    assert_eq!(
        fs::read(outside.path().join("file.json")).unwrap(),
        b"theirs"
    );
}

#[tokio::test]
async fn a_link_at_the_final_name_is_a_conflict_and_is_left_alone() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("theirs");
    fs::write(&target, b"theirs").unwrap();
    let token = bench.stage("a/file.json", 1, b"ours").await;
    symlink(&target, bench.folder().join("a/file.json")).unwrap();
    let sink = bench.open().await;
    assert_eq!(sink.publish(&token).await, Ok(Published::Conflict));
    assert!(
        sink.look(&token)
            .await
            .unwrap()
            .is_some_and(|seen| !seen.ours)
    );
    sink.retract(&token.handle).await.unwrap();
    assert_eq!(sink.discard(&token.handle).await, Ok(Discarded::Gone));
    let put = sink.put("a/file.json", Bytes::from_static(b"theirs")).await;
    assert_eq!(put.unwrap_err().code, ErrorCode::DestinationConflict);
    let zone = bench.folder_sinks().zone(&tenant()).await.unwrap();
    assert_eq!(zone.read("a/file.json").await, Ok(None));
    assert_eq!(fs::read(&target).unwrap(), b"theirs");
    assert!(bench.folder().join("a/file.json").is_symlink());
}

#[tokio::test]
async fn a_link_in_place_of_a_staged_file_is_never_published() {
    let bench = Bench::new();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let token = bench.stage("a/file.json", 1, b"ours").await;
    let staged = bench
        .folder()
        .join(format!("a/.file.json.{}.part", token.handle.tag.attempt));
    fs::remove_file(&staged).unwrap();
    symlink(outside.path(), &staged).unwrap();
    assert_eq!(
        bench.open().await.publish(&token).await,
        Ok(Published::Lost)
    );
    assert!(!bench.folder().join("a/file.json").is_symlink());
}

#[tokio::test]
async fn a_folder_at_the_final_name_is_a_conflict() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"ours").await;
    fs::create_dir(bench.folder().join("a/file.json")).unwrap();
    let sink = bench.open().await;
    assert_eq!(sink.publish(&token).await, Ok(Published::Conflict));
    sink.retract(&token.handle).await.unwrap();
    assert!(bench.folder().join("a/file.json").is_dir());
}

#[tokio::test]
async fn a_file_in_place_of_a_folder_refuses_the_upload_and_leaves_nothing_to_discard() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"ours").await;
    let mut handle = token.handle.clone();
    handle.key = "plain/file.json".to_owned();
    fs::write(bench.folder().join("plain"), b"theirs").unwrap();
    let sink = bench.open().await;
    let refused = sink.begin(&handle.key, &handle.tag).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::DestinationConflict);
    assert_eq!(sink.discard(&handle).await, Ok(Discarded::Gone));
    assert_eq!(fs::read(bench.folder().join("plain")).unwrap(), b"theirs");
}
