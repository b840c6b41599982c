//! Access tokens: signed, expiring, bound to a client and its organisation. Nothing is stored about them.
//!
//! The one law: one algorithm, chosen here. What a token's header says never selects key or algorithm.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use offtake_model::{ClientId, ErrorCode, Fault, Millis, OrgId};
use offtake_ports::Keys;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

/// Seconds a token lives (contract, 2.4).
pub(crate) const TOKEN_TTL_SECS: i64 = 86_399;

/// Seconds by which clocks may differ.
const LEEWAY_SECS: i64 = 30;

/// Longest token looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;

const ALGORITHM: Algorithm = Algorithm::HS256;
const ISSUER: &str = "offtake";
const AUDIENCE: &str = "offtake-api";

/// What the keys of tokens are derived for.
const PURPOSE: &str = "access tokens";

/// Signs tokens with the current key; checks them with any that is not retired, so that a new key ends none.
pub(crate) struct Tokens {
    keys: Arc<dyn Keys>,
    validation: Validation,
}

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenHolder {
    /// Whom it was issued to.
    pub(crate) client: ClientId,
    /// The client's organisation.
    pub(crate) org: OrgId,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    client: String,
    org: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// Signs with keys derived from these.
    pub(crate) fn new(keys: Arc<dyn Keys>) -> Self {
        let mut validation = Validation::new(ALGORITHM);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // Expiry is compared below: the library reads the machine's clock, we have a clock of our own.
        validation.validate_exp = false;
        Self { keys, validation }
    }

    /// Makes a token that is valid from `now` for [`TOKEN_TTL_SECS`].
    pub(crate) fn sign(
        &self,
        client: &ClientId,
        org: &OrgId,
        now: Millis,
    ) -> Result<String, Fault> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: client.to_string(),
            client: client.to_string(),
            org: org.to_string(),
            iat: now.secs(),
            exp: now.secs().saturating_add(TOKEN_TTL_SECS),
        };
        let failed = || Fault::new(ErrorCode::Internal, "failed to sign a token");
        let keys = self.keys.derive(PURPOSE);
        let key = keys.first().ok_or_else(failed)?;
        let key = EncodingKey::from_secret(key.expose_secret());
        encode(&Header::new(ALGORITHM), &claims, &key).map_err(|error| failed().because(&error))
    }

    /// What the token says, when it is ours and valid at `now`. Why it isn't is nobody's business.
    pub(crate) fn verify(&self, token: &str, now: Millis) -> Option<TokenHolder> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let keys = self.keys.derive(PURPOSE);
        let claims = keys.iter().find_map(|key| {
            let key = DecodingKey::from_secret(key.expose_secret());
            decode::<Claims>(token, &key, &self.validation).ok()
        });
        let claims = claims?.claims;
        let live = claims.exp.saturating_add(LEEWAY_SECS) > now.secs();
        let begun = claims.iat <= now.secs().saturating_add(LEEWAY_SECS);
        let bound = claims.sub == claims.client;
        (live && begun && bound).then_some(TokenHolder {
            client: ClientId(claims.client),
            org: OrgId(claims.org),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use offtake_model::{ClientId, Fault, Millis, OrgId};
    use offtake_ports::{DerivedKey, KeyState, Keys};
    use serde_json::{Value, json};

    use super::{ALGORITHM, TOKEN_TTL_SECS, TokenHolder, Tokens};

    const NOW: Millis = Millis(1_790_000_000_000);
    const KEY: [u8; 32] = [7; 32];

    /// Keys that are what they are.
    struct Fixed(Vec<[u8; 32]>);

    #[async_trait]
    impl Keys for Fixed {
        fn derive(&self, _purpose: &str) -> Vec<DerivedKey> {
            let keys = self.0.iter();
            keys.map(|key| DerivedKey::new(Box::new(*key))).collect()
        }

        async fn list(&self) -> Result<Vec<KeyState>, Fault> {
            Ok(Vec::new())
        }

        async fn rotate(&self) -> Result<String, Fault> {
            Ok(String::new())
        }

        async fn reseal(&self) -> Result<u64, Fault> {
            Ok(0)
        }

        async fn retire(&self, _older_than: Duration) -> Result<Vec<String>, Fault> {
            Ok(Vec::new())
        }
    }

    fn tokens(keys: &[[u8; 32]]) -> Tokens {
        Tokens::new(Arc::new(Fixed(keys.to_vec())))
    }

    #[test]
    fn a_new_key_ends_no_token_before_the_old_one_is_retired() {
        let token = issued();
        assert!(tokens(&[[8; 32], KEY]).verify(&token, NOW).is_some());
        assert!(tokens(&[[8; 32]]).verify(&token, NOW).is_none());
    }

    fn issued() -> String {
        tokens(&[KEY])
            .sign(&ClientId("c".to_owned()), &OrgId("o".to_owned()), NOW)
            .unwrap()
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
        let body = format!("{}.{}", part(header), part(claims));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
        let tag = aws_lc_rs::hmac::sign(&key, body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn claims() -> Value {
        json!({"iss": "offtake", "aud": "offtake-api", "sub": "c", "client": "c", "org": "o",
               "iat": NOW.secs(), "exp": NOW.secs() + 100})
    }

    fn with(change: impl Fn(&mut Value)) -> Value {
        let mut value = claims();
        change(&mut value);
        value
    }

    #[test]
    fn an_issued_token_names_its_client_and_organisation() {
        let bearer = tokens(&[KEY]).verify(&issued(), NOW);
        assert_eq!(
            bearer,
            Some(TokenHolder {
                client: ClientId("c".to_owned()),
                org: OrgId("o".to_owned())
            })
        );
    }

    #[test]
    fn a_token_expires() {
        let ours = tokens(&[KEY]);
        let near_end = NOW.plus_millis((TOKEN_TTL_SECS - 1) * 1000);
        assert!(ours.verify(&issued(), near_end).is_some());
        let past_leeway = NOW.plus_millis((TOKEN_TTL_SECS + 60) * 1000);
        assert!(ours.verify(&issued(), past_leeway).is_none());
    }

    #[test]
    fn a_token_signed_here_by_hand_is_accepted_so_that_the_table_below_proves_something() {
        let token = signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims(), &KEY);
        assert!(tokens(&[KEY]).verify(&token, NOW).is_some());
        assert_eq!(ALGORITHM, jsonwebtoken::Algorithm::HS256);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn forged_tokens_are_refused() {
        let hs = json!({"alg": "HS256", "typ": "JWT"});
        let good = signed(&hs, &claims(), &KEY);
        let mut parts = good.split('.');
        let (head, body, tag) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        );
        let none = part(&json!({"alg": "none"}));
        let other_body = part(&with(|c| c["org"] = json!("other")));
        let table: Vec<(&str, String)> = vec![
            ("empty", String::new()),
            ("garbage", "garbage".to_owned()),
            ("two dots", "..".to_owned()),
            ("no signature", format!("{head}.{body}.")),
            ("cut signature", good[..good.len() - 2].to_owned()),
            ("alg none, no signature", format!("{none}.{body}.")),
            ("alg none, old signature", format!("{none}.{body}.{tag}")),
            ("changed claims", format!("{head}.{other_body}.{tag}")),
            ("other key", signed(&hs, &claims(), &[8; 32])),
            ("empty key", signed(&hs, &claims(), b"")),
            (
                "alg HS512",
                signed(&json!({"alg": "HS512"}), &claims(), &KEY),
            ),
            (
                "alg RS256",
                signed(&json!({"alg": "RS256"}), &claims(), &KEY),
            ),
            (
                "alg unknown",
                signed(&json!({"alg": "XX"}), &claims(), &KEY),
            ),
            (
                "alg missing",
                signed(&json!({"typ": "JWT"}), &claims(), &KEY),
            ),
            (
                "alg lower case",
                signed(&json!({"alg": "hs256"}), &claims(), &KEY),
            ),
            (
                "issuer",
                signed(&hs, &with(|c| c["iss"] = json!("x")), &KEY),
            ),
            (
                "audience",
                signed(&hs, &with(|c| c["aud"] = json!("x")), &KEY),
            ),
            (
                "no issuer",
                signed(
                    &hs,
                    &with(|c| {
                        c.as_object_mut().unwrap().remove("iss");
                    }),
                    &KEY,
                ),
            ),
            (
                "no audience",
                signed(
                    &hs,
                    &with(|c| {
                        c.as_object_mut().unwrap().remove("aud");
                    }),
                    &KEY,
                ),
            ),
            (
                "no subject",
                signed(
                    &hs,
                    &with(|c| {
                        c.as_object_mut().unwrap().remove("sub");
                    }),
                    &KEY,
                ),
            ),
            (
                "no expiry",
                signed(
                    &hs,
                    &with(|c| {
                        c.as_object_mut().unwrap().remove("exp");
                    }),
                    &KEY,
                ),
            ),
            (
                "no organisation",
                signed(
                    &hs,
                    &with(|c| {
                        c.as_object_mut().unwrap().remove("org");
                    }),
                    &KEY,
                ),
            ),
            (
                "expiry as text",
                signed(&hs, &with(|c| c["exp"] = json!("9999999999")), &KEY),
            ),
            (
                "expiry null",
                signed(&hs, &with(|c| c["exp"] = Value::Null), &KEY),
            ),
            (
                "expired",
                signed(&hs, &with(|c| c["exp"] = json!(NOW.secs() - 61)), &KEY),
            ),
            (
                "issued in the future",
                signed(&hs, &with(|c| c["iat"] = json!(NOW.secs() + 61)), &KEY),
            ),
            (
                "issue time as text",
                signed(&hs, &with(|c| c["iat"] = json!("1")), &KEY),
            ),
            (
                "subject is not the client",
                signed(&hs, &with(|c| c["sub"] = json!("d")), &KEY),
            ),
            (
                "audience list of others",
                signed(&hs, &with(|c| c["aud"] = json!(["x", "y"])), &KEY),
            ),
            ("claims are an array", signed(&hs, &json!([1]), &KEY)),
            ("too long", format!("{good}{}", "a".repeat(5000))),
        ];
        let ours = tokens(&[KEY]);
        assert!(table.len() >= 30);
        for (name, token) in table {
            assert_eq!(ours.verify(&token, NOW), None, "{name}");
        }
    }
}
