use std::os::unix::fs::PermissionsExt;

use offtake_model::ErrorCode;
use offtake_model::resource::SealedSecret;
use offtake_ports::Secrets;
use offtake_store::KeyFileSecrets;
use secrecy::{ExposeSecret, SecretString};

use crate::bed::{Bed, tenant};

const PLACE: &str = "connections/a/secretAccessKey";

fn plaintext() -> SecretString {
    SecretString::from("do not tell")
}

/// What a key file gives for a purpose.
fn derived(keys: &KeyFileSecrets, purpose: &str) -> [u8; 32] {
    let [key] = &keys.derive(purpose)[..] else {
        panic!("a fresh key file has one key");
    };
    *key.expose_secret()
}

async fn reveals(keys: &KeyFileSecrets, sandbox: &str, place: &str, sealed: &SealedSecret) -> bool {
    match keys.reveal(&tenant(sandbox), place, sealed).await {
        Ok(secret) => secret.expose_secret() == "do not tell",
        Err(fault) => {
            assert!(!format!("{fault:?}").contains("do not tell"));
            false
        }
    }
}

#[tokio::test]
async fn a_secret_opens_after_a_restart_and_never_repeats_its_ciphertext() {
    let bed = Bed::new();
    let keys = KeyFileSecrets::open(bed.path()).unwrap();
    let one = keys
        .seal(&tenant("prod"), PLACE, &plaintext())
        .await
        .unwrap();
    let two = keys
        .seal(&tenant("prod"), PLACE, &plaintext())
        .await
        .unwrap();
    assert_ne!(one, two);
    assert!(!one.text.contains("do not tell"));
    let keys = KeyFileSecrets::open(bed.path()).unwrap();
    assert!(reveals(&keys, "prod", PLACE, &one).await);
    assert!(reveals(&keys, "prod", PLACE, &two).await);
}

#[tokio::test]
async fn a_secret_moved_to_another_row_does_not_open() {
    let bed = Bed::new();
    let keys = KeyFileSecrets::open(bed.path()).unwrap();
    let sealed = keys
        .seal(&tenant("prod"), PLACE, &plaintext())
        .await
        .unwrap();
    assert!(
        !reveals(&keys, "dev", PLACE, &sealed).await,
        "another tenant"
    );
    let other = "connections/b/secretAccessKey";
    assert!(
        !reveals(&keys, "prod", other, &sealed).await,
        "another connection"
    );
    let second = keys
        .seal(&tenant("prod"), other, &plaintext())
        .await
        .unwrap();
    let parts: Vec<&str> = sealed.text.split('.').collect();
    let foreign: Vec<&str> = second.text.split('.').collect();
    let mixed = SealedSecret {
        text: [parts[0], parts[1], foreign[2], parts[3]].join("."),
    };
    assert!(
        !reveals(&keys, "prod", PLACE, &mixed).await,
        "another secret's key"
    );
}

#[tokio::test]
async fn a_changed_or_cut_secret_does_not_open() {
    let bed = Bed::new();
    let keys = KeyFileSecrets::open(bed.path()).unwrap();
    let sealed = keys
        .seal(&tenant("prod"), PLACE, &plaintext())
        .await
        .unwrap();
    for (at, old) in sealed.text.char_indices() {
        let new = if old == 'A' { 'B' } else { 'A' };
        let mut text = sealed.text.clone();
        text.replace_range(at..=at, &new.to_string());
        let changed = SealedSecret { text };
        assert!(
            !reveals(&keys, "prod", PLACE, &changed).await,
            "character {at}"
        );
        let cut = SealedSecret {
            text: sealed.text[..at].to_owned(),
        };
        assert!(!reveals(&keys, "prod", PLACE, &cut).await, "cut at {at}");
    }
}

#[tokio::test]
async fn another_key_file_is_named_as_the_cause() {
    let (bed, other) = (Bed::new(), Bed::new());
    let keys = KeyFileSecrets::open(bed.path()).unwrap();
    let sealed = keys
        .seal(&tenant("prod"), PLACE, &plaintext())
        .await
        .unwrap();
    let wrong = KeyFileSecrets::open(other.path()).unwrap();
    let fault = wrong
        .reveal(&tenant("prod"), PLACE, &sealed)
        .await
        .unwrap_err();
    assert_eq!(fault.code, ErrorCode::StoreUnavailable);
    assert!(fault.message.contains("offtake.key"), "{fault}");
}

#[test]
fn a_derived_key_depends_on_file_and_purpose_only() {
    let (bed, other) = (Bed::new(), Bed::new());
    let keys = KeyFileSecrets::open(bed.path()).unwrap();
    let again = KeyFileSecrets::open(bed.path()).unwrap();
    assert_eq!(derived(&keys, "tokens"), derived(&again, "tokens"));
    assert_ne!(derived(&keys, "tokens"), derived(&keys, "cookies"));
    let foreign = KeyFileSecrets::open(other.path()).unwrap();
    assert_ne!(derived(&keys, "tokens"), derived(&foreign, "tokens"));
}

#[test]
fn a_key_file_that_others_can_read_or_that_is_no_key_is_refused() {
    let bed = Bed::new();
    drop(KeyFileSecrets::open(bed.path()).unwrap());
    let path = bed.path().join("offtake.key");
    let set = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    set(0o640);
    let refused = KeyFileSecrets::open(bed.path()).unwrap_err();
    assert!(refused.message.contains("chmod 600"), "{refused}");
    set(0o600);
    std::fs::write(&path, "short").unwrap();
    let refused = KeyFileSecrets::open(bed.path()).unwrap_err();
    assert!(refused.message.contains("5 bytes"), "{refused}");
    let names: Vec<_> = std::fs::read_dir(bed.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "no draft is left behind");
}

#[test]
fn eight_first_starts_agree_on_one_key() {
    let bed = Bed::new();
    let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| derived(&KeyFileSecrets::open(bed.path()).unwrap(), "tokens")))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
}
