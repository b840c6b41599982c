//! A destination without room, played by the file size limit of a child process: the kernel refuses the write as a
//! full disk would.

use std::process::Command;

use bytes::Bytes;
use offtake_model::ErrorCode;
use offtake_ports::{Discarded, EndOfStream};

use crate::bench::{Bench, tag};

const IN_CHILD: &str = "OFFTAKE_TEST_FILE_SIZE_LIMITED";

/// The limit in 512-byte blocks, as `ulimit -f` counts, and more bytes than it allows.
const LIMIT_BLOCKS: &str = "2048";
const TOO_MANY: usize = 4 * 1024 * 1024;

#[test]
fn a_write_without_room_says_full_and_leaves_nothing() {
    if std::env::var_os(IN_CHILD).is_some() {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let child = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"",
            "sh",
            LIMIT_BLOCKS,
        ])
        .arg(program)
        .args(["full::without_room_in_the_child", "--exact", "--nocapture"])
        .env(IN_CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success(), "{said}{wrong}");
    assert!(said.contains("1 passed"), "the child ran no test: {said}");
}

#[tokio::test]
async fn without_room_in_the_child() {
    if std::env::var_os(IN_CHILD).is_none() {
        return;
    }
    let bench = Bench::new();
    let sink = bench.open().await;
    let mut upload = sink.begin("a/file.json", &tag(1)).await.unwrap();
    let handle = upload.handle().clone();
    // One write is always under way, so the refusal can come a call later.
    let first = upload.write(Bytes::from(vec![7; TOO_MANY])).await;
    let later = upload.write(Bytes::from(vec![7; TOO_MANY])).await;
    let fault = first.and(later).unwrap_err();
    assert_eq!(fault.code, ErrorCode::DestinationFull);
    assert!(fault.message.contains("a/file.json"));
    let proof = EndOfStream {
        bytes: 2 * TOO_MANY as u64,
    };
    assert!(upload.seal(proof).await.is_err());
    assert_eq!(sink.discard(&handle).await, Ok(Discarded::Gone));
    let put = sink
        .put("a/big.manifest", Bytes::from(vec![7; TOO_MANY]))
        .await;
    assert_eq!(put.unwrap_err().code, ErrorCode::DestinationFull);
    assert_eq!(bench.everything(), Vec::<String>::new());
}
