use std::fs;
use std::os::unix::fs::symlink;

use bytes::Bytes;
use offtake_destination_sftp::OnAmbiguous;
use offtake_model::ErrorCode;
use offtake_ports::testing::explore_suite::shows;
use offtake_ports::testing::sink_suite::{conforms, reads_back};
use offtake_ports::{Discarded, EndOfStream, Explorer, FolderEntry, Published};

use crate::bench::{Bench, sink, tag};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssh_conforms() {
    assert_eq!(conforms(&Bench::openssh()).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_conforms_by_password() {
    assert_eq!(conforms(&Bench::odd("plain")).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_posix_rename_conforms() {
    assert_eq!(conforms(&Bench::odd("norename")).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_servers_can_be_read_back() {
    assert_eq!(reads_back(&Bench::openssh()).await, Ok(()));
    assert_eq!(reads_back(&Bench::odd("plain")).await, Ok(()));
}

#[tokio::test]
async fn both_servers_are_shown() {
    for bench in [Bench::openssh(), Bench::odd("plain")] {
        assert_eq!(shows(&bench, &bench.sftp_sinks()).await, Ok(()));
    }
}

#[tokio::test]
async fn links_are_shown_as_what_they_lead_to() {
    let bench = Bench::openssh();
    let place = bench.root();
    fs::create_dir(place.join("folder")).unwrap();
    fs::write(place.join("file"), b"x").unwrap();
    for (name, to) in [("a", "folder"), ("b", "file"), ("c", "nothing")] {
        symlink(to, place.join(name)).unwrap();
    }
    let found = bench.sftp_sinks().list(&sink(), "", 10).await.unwrap();
    let folder = |name: &str| FolderEntry::Folder(name.to_owned());
    let file = |name: &str| FolderEntry::File(name.to_owned());
    assert_eq!(
        found,
        [folder("a"), folder("folder"), file("b"), file("file")]
    );
}

#[tokio::test]
async fn a_probe_leaves_nothing() {
    let bench = Bench::openssh();
    bench.probe().await.unwrap();
    assert_eq!(fs::read_dir(bench.root()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_good_delivery_leaves_nothing_hidden() {
    let bench = Bench::openssh();
    let token = bench
        .stage("a/b/file.json", 1, &Bytes::from_static(b"rows"))
        .await
        .unwrap();
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    sink.put("a/_offtake/m", Bytes::from_static(b"manifest"))
        .await
        .unwrap();
    assert_eq!(bench.everything(), ["a/_offtake/m", "a/b/file.json"]);
}

#[tokio::test]
async fn a_file_taken_before_it_was_seen_is_ambiguous_or_sent_again() {
    let mut bench = Bench::openssh();
    let token = bench
        .stage("a/file.json", 1, &Bytes::from_static(b"rows"))
        .await
        .unwrap();
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    fs::remove_file(bench.root().join("a/file.json")).unwrap();
    assert_eq!(sink.publish(&token).await, Ok(Published::Ambiguous));
    bench.settings.on_ambiguous = OnAmbiguous::Resend;
    assert_eq!(
        bench.open().await.publish(&token).await,
        Ok(Published::Lost)
    );
}

#[tokio::test]
async fn a_discarded_attempt_keeps_no_bytes() {
    let bench = Bench::openssh();
    let token = bench
        .stage("file.json", 1, &Bytes::from(vec![7; 100_000]))
        .await
        .unwrap();
    assert_eq!(
        bench.open().await.discard(&token.handle).await,
        Ok(Discarded::Gone)
    );
    let left = bench.everything();
    assert_eq!(left.len(), 1);
    assert_eq!(fs::metadata(bench.root().join(&left[0])).unwrap().len(), 0);
}

#[tokio::test]
async fn an_attempt_whose_upload_was_never_journaled_owns_no_visible_file() {
    let bench = Bench::openssh();
    let token = bench
        .stage("file.json", 1, &Bytes::from_static(b"rows"))
        .await
        .unwrap();
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    let mut other = token.handle.clone();
    other.tag = tag(2);
    other.detail.clear();
    assert_eq!(sink.discard(&other).await, Ok(Discarded::Gone));
    sink.retract(&other).await.unwrap();
    assert_eq!(bench.everything(), ["file.json"]);
}

#[tokio::test]
async fn an_attempt_begins_once() {
    let bench = Bench::openssh();
    let sink = bench.open().await;
    let _upload = sink.begin("a/file.json", &tag(1)).await.unwrap();
    let twice = sink.begin("a/file.json", &tag(1)).await.err().unwrap();
    assert_eq!(twice.code, ErrorCode::DestinationConflict);
}

#[tokio::test]
async fn a_key_that_walks_out_is_refused() {
    let bench = Bench::openssh();
    let sink = bench.open().await;
    for key in ["../out.json", "/etc/x", "a/../../x", "a/.b.part"] {
        assert!(sink.begin(key, &tag(1)).await.is_err(), "{key}");
        assert!(sink.put(key, Bytes::new()).await.is_err(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_the_middle_is_resumed() {
    // The server cuts every connection after 3 MB: the file arrives over several.
    let bench = Bench::odd("drop-3000000");
    let bytes: Bytes = (0..8_000_000_u32).map(|at| (at % 251) as u8).collect();
    let token = bench.stage("a/file.bin", 1, &bytes).await.unwrap();
    let sink = bench.open().await;
    assert!(matches!(
        sink.publish(&token).await,
        Ok(Published::Done { .. })
    ));
    assert!(fs::read(bench.root().join("a/file.bin")).unwrap() == bytes);
}

#[tokio::test]
async fn a_proof_of_other_bytes_is_refused() {
    let bench = Bench::openssh();
    let mut upload = bench.open().await.begin("f", &tag(1)).await.unwrap();
    upload.write(Bytes::from_static(b"abc")).await.unwrap();
    let sealed = upload.seal(EndOfStream { bytes: 4 }).await;
    assert_eq!(sealed.unwrap_err().code, ErrorCode::RowsMismatch);
}
