//! What the door says of a request that got no whole answer.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use offtake_model::ErrorCode;
use offtake_storage::{Network, NetworkSettings, NoAnswer, Patience};
use tokio::net::TcpListener;

use crate::bed::{Server, allowing, ok, with_secret};

fn here() -> Network {
    Network::new(NetworkSettings {
        answer_max: 16,
        request_timeout: Duration::from_millis(200),
        ..allowing(&["127.0.0.1"])
    })
    .unwrap()
}

#[tokio::test]
async fn any_status_is_an_answer() {
    let text = "HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";
    let server = Server::start("127.0.0.1", text).await;
    let url = format!("http://{}/", server.address);
    let answer = here().door().send(with_secret(&url)).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.body(), &Bytes::from_static(b"busy"));
}

#[tokio::test]
async fn nobody_listening_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?sig=c4nary", listener.local_addr().unwrap());
    drop(listener);
    let outcome = here().door().send(with_secret(&url)).await;
    let Err(NoAnswer::NotSent(fault)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(fault.code, ErrorCode::DestinationUnreachable);
    assert!(!format!("{fault:?}").contains("c4nary"), "{fault:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_it_unknown() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"] {
        let server = Server::start("127.0.0.1", answer).await;
        let url = format!("http://{}/?sig=c4nary", server.address);
        let outcome = here().door().send(with_secret(&url)).await;
        let Err(NoAnswer::Unknown(fault)) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(!format!("{fault:?}").contains("c4nary"), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::start("127.0.0.1", &ok(&"x".repeat(17))).await;
    let url = format!("http://{}/", server.address);
    let outcome = here().door().send(with_secret(&url)).await;
    assert!(
        matches!(&outcome, Err(NoAnswer::Unknown(fault)) if fault.code == ErrorCode::DestinationProtocol),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn silence_ends_by_the_patience_of_the_request() {
    // A listener that is never accepted from: the connection opens, no answer comes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let started = std::time::Instant::now();
    let mut request = Request::get(&url).body(Bytes::new()).unwrap();
    request
        .extensions_mut()
        .insert(Patience(Duration::from_millis(150)));
    let outcome = here().door().send(request).await;
    assert!(matches!(outcome, Err(NoAnswer::Unknown(_))), "{outcome:?}");
    assert!(started.elapsed() >= Duration::from_millis(350));
}
