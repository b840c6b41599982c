//! Forged tokens, changed keys, an issuer that is silent or flooded.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offtake_model::{ErrorCode, Fault, Millis};
use offtake_ports::KeySetSource;
use serde_json::{Value, json};

use super::{Oidc, OidcAlgorithm, OidcSettings, PAUSE_MS, is_from_outside};

const NOW: Millis = Millis(1_790_000_000_000);
const ISSUER: &str = "https://login.example.com/realms/one";

struct Issuer {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    fn new() -> Self {
        Self {
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    fn key_set(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({"keys": [
            {"kid": "ec", "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
            {"kid": "ed", "kty": "OKP", "crv": "Ed25519", "use": "sig", "x": encoded(self.ed.public_key().as_ref())},
            {"kid": "enc", "kty": "OKP", "crv": "Ed25519", "use": "enc", "x": encoded(self.ed.public_key().as_ref())},
            {"kid": "wrong-alg", "kty": "OKP", "crv": "Ed25519", "alg": "ES256",
             "x": encoded(self.ed.public_key().as_ref())},
            {"kid": "small", "kty": "RSA", "n": encoded([255; 128]), "e": "AQAB"},
            {"kid": "oct", "kty": "oct", "k": encoded([7; 32])},
            {"kty": "OKP", "crv": "Ed25519"}, 7
        ]})
    }

    fn by_ec(&self, header: &Value, claims: &Value) -> String {
        let body = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(claims.to_string())
        );
        let signature = self.ec.sign(&SystemRandom::new(), body.as_bytes()).unwrap();
        format!("{body}.{}", encoded(signature))
    }

    fn by_ed(&self, header: &Value, claims: &Value) -> String {
        let body = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(claims.to_string())
        );
        format!("{body}.{}", encoded(self.ed.sign(body.as_bytes())))
    }
}

/// Signs with a shared secret, as the forger does who has read the public key.
fn by_secret(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let body = format!(
        "{}.{}",
        encoded(header.to_string()),
        encoded(claims.to_string())
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&key, body.as_bytes());
    format!("{body}.{}", encoded(tag))
}

/// Answers what it is told to, and counts.
struct Answers {
    answer: Mutex<Option<Vec<u8>>>,
    asked: AtomicUsize,
}

impl Answers {
    fn of(document: &Value) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(Some(document.to_string().into_bytes())),
            asked: AtomicUsize::new(0),
        })
    }

    fn become_(&self, document: Option<&Value>) {
        *self.answer.lock().unwrap() = document.map(|it| it.to_string().into_bytes());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeySetSource for Answers {
    async fn fetch(&self) -> Result<Vec<u8>, Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        answer.ok_or_else(|| Fault::new(ErrorCode::Internal, "no answer"))
    }
}

fn oidc(source: &Arc<Answers>) -> Oidc {
    let settings = OidcSettings {
        issuer: ISSUER.to_owned(),
        audience: "offtake".to_owned(),
        subject_claim: "sub".to_owned(),
        algorithms: vec![OidcAlgorithm::Es256, OidcAlgorithm::EdDsa],
    };
    Oidc::new(settings, Arc::<Answers>::clone(source) as _)
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": ["other", "offtake"], "sub": "somebody",
           "iat": NOW.secs(), "nbf": NOW.secs(), "exp": NOW.secs() + 300})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(key);
    claims
}

const EC: fn() -> Value = || json!({"alg": "ES256", "typ": "JWT", "kid": "ec"});
const ED: fn() -> Value = || json!({"alg": "EdDSA", "kid": "ed"});

fn header(changes: &Value) -> Value {
    let mut header = EC();
    let object = header.as_object_mut().unwrap();
    object.extend(changes.as_object().unwrap().clone());
    header
}

#[tokio::test]
async fn a_token_of_the_issuer_names_its_subject() {
    let issuer = Issuer::new();
    let source = Answers::of(&issuer.key_set());
    let oidc = oidc(&source);
    for token in [
        issuer.by_ec(&EC(), &claims()),
        issuer.by_ed(&ED(), &claims()),
    ] {
        assert!(is_from_outside(&token));
        assert_eq!(oidc.verify(&token, NOW).await.as_deref(), Some("somebody"));
    }
    // What the header offers beside the name of a key is not even looked at.
    let offers = header(
        &json!({"jku": "https://evil.example", "x5u": "https://evil.example", "jwk": {"kty": "oct"}}),
    );
    assert!(
        oidc.verify(&issuer.by_ec(&offers, &claims()), NOW)
            .await
            .is_some()
    );
    assert_eq!(source.asked(), 1);
}

/// Tokens whose parts are not those that were signed.
fn of_other_parts(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let good = issuer.by_ec(&EC(), &claims());
    let [head, body, tag] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("a token has three parts");
    };
    let none = encoded(json!({"alg": "none", "kid": "ec"}).to_string());
    vec![
        ("empty", String::new()),
        ("garbage", "garbage".to_owned()),
        ("two dots", "..".to_owned()),
        ("no signature", format!("{head}.{body}.")),
        ("cut signature", good[..good.len() - 2].to_owned()),
        ("alg none, no signature", format!("{none}.{body}.")),
        ("alg none, old signature", format!("{none}.{body}.{tag}")),
        (
            "alg NONE",
            format!(
                "{}.{body}.",
                encoded(json!({"alg": "NONE", "kid": "ec"}).to_string())
            ),
        ),
        (
            "changed claims",
            format!(
                "{head}.{}.{tag}",
                encoded(with("sub", json!("admin")).to_string())
            ),
        ),
        ("too long", format!("{good}{}", "a".repeat(9_000))),
    ]
}

/// Tokens signed with a key, or in a way, that their head may not choose.
fn by_other_keys(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let stranger = Issuer::new();
    let public = issuer.ec.public_key().as_ref().to_vec();
    let document = issuer.key_set().to_string();
    let hs = header(&json!({"alg": "HS256"}));
    vec![
        ("somebody else's key", stranger.by_ec(&EC(), &claims())),
        (
            "the other key's name",
            issuer.by_ec(&header(&json!({"kid": "ed"})), &claims()),
        ),
        (
            "the other algorithm",
            issuer.by_ec(&header(&json!({"alg": "EdDSA"})), &claims()),
        ),
        (
            "HS256 with the public key",
            by_secret(&hs, &claims(), &public),
        ),
        (
            "HS256 with the document",
            by_secret(&hs, &claims(), document.as_bytes()),
        ),
        (
            "HS256 with the symmetric key",
            by_secret(
                &header(&json!({"alg": "HS256", "kid": "oct"})),
                &claims(),
                &[7; 32],
            ),
        ),
        (
            "an algorithm that is not allowed",
            issuer.by_ec(&header(&json!({"alg": "RS256"})), &claims()),
        ),
        (
            "alg in small letters",
            issuer.by_ec(&header(&json!({"alg": "es256"})), &claims()),
        ),
        ("no alg", issuer.by_ec(&json!({"kid": "ec"}), &claims())),
        ("no kid", issuer.by_ec(&json!({"alg": "ES256"}), &claims())),
        (
            "kid is a number",
            issuer.by_ec(&header(&json!({"kid": 1})), &claims()),
        ),
        (
            "unknown kid",
            issuer.by_ec(&header(&json!({"kid": "new"})), &claims()),
        ),
        (
            "a key for encryption",
            issuer.by_ed(&json!({"alg": "EdDSA", "kid": "enc"}), &claims()),
        ),
        (
            "a key for another algorithm",
            issuer.by_ed(&json!({"alg": "EdDSA", "kid": "wrong-alg"}), &claims()),
        ),
        (
            "crit",
            issuer.by_ec(&header(&json!({"crit": ["exp"]})), &claims()),
        ),
    ]
}

/// Tokens of the issuer that are not for us, or not now.
fn of_other_claims(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let secs = NOW.secs();
    vec![
        (
            "issuer",
            issuer.by_ec(
                &EC(),
                &with("iss", json!("https://login.example.com/realms/two")),
            ),
        ),
        (
            "issuer with a slash more",
            issuer.by_ec(&EC(), &with("iss", json!(format!("{ISSUER}/")))),
        ),
        ("no issuer", issuer.by_ec(&EC(), &without("iss"))),
        (
            "audience",
            issuer.by_ec(&EC(), &with("aud", json!("others"))),
        ),
        ("no audience", issuer.by_ec(&EC(), &without("aud"))),
        ("no subject", issuer.by_ec(&EC(), &without("sub"))),
        (
            "empty subject",
            issuer.by_ec(&EC(), &with("sub", json!(""))),
        ),
        (
            "subject is a number",
            issuer.by_ec(&EC(), &with("sub", json!(7))),
        ),
        (
            "expired",
            issuer.by_ec(&EC(), &with("exp", json!(secs - 61))),
        ),
        ("no expiry", issuer.by_ec(&EC(), &without("exp"))),
        (
            "expiry as text",
            issuer.by_ec(&EC(), &with("exp", json!("9999999999"))),
        ),
        (
            "expiry with a fraction",
            issuer.by_ec(&EC(), &with("exp", json!(9_999_999_999.5))),
        ),
        (
            "expiry null",
            issuer.by_ec(&EC(), &with("exp", Value::Null)),
        ),
        (
            "not before later",
            issuer.by_ec(&EC(), &with("nbf", json!(secs + 61))),
        ),
        (
            "not before as text",
            issuer.by_ec(&EC(), &with("nbf", json!("1"))),
        ),
        (
            "issued later",
            issuer.by_ec(&EC(), &with("iat", json!(secs + 61))),
        ),
        ("claims are an array", issuer.by_ec(&EC(), &json!([1]))),
    ]
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let issuer = Issuer::new();
    let source = Answers::of(&issuer.key_set());
    let oidc = oidc(&source);
    let good = issuer.by_ec(&EC(), &claims());
    let forged = [
        of_other_parts(&issuer),
        by_other_keys(&issuer),
        of_other_claims(&issuer),
    ]
    .concat();
    assert!(forged.len() >= 30);
    assert!(
        oidc.verify(&good, NOW).await.is_some(),
        "so that the table proves something"
    );
    for (name, token) in forged {
        assert_eq!(oidc.verify(&token, NOW).await, None, "{name}");
    }
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_when_it_is_first_named() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let source = Answers::of(&old.key_set());
    let oidc = oidc(&source);
    assert!(
        oidc.verify(&old.by_ec(&EC(), &claims()), NOW)
            .await
            .is_some()
    );
    let mut both = old.key_set();
    let mut other = new.key_set()["keys"][0].clone();
    other["kid"] = json!("new");
    both["keys"].as_array_mut().unwrap().push(other);
    source.become_(Some(&both));
    let token = new.by_ec(&header(&json!({"kid": "new"})), &claims());
    assert_eq!(oidc.verify(&token, NOW).await, None, "asked a moment ago");
    let later = NOW.plus_millis(PAUSE_MS);
    assert!(oidc.verify(&token, later).await.is_some());
    assert!(
        oidc.verify(&old.by_ec(&EC(), &claims()), later)
            .await
            .is_some()
    );
    // A key that the issuer has taken back ends at the next fetch.
    source.become_(Some(&json!({"keys": []})));
    let much_later = later.plus_millis(10 * 60 * 1000);
    let lasting = with("exp", json!(NOW.secs() + 9_000));
    assert_eq!(
        oidc.verify(&old.by_ec(&EC(), &lasting), much_later).await,
        None
    );
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_the_issuer_once_in_a_while() {
    let issuer = Issuer::new();
    let source = Answers::of(&issuer.key_set());
    let oidc = oidc(&source);
    for number in 0..1_000 {
        let token = issuer.by_ec(&header(&json!({"kid": format!("k{number}")})), &claims());
        assert_eq!(oidc.verify(&token, NOW.plus_millis(number)).await, None);
    }
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn a_silent_issuer_is_done_without_for_a_day() {
    let issuer = Issuer::new();
    let source = Answers::of(&issuer.key_set());
    let oidc = oidc(&source);
    let token = issuer.by_ec(&EC(), &with("exp", json!(NOW.secs() + 999_999)));
    assert!(oidc.verify(&token, NOW).await.is_some());
    let hour = 60 * 60 * 1000;
    for (silence, hours, accepted) in [
        (None, 1, true),
        (Some(json!("no keys")), 23, true),
        (None, 25, false),
    ] {
        source.become_(silence.as_ref());
        let at = NOW.plus_millis(hours * hour);
        assert_eq!(
            oidc.verify(&token, at).await.is_some(),
            accepted,
            "after {hours} h"
        );
    }
    source.become_(Some(&issuer.key_set()));
    let back = NOW.plus_millis(26 * hour);
    assert!(oidc.verify(&token, back).await.is_some());
}
