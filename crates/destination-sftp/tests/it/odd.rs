//! A server that refuses, lies, stalls or cuts off.

use bytes::Bytes;
use offtake_model::ErrorCode;

use crate::bench::Bench;

async fn code_of(user: &str) -> ErrorCode {
    let bench = Bench::odd(user);
    let bytes = Bytes::from(vec![1; 1_000_000]);
    let fault = bench.stage("a/file.json", 1, &bytes).await.unwrap_err();
    assert!(!format!("{fault:?}").contains(crate::server::ODD_PASSWORD));
    fault.code
}

#[tokio::test]
async fn a_full_disk_is_told() {
    assert_eq!(code_of("full-300000").await, ErrorCode::DestinationFull);
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_no_file() {
    assert_eq!(code_of("tight-900000").await, ErrorCode::DestinationFull);
    let bench = Bench::odd("tight-9000000");
    bench
        .stage("a/file.json", 1, &Bytes::from(vec![1; 1_000_000]))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_account_that_may_not_write_is_told() {
    assert_eq!(code_of("readonly").await, ErrorCode::DestinationDenied);
}

#[tokio::test]
async fn a_server_that_drops_bytes_it_took_seals_nothing() {
    assert_eq!(
        code_of("short-300000").await,
        ErrorCode::DestinationProtocol
    );
}

#[tokio::test]
async fn a_close_that_fails_seals_nothing() {
    assert_eq!(
        code_of("lateclose").await,
        ErrorCode::DestinationUnreachable
    );
}

#[tokio::test]
async fn a_connection_that_is_always_cut_is_given_up() {
    assert_eq!(code_of("drop-100").await, ErrorCode::DestinationUnreachable);
}

#[tokio::test]
async fn bytes_lost_between_two_connections_are_noticed() {
    let code = code_of("forgets-300000").await;
    assert_eq!(code, ErrorCode::DestinationDamaged);
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let bench = Bench::odd("slow-5");
    let bytes = Bytes::from(vec![1; 1_000_000]);
    bench.stage("a/file.json", 1, &bytes).await.unwrap();
}
