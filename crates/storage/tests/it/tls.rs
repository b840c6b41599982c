//! Whom the door believes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use offtake_model::ErrorCode;
use offtake_storage::{Network, NetworkSettings, NoAnswer, RootAddress, RootCredentials};
use offtake_storage::{fault_behind, read_store};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::bed::{Script, allowing, network, ok, with_secret};

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/certificates"
    ))
    .join(name)
}

/// A server with one of the certificates; it answers every request that it can read.
fn serve(certificate: &str) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(file(certificate)).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream);
            if tls.read(&mut [0; 4096]).is_ok() {
                let _ = tls.write_all(ok("hello").as_bytes());
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    address
}

fn trusting() -> NetworkSettings {
    NetworkSettings {
        ca_file: Some(file("ca.pem")),
        ..allowing(&["127.0.0.1"])
    }
}

#[tokio::test]
async fn an_authority_of_the_operator_is_believed() {
    let url = format!("https://{}/", serve("good.pem"));
    let network = Network::new(trusting()).unwrap();
    let answer = network.door().send(with_secret(&url)).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"hello");
}

#[tokio::test]
async fn unknown_expired_and_foreign_certificates_are_refused_before_anything_is_sent() {
    let stranger = allowing(&["127.0.0.1"]);
    for (certificate, settings) in [
        ("good.pem", stranger),
        ("expired.pem", trusting()),
        ("other.pem", trusting()),
    ] {
        let url = format!("https://{}/?sig=c4nary", serve(certificate));
        let network = Network::new(settings).unwrap();
        let outcome = network.door().send(with_secret(&url)).await;
        let Err(NoAnswer::NotSent(fault)) = outcome else {
            panic!("{certificate}: {outcome:?}");
        };
        assert_eq!(fault.code, ErrorCode::TlsNotTrusted, "{certificate}");
        assert!(!format!("{fault:?}").contains("c4nary"), "{fault:?}");
    }
}

#[tokio::test]
async fn the_name_that_was_asked_for_is_the_one_that_is_checked() {
    let port = serve("good.pem").port();
    let script = Script::new(&[&["127.0.0.1"]]);
    let network = network(trusting(), &script);
    let door = network.door();
    let good = format!("https://store.example:{port}/");
    assert!(door.send(with_secret(&good)).await.is_ok());
    let foreign = format!("https://elsewhere.example:{port}/");
    let outcome = door.send(with_secret(&foreign)).await;
    assert!(
        matches!(&outcome, Err(NoAnswer::NotSent(fault)) if fault.code == ErrorCode::TlsNotTrusted),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn stores_for_reading_believe_the_same() {
    let address = RootAddress {
        url: "s3://bucket".to_owned(),
        endpoint: Some(format!("https://{}", serve("expired.pem"))),
        ..RootAddress::default()
    };
    let network = Network::new(trusting()).unwrap();
    let (store, _) = read_store(&address, &RootCredentials::Anonymous, &network).unwrap();
    let error = store.head(&Path::from("f")).await.unwrap_err();
    assert_eq!(fault_behind(&error).unwrap().code, ErrorCode::TlsNotTrusted);
}

#[test]
fn a_file_without_certificates_is_named() {
    for name in ["server.key", "README.md", "missing.pem"] {
        let settings = NetworkSettings {
            ca_file: Some(file(name)),
            ..NetworkSettings::default()
        };
        let fault = Network::new(settings).unwrap_err();
        assert_eq!(fault.code, ErrorCode::FieldInvalid);
        assert!(fault.message.contains(name), "{fault}");
    }
}
