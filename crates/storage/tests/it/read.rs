//! Lake roots in object stores go through the same guard.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use offtake_model::ErrorCode;
use offtake_storage::{
    AwsKeys, Network, NetworkSettings, RootAddress, RootCredentials, fault_behind, read_store,
};
use secrecy::SecretString;

use crate::bed::{Script, Server, allowing, network};

fn keys() -> RootCredentials {
    RootCredentials::Keys(AwsKeys {
        access_key: "AK".to_owned(),
        secret_key: SecretString::from("c4nary"),
        session_token: None,
    })
}

fn root(endpoint: &str) -> RootAddress {
    RootAddress {
        url: "s3://bucket/lake".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        ..RootAddress::default()
    }
}

const FILE: &str = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/9\r\nContent-Length: 4\r\nETag: \"e\"\r\n\
                    Last-Modified: Wed, 25 Nov 2026 00:00:00 GMT\r\nConnection: close\r\n\r\nPAR1";

#[tokio::test]
async fn a_range_is_read_with_a_signature_and_without_the_secret() {
    let server = Server::start("127.0.0.1", FILE).await;
    let network = Network::new(allowing(&["127.0.0.1"])).unwrap();
    let endpoint = format!("http://{}", server.address);
    let (store, prefix) = read_store(&root(&endpoint), &keys(), &network).unwrap();
    let bytes = store.get_range(&prefix.join("f"), 0..4).await.unwrap();
    assert_eq!(bytes.as_ref(), b"PAR1");
    let heard = server.heard();
    assert!(heard.starts_with("GET /bucket/lake/f HTTP/1.1"), "{heard}");
    assert!(heard.contains("AWS4-HMAC-SHA256 Credential=AK/"), "{heard}");
    assert!(!heard.contains("c4nary"), "{heard}");
}

#[tokio::test]
async fn forbidden_stores_are_refused_at_once_and_say_why() {
    let server = Server::start("127.0.0.1", FILE).await;
    let port = server.address.port();
    let script = Script::new(&[&["127.0.0.1"]]);
    let network = network(NetworkSettings::default(), &script);
    for host in ["127.0.0.1", "169.254.169.254", "store.example"] {
        for scheme in ["http", "https"] {
            let address = root(&format!("{scheme}://{host}:{port}"));
            let (store, _) = read_store(&address, &keys(), &network).unwrap();
            let started = std::time::Instant::now();
            let error = store.head(&Path::from("f")).await.unwrap_err();
            let fault = fault_behind(&error).unwrap();
            assert_eq!(fault.code, ErrorCode::NetworkRefused, "{error}");
            assert!(started.elapsed().as_secs() < 2, "it was tried again");
        }
    }
    assert_eq!(server.heard(), "");
}

#[tokio::test]
async fn a_store_that_redirects_takes_us_nowhere() {
    let second = Server::start("127.0.0.1", FILE).await;
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nLocation: http://{}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        second.address
    );
    let first = Server::start("127.0.0.1", &moved).await;
    let network = Network::new(allowing(&["127.0.0.1"])).unwrap();
    let address = root(&format!("http://{}", first.address));
    let (store, _) = read_store(&address, &keys(), &network).unwrap();
    assert!(store.get(&Path::from("f")).await.is_err());
    assert_eq!(second.heard(), "");
}

#[tokio::test]
async fn tokens_are_asked_for_through_the_guard() {
    let network = Network::new(NetworkSettings::default()).unwrap();
    let authority = Server::start("127.0.0.1", "").await;
    let principal = RootCredentials::Principal {
        tenant: "tenant".to_owned(),
        client_id: "client".to_owned(),
        client_secret: SecretString::from("c4nary"),
        authority: Some(format!("https://{}", authority.address)),
    };
    let address = RootAddress {
        url: "abfss://c@acct.dfs.core.windows.net/lake".to_owned(),
        ..RootAddress::default()
    };
    let (store, _) = read_store(&address, &principal, &network).unwrap();
    let error = store.head(&Path::from("f")).await.unwrap_err();
    let fault = fault_behind(&error).unwrap();
    assert_eq!(fault.code, ErrorCode::NetworkRefused, "{error}");
    assert_eq!(authority.heard(), "");
}
