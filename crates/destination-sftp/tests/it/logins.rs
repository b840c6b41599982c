//! The forms of private keys that people have, and what is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offtake_model::ErrorCode;

use crate::bench::Bench;

#[tokio::test]
async fn every_kind_and_form_of_key_is_let_in() {
    let mut bench = Bench::openssh();
    for options in [
        &["-t", "ed25519"] as &[&str],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "256", "-m", "PEM"],
        &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        &["-t", "rsa", "-b", "3072", "-m", "PKCS8"],
    ] {
        let key = bench.server.new_key(options);
        for text in [STANDARD.encode(&key), key] {
            bench.secrets.insert("sshKey", text);
            let probed = bench.probe().await;
            assert_eq!(probed, Ok(()), "{options:?}");
        }
    }
}

#[tokio::test]
async fn rsa_signs_with_either_hash_and_never_with_sha1() {
    for hash in ["rsa-sha2-256", "rsa-sha2-512"] {
        let server =
            crate::server::Server::openssh_with(&format!("PubkeyAcceptedAlgorithms {hash}"));
        let mut bench = Bench::over(server);
        let key = bench.server.new_key(&["-t", "rsa", "-b", "2048"]);
        bench.secrets.insert("sshKey", key);
        assert_eq!(bench.probe().await, Ok(()), "{hash}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused_with_advice() {
    let mut bench = Bench::openssh();
    let encrypted = ["-t", "ed25519", "-N", "passphrase"];
    let in_pem = ["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "passphrase"];
    for options in [&encrypted as &[&str], &in_pem] {
        let key = bench.server.new_key(options);
        bench.secrets.insert("sshKey", STANDARD.encode(key));
        let fault = bench.probe().await.unwrap_err();
        assert_eq!(fault.code, ErrorCode::SshKeyUnusable);
        assert!(fault.message.contains("ssh-keygen -p"), "{}", fault.message);
    }
    for text in ["", "nonsense", "ssh-ed25519 AAAA", "LS0tLS1CRUdJTg=="] {
        bench.secrets.insert("sshKey", text.to_owned());
        assert_eq!(
            bench.probe().await.unwrap_err().code,
            ErrorCode::SshKeyUnusable,
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_or_key_is_denied_and_not_shown() {
    let mut bench = Bench::odd("plain");
    bench
        .secrets
        .insert("password", "wrong-Canary-9".to_owned());
    let fault = bench.probe().await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::DestinationDenied);
    assert!(!format!("{fault:?}").contains("Canary"));
    let mut bench = Bench::openssh();
    let stranger = bench.server.key();
    bench.server.new_key(&["-t", "ed25519"]);
    bench.secrets.insert("sshKey", stranger);
    assert_eq!(
        bench.probe().await.unwrap_err().code,
        ErrorCode::DestinationDenied
    );
}

#[tokio::test]
async fn a_server_that_asks_for_the_password_is_answered() {
    let mut bench = Bench::odd("asks");
    assert_eq!(bench.probe().await, Ok(()));
    bench
        .secrets
        .insert("password", "wrong-Canary-9".to_owned());
    let fault = bench.probe().await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::DestinationDenied);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let mut bench = Bench::openssh();
    bench.params["port"] = 1.into();
    assert_eq!(
        bench.probe().await.unwrap_err().code,
        ErrorCode::DestinationUnreachable
    );
}
