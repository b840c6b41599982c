//! What nobody may do too much of, too long or too deep.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use offtake_api::{ApiSettings, ConnectionLimits, Rate, router, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::world::{Answer, DATASETS, FLOW_SERVICE, World};

const NEVER: Rate = Rate {
    per_second: 0,
    burst: 0,
};

fn with(world: World, settings: &ApiSettings) -> World {
    World {
        router: router(Arc::clone(&world.service), settings),
        ..world
    }
}

fn code(answer: &Answer) -> &Value {
    &answer.body["report"]["additionalContext"]["code"]
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let settings = ApiSettings {
        rate: Rate {
            per_second: 1,
            burst: 3,
        },
        ..ApiSettings::default()
    };
    let world = with(World::new().await, &settings);
    for _ in 0..3 {
        assert_eq!(world.get("/flows").await.status, 200);
    }
    let answer = world.get("/flows").await;
    assert_eq!(
        (answer.status, code(&answer)),
        (429, &json!("RATE_LIMITED"))
    );
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(
        world.get("/health/ready").await.status,
        200,
        "health has no limit"
    );
    let mut other = world.headers();
    other.insert("x-api-key", "nobody".to_owned());
    let flows = format!("{FLOW_SERVICE}/flows");
    let stranger = world.call("GET", &flows, &other, Body::empty()).await;
    assert_eq!(
        stranger.status, 403,
        "who is not recognised uses up nobody's requests"
    );
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let settings = ApiSettings {
        answer_timeout: Duration::from_millis(20),
        ..ApiSettings::default()
    };
    let world = with(World::new().await, &settings);
    let body = json!({"name": "it", "location": "lake://default/never"});
    let answer = world.post(DATASETS, &body).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (504, &json!("REQUEST_TIMED_OUT"))
    );
    assert_eq!(world.get("/flows").await.status, 200);
}

#[tokio::test]
async fn json_is_at_most_64_levels_deep() {
    let world = World::new().await;
    for (levels, status) in [(63, 201), (64, 400), (100_000, 400)] {
        let inner = "[".repeat(levels) + &"]".repeat(levels);
        let body = format!(r#"{{"name": "it", "location": "lake://default/t", "x": {inner}}}"#);
        let answer = world.with_body("POST", DATASETS, &[], body).await;
        assert_eq!(answer.status, status, "{levels}: {}", answer.text);
    }
}

#[tokio::test]
async fn edits_cannot_grow_a_resource_without_bound() {
    let world = World::new().await;
    let id = world.dataset("orders").await;
    let path = format!("{DATASETS}/{id}");
    let half = "x".repeat(150_000);
    let one = world
        .with_body("PATCH", &path, &[], json!({"a": half}).to_string())
        .await;
    assert_eq!(one.status, 200, "{}", one.text);
    let two = world
        .with_body("PATCH", &path, &[], json!({"b": half}).to_string())
        .await;
    assert_eq!(
        (two.status, code(&two)),
        (413, &json!("DOCUMENT_TOO_LARGE"))
    );

    let v2 = path.replace("/dataSets", "/v2/dataSets");
    let deep = json!([{"op": "add", "path": "/a".repeat(100_000), "value": 1}]).to_string();
    let answer = world.with_body("PATCH", &v2, &[], deep).await;
    assert_eq!(answer.status, 400, "{}", &answer.text[..200]);
    let many = json!(vec![
        json!({"op": "add", "path": "/c", "value": "y".repeat(9_000)});
        99
    ]);
    let answer = world.with_body("PATCH", &v2, &[], many.to_string()).await;
    assert_eq!(answer.status, 413);
}

/// Serves over a real socket; dropping the sender stops it.
async fn served(limits: ConnectionLimits) -> (std::net::SocketAddr, oneshot::Sender<()>, World) {
    let settings = ApiSettings {
        rate: NEVER,
        ..ApiSettings::default()
    };
    let world = with(World::new().await, &settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = world.router.clone();
    tokio::spawn(serve(listener, router, limits, async {
        let _ = stopped.await;
    }));
    (address, stop, world)
}

/// Sends the bytes, then waits until the other side closes.
async fn talk(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said).await;
    said
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let limits = ConnectionLimits {
        head_timeout: Duration::from_millis(50),
        ..ConnectionLimits::default()
    };
    let (address, _stop, _world) = served(limits).await;
    // Each would hold its connection for ever.
    assert_eq!(talk(address, b"").await, "");
    assert!(
        !talk(address, b"GET /health/live HT")
            .await
            .contains("200 OK")
    );
    let whole = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    assert!(talk(address, whole).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let limits = ConnectionLimits {
        connections_max: 1,
        ..ConnectionLimits::default()
    };
    let (address, _stop, _world) = served(limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 15];
    first.read_exact(&mut some).await.unwrap();
    let whole = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let second = tokio::spawn(async move { talk(address, whole).await });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn the_address_in_the_audit_log_is_a_trusted_proxys_word_or_the_peers() {
    let world = World::new().await;
    for (trusted, told, seen) in [
        ("10.0.0.1", "203.0.113.7, 10.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
    ] {
        let trusted: std::net::IpAddr = trusted.parse().unwrap();
        let settings = ApiSettings {
            trusted: Arc::new(move |address| address == trusted),
            ..ApiSettings::default()
        };
        let peer: std::net::SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let mut request = Request::post(format!("{FLOW_SERVICE}/connections"))
            .header("x-forwarded-for", told)
            .header("content-type", "application/json")
            .extension(axum::extract::ConnectInfo(peer));
        for (name, value) in world.headers() {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(r#"{"name": "it"}"#)).unwrap();
        let router = router(Arc::clone(&world.service), &settings);
        let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
        assert_eq!(response.status(), 201);
        let log = world.get("/offtake/v1/audit?limit=1").await;
        assert_eq!(log.item()["address"], seen, "{told}");
    }
}
