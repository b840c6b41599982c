//! Which servers are believed.

use std::fs;

use offtake_model::ErrorCode;
use serde_json::json;

use crate::bench::Bench;
use crate::server::Server;

#[tokio::test]
async fn an_unknown_server_is_refused_and_its_fingerprint_shown() {
    let mut bench = Bench::openssh();
    bench.params["hostKeys"] = json!([]);
    let fault = bench.probe().await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::HostKeyUnknown);
    let (_, print) = fault.message.split_once("key SHA256:").unwrap();
    let print = print.split_once(',').unwrap().0;
    bench.params["hostKeys"] = json!([format!("SHA256:{print}")]);
    assert_eq!(bench.probe().await, Ok(()));
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_a_hard_failure() {
    let mut bench = Bench::openssh();
    bench.params["hostKeys"] = json!([Server::openssh().host_key()]);
    assert_eq!(
        bench.probe().await.unwrap_err().code,
        ErrorCode::HostKeyChanged
    );
}

#[tokio::test]
async fn the_operators_known_hosts_are_enough() {
    let mut bench = Bench::openssh();
    bench.params["hostKeys"] = json!([]);
    let known = bench.server.beside("known_hosts");
    fs::write(
        &known,
        format!(
            "[127.0.0.1]:{} {}\n",
            bench.server.port,
            bench.server.host_key()
        ),
    )
    .unwrap();
    bench.settings.known_hosts = Some(known);
    assert_eq!(bench.probe().await, Ok(()));
}

#[tokio::test]
async fn first_use_records_only_when_asked_for_and_enforces_afterwards() {
    let mut bench = Bench::openssh();
    bench.params["hostKeys"] = json!([]);
    let record = bench.server.beside("first_use");
    bench.settings.first_use = Some(record.clone());
    assert_eq!(bench.probe().await, Ok(()));
    assert_eq!(bench.probe().await, Ok(()));
    let other = Server::openssh().host_key();
    fs::write(
        &record,
        format!("[127.0.0.1]:{} {other}\n", bench.server.port),
    )
    .unwrap();
    assert_eq!(
        bench.probe().await.unwrap_err().code,
        ErrorCode::HostKeyChanged
    );
}
