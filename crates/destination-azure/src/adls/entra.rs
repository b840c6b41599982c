//! Tokens of an application in Microsoft Entra ID, for its secret (OAuth 2, client credentials).
//!
//! A token is kept until shortly before it ends; one request at a time renews it.
//!
//! The one law: the secret goes to the authority that the connection means, and neither it nor a token is ever shown.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response};
use offtake_model::{ErrorCode, Fault};
use offtake_storage::{AzureSigner, Door, Retries};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded::Serializer;

use crate::refusal::header;

/// What tokens are asked for: everything that the application may do with storage.
const SCOPE: &str = "https://storage.azure.com/.default";

/// A token is not used any more when less of its time is left.
const RESERVE: Duration = Duration::from_mins(5);

/// How long a token is used at most, whatever it says of itself.
const GOOD_FOR_MAX: Duration = Duration::from_hours(1);

/// An application and where it is registered.
#[derive(Clone)]
pub(crate) struct Application {
    /// Address of the authority, without a slash at its end.
    pub(crate) authority: String,
    /// Domain or id of the tenant.
    pub(crate) tenant: String,
    /// The application's id.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: SecretString,
}

impl Application {
    /// Whether both are the same, secret and all.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.authority == other.authority
            && self.tenant == other.tenant
            && self.id == other.id
            && self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// An application that gets tokens.
pub(crate) struct Principal {
    door: Door,
    retries: Retries,
    application: Application,
    token: Mutex<Option<Token>>,
}

struct Token {
    bearer: SecretString,
    good_until: Instant,
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Seconds,
}

/// The documentation has a number, some authorities send it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn lasting(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.parse().ok()?,
        };
        Some(Duration::from_secs(seconds))
    }
}

/// What a refusal is read for. Its description repeats what was asked, so it is not read.
#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl Principal {
    pub(crate) fn new(door: Door, retries: Retries, application: Application) -> Self {
        Self {
            door,
            retries,
            application,
            token: Mutex::new(None),
        }
    }

    pub(crate) const fn application(&self) -> &Application {
        &self.application
    }

    /// A signer that is good for a while.
    ///
    /// # Errors
    /// `DESTINATION_KEYS_INVALID` and `DESTINATION_KEYS_EXPIRED` when the authority refuses the application.
    pub(crate) async fn signer(&self) -> Result<AzureSigner, Fault> {
        let mut token = self.token.lock().await;
        if let Some(known) = &*token
            && Instant::now() < known.good_until
        {
            return Ok(AzureSigner::Bearer(known.bearer.clone()));
        }
        // Counted from before the request: the authority's clock starts later.
        let asked = Instant::now();
        let (bearer, lasting) = self.ask().await?;
        let good_for = lasting.saturating_sub(RESERVE).min(GOOD_FOR_MAX);
        *token = Some(Token {
            bearer: bearer.clone(),
            good_until: asked + good_for,
        });
        Ok(AzureSigner::Bearer(bearer))
    }

    /// Forgets the token, after the service refused it.
    pub(crate) async fn forget(&self) {
        *self.token.lock().await = None;
    }

    async fn ask(&self) -> Result<(SecretString, Duration), Fault> {
        let mut left = self.retries.begin();
        loop {
            let (fault, asked_to_wait) = match self.door.send(self.request()?).await {
                Ok(answer) if answer.status().is_success() => return read(&answer),
                Ok(answer) => {
                    let fault = refused(&answer);
                    if fault.code != ErrorCode::DestinationBusy {
                        return Err(fault);
                    }
                    let wait = header(answer.headers(), "retry-after");
                    let wait = wait.and_then(|text| text.parse().ok());
                    (fault, wait.map(Duration::from_secs))
                }
                Err(none) => {
                    let fault = none.into_fault();
                    if fault.code != ErrorCode::DestinationUnreachable {
                        return Err(fault);
                    }
                    (fault, None)
                }
            };
            if !left.pause(asked_to_wait).await {
                return Err(fault);
            }
        }
    }

    fn request(&self) -> Result<Request<Bytes>, Fault> {
        let Application {
            authority,
            tenant,
            id,
            secret,
        } = &self.application;
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", id)
            .append_pair("client_secret", secret.expose_secret())
            .append_pair("scope", SCOPE)
            .finish();
        Request::post(format!("{authority}/{tenant}/oauth2/v2.0/token"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(Bytes::from(form))
            .map_err(|_| {
                told(
                    ErrorCode::ConnectionNotUsable,
                    "authority or tenant make no address",
                )
            })
    }
}

fn read(answer: &Response<Bytes>) -> Result<(SecretString, Duration), Fault> {
    // The parser's error could repeat the answer, which holds the token.
    let granted: Granted = serde_json::from_slice(answer.body())
        .map_err(|_| told(ErrorCode::DestinationProtocol, "the answer holds no token"))?;
    let lasting = granted.expires_in.lasting().unwrap_or_default();
    Ok((SecretString::from(granted.access_token), lasting))
}

/// What a refusal means, by the authority's own numbers.
fn refused(answer: &Response<Bytes>) -> Fault {
    let status = answer.status().as_u16();
    let body: Refused = serde_json::from_slice(answer.body()).unwrap_or_default();
    let number = body.error_codes.first().copied();
    let (code, meaning) = match (number, status) {
        (Some(7_000_215 | 7_000_216 | 7_000_218), _) => (
            ErrorCode::DestinationKeysInvalid,
            "the secret `servicePrincipalKey` is wrong",
        ),
        (Some(7_000_222), _) => (
            ErrorCode::DestinationKeysExpired,
            "the secret `servicePrincipalKey` has ended",
        ),
        (Some(700_016 | 7_000_229), _) => (
            ErrorCode::DestinationKeysInvalid,
            "the tenant knows no application `servicePrincipalId`",
        ),
        (Some(90_002 | 900_021 | 900_023), _) => (
            ErrorCode::DestinationKeysInvalid,
            "there is no `tenant` of that name",
        ),
        (Some(700_112 | 7_000_112), _) => {
            (ErrorCode::DestinationDenied, "the application is disabled")
        }
        (Some(53_000..=53_999), _) => (
            ErrorCode::DestinationDenied,
            "a policy of the tenant keeps the application out",
        ),
        (_, 408 | 429 | 500..=599) => (ErrorCode::DestinationBusy, "it is busy"),
        (_, _) => (
            ErrorCode::DestinationKeysInvalid,
            "it refuses the application",
        ),
    };
    let number = number.map_or_else(String::new, |number| format!("AADSTS{number}, "));
    told(code, &format!("{meaning} ({number}HTTP {status})"))
}

fn told(code: ErrorCode, reason: &str) -> Fault {
    Fault::new(
        code,
        format!("ask Microsoft Entra ID for a token: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::Response;
    use offtake_model::ErrorCode;
    use secrecy::ExposeSecret;

    use super::{read, refused};

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Response::builder().status(status).body(body).unwrap()
    }

    #[test]
    fn a_token_is_read_with_its_time_as_number_or_text() {
        for time in ["3599", "\"3599\""] {
            let body =
                format!(r#"{{"token_type":"Bearer","expires_in":{time},"access_token":"t"}}"#);
            let (token, lasting) = read(&answer(200, &body)).unwrap();
            assert_eq!(token.expose_secret(), "t");
            assert_eq!(lasting, Duration::from_secs(3_599));
        }
        let fault = read(&answer(200, r#"{"access_token": 5, "x": "secret"}"#)).unwrap_err();
        assert_eq!(fault.code, ErrorCode::DestinationProtocol);
        assert!(!format!("{fault:?}").contains("secret"));
    }

    #[test]
    fn each_refusal_has_its_own_words() {
        for (status, number, code, words) in [
            (
                401,
                7_000_215,
                ErrorCode::DestinationKeysInvalid,
                "servicePrincipalKey",
            ),
            (
                401,
                7_000_222,
                ErrorCode::DestinationKeysExpired,
                "has ended",
            ),
            (
                400,
                700_016,
                ErrorCode::DestinationKeysInvalid,
                "servicePrincipalId",
            ),
            (400, 90_002, ErrorCode::DestinationKeysInvalid, "tenant"),
            (400, 53_003, ErrorCode::DestinationDenied, "policy"),
            (
                400,
                1,
                ErrorCode::DestinationKeysInvalid,
                "AADSTS1, HTTP 400",
            ),
            (503, 90_033, ErrorCode::DestinationBusy, "busy"),
        ] {
            let body = format!(
                r#"{{"error":"x","error_description":"AADSTS{number}: secret","error_codes":[{number}]}}"#
            );
            let fault = refused(&answer(status, &body));
            assert_eq!(fault.code, code, "{fault}");
            assert!(fault.message.contains(words), "{fault}");
            assert!(!fault.message.contains("secret:"), "{fault}");
        }
        let plain = refused(&answer(429, "<html>"));
        assert_eq!(plain.code, ErrorCode::DestinationBusy);
    }
}
