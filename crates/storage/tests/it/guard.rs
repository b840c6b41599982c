//! What may not be reached is not, and no byte of a credential leaves on the way to finding that out.

use offtake_model::{ErrorCode, Fault};
use offtake_storage::{Network, NetworkSettings, NoAnswer};

use crate::bed::{Script, Server, allowing, network, ok, with_secret};

fn refused(outcome: Result<http::Response<bytes::Bytes>, NoAnswer>) -> Fault {
    match outcome {
        Err(NoAnswer::Refused(fault)) => {
            assert_eq!(fault.code, ErrorCode::NetworkRefused);
            fault
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn special_addresses_are_refused_in_every_spelling() {
    let network = Network::new(NetworkSettings {
        allow_http: true,
        ..NetworkSettings::default()
    })
    .unwrap();
    let server = Server::start("127.0.0.1", &ok("")).await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "0",
        "[::]",
        "10.0.0.1",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "localhost",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let outcome = network.door().send(with_secret(&url)).await;
            let fault = refused(outcome);
            assert!(!fault.message.contains("c4nary"), "{fault:?}");
        }
    }
    assert_eq!(server.heard(), "");
}

#[tokio::test]
async fn metadata_services_are_refused_even_when_allowed() {
    let network = Network::new(NetworkSettings {
        allow: vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
        ..NetworkSettings::default()
    })
    .unwrap();
    for host in [
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "0xa9fea9fe",
    ] {
        let url = format!("http://{host}/latest/meta-data/");
        let fault = refused(network.door().send(with_secret(&url)).await);
        assert!(fault.message.contains("metadata"), "{fault:?}");
    }
}

#[tokio::test]
async fn one_forbidden_address_refuses_the_name() {
    let server = Server::start("127.0.0.1", &ok("")).await;
    let script = Script::new(&[&["127.0.0.1", "10.0.0.1"]]);
    let network = network(allowing(&["127.0.0.0/8"]), &script);
    let url = format!("http://store.example:{}/", server.address.port());
    let fault = refused(network.door().send(with_secret(&url)).await);
    assert!(fault.message.contains("10.0.0.1"), "{fault:?}");
    assert_eq!(server.heard(), "");
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_by_the_answer_that_is_used() {
    let good = Server::start("127.0.0.1", &ok("")).await;
    let evil = tokio::net::TcpListener::bind(("127.0.0.2", good.address.port()))
        .await
        .unwrap();
    let script = Script::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let network = network(allowing(&["127.0.0.1"]), &script);
    let url = format!("http://store.example:{}/", good.address.port());

    let first = network.door().send(with_secret(&url)).await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(
        script.asked.lock().unwrap().len(),
        1,
        "one lookup per connection"
    );

    refused(network.door().send(with_secret(&url)).await);
    assert_eq!(script.asked.lock().unwrap().len(), 2);
    let knock = tokio::time::timeout(std::time::Duration::from_millis(50), evil.accept()).await;
    assert!(knock.is_err(), "nobody came to the second address");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let second = Server::start("127.0.0.1", &ok("")).await;
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nLocation: http://{}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        second.address
    );
    let first = Server::start("127.0.0.1", &moved).await;
    let network = Network::new(allowing(&["127.0.0.1"])).unwrap();
    let url = format!("http://{}/bucket", first.address);
    let answer = network.door().send(with_secret(&url)).await.unwrap();
    assert_eq!(answer.status(), 307);
    assert!(first.heard().contains("c4nary"));
    assert_eq!(second.heard(), "");
}

#[tokio::test]
async fn users_in_addresses_other_schemes_and_other_ports_are_refused() {
    let network = Network::new(NetworkSettings {
        ports: vec![443],
        ..allowing(&["127.0.0.1"])
    })
    .unwrap();
    for url in [
        "https://user:h1dden@127.0.0.1/",
        "https://8.8.8.8@127.0.0.1/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:22/",
        "http://127.0.0.1/",
    ] {
        let fault = refused(network.door().send(with_secret(url)).await);
        assert!(!fault.message.contains("h1dden"), "{fault:?}");
    }
    let fault = network.connect("127.0.0.1", 22).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::NetworkRefused);
}

#[tokio::test]
async fn plain_http_is_for_networks_that_the_operator_names() {
    let script = Script::new(&[&["93.184.216.34"]]);
    let network = network(allowing(&["127.0.0.0/8"]), &script);
    for url in ["http://93.184.216.34/", "http://store.example/"] {
        let fault = refused(network.door().send(with_secret(url)).await);
        assert!(fault.message.contains("plain HTTP"), "{fault:?}");
    }
}

#[tokio::test]
async fn other_protocols_are_guarded_alike() {
    let server = Server::start("127.0.0.1", "").await;
    let port = server.address.port();
    let closed = Network::new(NetworkSettings::default()).unwrap();
    for host in ["127.0.0.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"] {
        let fault = closed.connect(host, port).await.unwrap_err();
        assert_eq!(fault.code, ErrorCode::NetworkRefused, "{host}");
    }
    let script = Script::new(&[&["127.0.0.1"]]);
    let open = network(allowing(&["127.0.0.1"]), &script);
    assert!(open.connect("sftp.example", port).await.is_ok());
    assert_eq!(script.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_proxy_of_the_operator_is_used_and_private_literals_do_not_pass_it() {
    let proxy = Server::start("127.0.0.1", &ok("via proxy")).await;
    let script = Script::new(&[&["10.0.0.1"]]);
    let settings = NetworkSettings {
        proxy: Some(format!("http://{}", proxy.address).into()),
        allow_http: true,
        ..NetworkSettings::default()
    };
    let network = network(settings, &script);
    let answer = network
        .door()
        .send(with_secret("http://store.example/x"))
        .await
        .unwrap();
    assert_eq!(answer.body().as_ref(), b"via proxy");
    assert!(
        proxy
            .heard()
            .starts_with("GET http://store.example/x HTTP/1.1")
    );
    assert!(
        script.asked.lock().unwrap().is_empty(),
        "the proxy looks names up"
    );
    for url in [
        "http://127.0.0.1/",
        "http://169.254.169.254/",
        "https://[::1]/",
    ] {
        refused(network.door().send(with_secret(url)).await);
    }
    let strict = NetworkSettings {
        proxy: Some(format!("http://{}", proxy.address).into()),
        ..NetworkSettings::default()
    };
    let strict = Network::new(strict).unwrap();
    let fault = refused(
        strict
            .door()
            .send(with_secret("http://store.example/"))
            .await,
    );
    assert!(fault.message.contains("plain HTTP"), "{fault:?}");
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    for (settings, name) in [
        (allowing(&["10.0.0.0/33"]), "network.allow"),
        (allowing(&["minio.internal"]), "network.allow"),
        (
            NetworkSettings {
                proxy: Some("us3r:c4nary".to_owned().into()),
                ..NetworkSettings::default()
            },
            "network.proxy",
        ),
    ] {
        let fault = Network::new(settings).unwrap_err();
        assert_eq!(fault.code, ErrorCode::FieldInvalid);
        assert!(fault.message.contains(name), "{fault}");
        assert!(!format!("{fault:?}").contains("c4nary"), "{fault:?}");
    }
}
