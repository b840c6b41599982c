//! The states that a kill leaves on disk, and what the next process makes of them.

use std::fs;

use bytes::Bytes;
use offtake_model::ErrorCode;
use offtake_ports::{Discarded, Published};

use crate::bench::{Bench, tag};

/// Kills an upload at this point: what it wrote stays, nothing cleans up.
async fn killed_upload(bench: &Bench, key: &str, bytes: &[u8]) -> offtake_model::StageHandle {
    let mut upload = bench.open().await.begin(key, &tag(1)).await.unwrap();
    upload.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    let handle = upload.handle().clone();
    std::mem::forget(upload);
    handle
}

#[tokio::test]
async fn a_half_written_file_is_removed_by_its_recorded_handle() {
    let bench = Bench::new();
    let handle = killed_upload(&bench, "a/file.json", &vec![1; 3_000_000]).await;
    assert_eq!(bench.everything().len(), 2);
    assert_eq!(
        bench.open().await.discard(&handle).await,
        Ok(Discarded::Gone)
    );
    assert_eq!(bench.everything(), Vec::<String>::new());
}

#[tokio::test]
async fn a_new_attempt_passes_by_what_a_killed_one_left() {
    let bench = Bench::new();
    let old = killed_upload(&bench, "a/file.json", b"half").await;
    let token = bench.stage("a/file.json", 2, b"whole").await;
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    assert_eq!(sink.discard(&old).await, Ok(Discarded::Gone));
    assert_eq!(
        fs::read(bench.folder().join("a/file.json")).unwrap(),
        b"whole"
    );
    assert_eq!(bench.everything(), ["a/", "a/file.json"]);
}

#[tokio::test]
async fn a_publish_killed_before_its_reply_is_found_done() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"rows").await;
    let staged = format!("a/.file.json.{}.part", token.handle.tag.attempt);
    fs::rename(
        bench.folder().join(staged),
        bench.folder().join("a/file.json"),
    )
    .unwrap();
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    assert_eq!(
        sink.discard(&token.handle).await,
        Ok(Discarded::WasPublished)
    );
}

#[tokio::test]
async fn a_publish_by_link_killed_between_its_steps_is_finished() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"rows").await;
    let staged = bench
        .folder()
        .join(format!("a/.file.json.{}.part", token.handle.tag.attempt));
    fs::hard_link(&staged, bench.folder().join("a/file.json")).unwrap();
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    assert_eq!(bench.everything(), ["a/", "a/file.json"]);
}

#[tokio::test]
async fn a_publish_by_link_killed_between_its_steps_counts_as_published_for_a_discard() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"rows").await;
    let staged = bench
        .folder()
        .join(format!("a/.file.json.{}.part", token.handle.tag.attempt));
    fs::hard_link(&staged, bench.folder().join("a/file.json")).unwrap();
    let sink = bench.open().await;
    assert_eq!(
        sink.discard(&token.handle).await,
        Ok(Discarded::WasPublished)
    );
    assert_eq!(bench.everything(), ["a/", "a/file.json"]);
}

#[tokio::test]
async fn a_staged_file_that_lost_bytes_is_lost() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"rows").await;
    let staged = bench
        .folder()
        .join(format!("a/.file.json.{}.part", token.handle.tag.attempt));
    fs::File::options()
        .write(true)
        .open(staged)
        .unwrap()
        .set_len(3)
        .unwrap();
    let sink = bench.open().await;
    assert_eq!(sink.publish(&token).await, Ok(Published::Lost));
    assert_eq!(sink.look(&token).await, Ok(None));
}

#[tokio::test]
async fn a_published_file_that_somebody_cut_is_no_longer_ours() {
    let bench = Bench::new();
    let token = bench.stage("a/file.json", 1, b"rows").await;
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    let file = fs::File::options()
        .write(true)
        .open(bench.folder().join("a/file.json"));
    file.unwrap().set_len(3).unwrap();
    assert!(
        sink.look(&token)
            .await
            .unwrap()
            .is_some_and(|seen| !seen.ours && seen.bytes == 3)
    );
    assert_eq!(sink.publish(&token).await, Ok(Published::Conflict));
}

#[tokio::test]
async fn a_manifest_put_twice_across_a_crash_is_one_manifest() {
    let bench = Bench::new();
    let key = "a/_offtake/one.manifest";
    bench
        .open()
        .await
        .put(key, Bytes::from_static(b"{}"))
        .await
        .unwrap();
    bench
        .open()
        .await
        .put(key, Bytes::from_static(b"{}"))
        .await
        .unwrap();
    let other = bench.open().await.put(key, Bytes::from_static(b"[]")).await;
    assert_eq!(other.unwrap_err().code, ErrorCode::DestinationConflict);
    assert_eq!(bench.everything(), ["a/", "a/_offtake/", key]);
}
