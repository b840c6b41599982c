//! Short-lived keys of a customer's role, in exchange for the operator's own (AWS STS, `AssumeRole`).
//!
//! Keys are kept until shortly before they end; one request per role at a time renews them.
//!
//! The one law: keys are remembered by role and external id together, so that a role is never lent to somebody who
//! did not name its external id.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, StatusCode};
use offtake_model::{ErrorCode, Fault};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex as Turn;
use url::form_urlencoded::Serializer;

use crate::door::Door;
use crate::network::Network;
use crate::sign::{AwsKeys, AwsSigner};

/// Every role allows sessions of an hour.
const SESSION: Duration = Duration::from_hours(1);
/// How much of it keys are used for.
const GOOD_FOR: Duration = Duration::from_mins(50);
/// Roles remembered at the same time.
const ROLES_MAX: usize = 1_000;
const SESSION_NAME: &str = "offtake";
const VERSION: &str = "2011-06-15";

/// Who asks for roles, and where.
#[derive(Clone, Debug)]
pub struct StsSettings {
    /// The operator's own keys, which customers' roles trust.
    pub keys: AwsKeys,
    /// Region of the token service.
    pub region: String,
    /// Its address, when it is not Amazon's of that region.
    pub endpoint: Option<String>,
}

/// Takes on roles. Clones share what they remember.
#[derive(Clone)]
pub struct Roles {
    inner: Arc<Inner>,
}

struct Inner {
    door: Door,
    settings: StsSettings,
    known: Mutex<BTreeMap<RoleName, Arc<Turn<Option<Session>>>>>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RoleName {
    arn: String,
    external_id: Option<String>,
}

struct Session {
    keys: AwsKeys,
    good_until: Instant,
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roles").finish_non_exhaustive()
    }
}

impl Roles {
    /// Asks for roles through this network.
    pub fn new(network: &Network, settings: StsSettings) -> Self {
        Self {
            inner: Arc::new(Inner {
                door: network.door(),
                settings,
                known: Mutex::default(),
            }),
        }
    }

    /// Keys of the role that are good for a while.
    ///
    /// # Errors
    /// `DESTINATION_DENIED` when the role may not be taken on, `DESTINATION_UNREACHABLE` when the service is busy.
    pub async fn keys(&self, arn: &str, external_id: Option<&str>) -> Result<AwsKeys, Fault> {
        let turn = self.turn(arn, external_id);
        let mut session = turn.lock().await;
        if let Some(known) = &*session
            && Instant::now() < known.good_until
        {
            return Ok(known.keys.clone());
        }
        // Counted from before the request: the service's clock starts later.
        let good_until = Instant::now() + GOOD_FOR;
        let form = form(arn, external_id, None, SESSION);
        let keys = self.assume(arn, form).await?;
        *session = Some(Session {
            keys: keys.clone(),
            good_until,
        });
        Ok(keys)
    }

    /// Keys of the role for one session, cut down to what the policy allows, to be given to somebody else. Nothing is
    /// remembered of them.
    ///
    /// # Errors
    /// As for [`Self::keys`].
    pub async fn session(
        &self,
        arn: &str,
        policy: &str,
        lifetime: Duration,
    ) -> Result<AwsKeys, Fault> {
        let form = form(arn, None, Some(policy), lifetime);
        self.assume(arn, form).await
    }

    /// Forgets the keys of a role, after a store called them expired.
    pub fn forget(&self, arn: &str, external_id: Option<&str>) {
        let mut known = self.known();
        known.remove(&name(arn, external_id));
    }

    fn turn(&self, arn: &str, external_id: Option<&str>) -> Arc<Turn<Option<Session>>> {
        let mut known = self.known();
        if known.len() >= ROLES_MAX {
            known.clear();
        }
        Arc::clone(known.entry(name(arn, external_id)).or_default())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<RoleName, Arc<Turn<Option<Session>>>>> {
        let known = &self.inner.known;
        known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn assume(&self, arn: &str, form: String) -> Result<AwsKeys, Fault> {
        let settings = &self.inner.settings;
        let mut request = Request::post(address(settings))
            .header(
                CONTENT_TYPE,
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .header(ACCEPT, "text/xml")
            .body(Bytes::from(form))
            .map_err(|_| {
                attempted(
                    ErrorCode::FieldInvalid,
                    arn,
                    "`aws.sts_endpoint` is no address",
                )
            })?;
        AwsSigner::new(settings.keys.clone(), &settings.region)
            .for_service("sts")
            .sign(&mut request)?;
        let answer = self.inner.door.send(request).await;
        let answer = answer.map_err(crate::door::NoAnswer::into_fault)?;
        read(arn, answer.status(), answer.body())
    }
}

fn name(arn: &str, external_id: Option<&str>) -> RoleName {
    RoleName {
        arn: arn.to_owned(),
        external_id: external_id.map(str::to_owned),
    }
}

fn form(arn: &str, external_id: Option<&str>, policy: Option<&str>, lifetime: Duration) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", "AssumeRole")
        .append_pair("Version", VERSION)
        .append_pair("RoleArn", arn)
        .append_pair("RoleSessionName", SESSION_NAME)
        .append_pair("DurationSeconds", &lifetime.as_secs().to_string());
    if let Some(id) = external_id {
        form.append_pair("ExternalId", id);
    }
    if let Some(policy) = policy {
        form.append_pair("Policy", policy);
    }
    form.finish()
}

fn address(settings: &StsSettings) -> String {
    if let Some(endpoint) = &settings.endpoint {
        return format!("{}/", endpoint.trim_end_matches('/'));
    }
    let region = &settings.region;
    let country = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://sts.{region}.amazonaws.com{country}/")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    assume_role_result: AssumedResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedResult {
    credentials: Temporary,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Temporary {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RefusalError {
    code: String,
}

fn read(arn: &str, status: StatusCode, body: &Bytes) -> Result<AwsKeys, Fault> {
    let text = String::from_utf8_lossy(body);
    if status.is_success() {
        // The parser's error could repeat the answer, which holds keys.
        let assumed: Assumed = quick_xml::de::from_str(&text).map_err(|_| {
            attempted(
                ErrorCode::DestinationProtocol,
                arn,
                "its answer holds no keys",
            )
        })?;
        let temporary = assumed.assume_role_result.credentials;
        return Ok(AwsKeys {
            access_key: temporary.access_key_id,
            secret_key: SecretString::from(temporary.secret_access_key),
            session_token: Some(SecretString::from(temporary.session_token)),
        });
    }
    let refusal: Option<Refusal> = quick_xml::de::from_str(&text).ok();
    let code = refusal.map_or_else(|| status.to_string(), |it| it.error.code);
    Err(refused(arn, status, &code))
}

/// The service's own words are left out: they name the operator's account to whoever reads the customer's run.
fn refused(arn: &str, status: StatusCode, code: &str) -> Fault {
    match code {
        "AccessDenied" => attempted(
            ErrorCode::DestinationDenied,
            arn,
            "its trust policy does not let us (AccessDenied); it must name our principal and external id",
        ),
        "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "MissingAuthenticationToken"
        | "UnrecognizedClientException" => attempted(
            ErrorCode::DestinationDenied,
            arn,
            &format!("the operator's own keys in `[aws]` are not accepted ({code})"),
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => attempted(
            ErrorCode::DestinationUnreachable,
            arn,
            &format!("the token service is busy ({code})"),
        ),
        _ if status.is_server_error() => attempted(
            ErrorCode::DestinationUnreachable,
            arn,
            &format!("the token service failed ({code})"),
        ),
        _ => attempted(
            ErrorCode::DestinationDenied,
            arn,
            &format!("refused ({code})"),
        ),
    }
}

fn attempted(code: ErrorCode, arn: &str, reason: &str) -> Fault {
    Fault::new(code, format!("take on the role {arn}: {reason}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;
    use offtake_model::{ErrorCode, Retry};
    use secrecy::{ExposeSecret, SecretString};

    use super::{StsSettings, address, read};
    use crate::AwsKeys;

    const ARN: &str = "arn:aws:iam::123456789012:role/offtake";

    fn settings(region: &str, endpoint: Option<&str>) -> StsSettings {
        StsSettings {
            keys: AwsKeys {
                access_key: "AK".to_owned(),
                secret_key: SecretString::from("SK"),
                session_token: None,
            },
            region: region.to_owned(),
            endpoint: endpoint.map(str::to_owned),
        }
    }

    #[test]
    fn the_service_is_that_of_the_region_or_the_given_one() {
        let check = |region, endpoint, expected: &str| {
            assert_eq!(address(&settings(region, endpoint)), expected);
        };
        check("eu-west-1", None, "https://sts.eu-west-1.amazonaws.com/");
        check(
            "cn-north-1",
            None,
            "https://sts.cn-north-1.amazonaws.com.cn/",
        );
        check(
            "eu-west-1",
            Some("http://127.0.0.1:5000/"),
            "http://127.0.0.1:5000/",
        );
    }

    #[test]
    fn keys_are_read_from_the_documented_answer() {
        let body = Bytes::from_static(
            br#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
                <AssumedRoleUser><AssumedRoleId>R:offtake</AssumedRoleId><Arn>a</Arn></AssumedRoleUser>
                <Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s/1+</SecretAccessKey>
                <SessionToken>t==</SessionToken><Expiration>2026-11-25T23:00:00Z</Expiration></Credentials>
                <PackedPolicySize>6</PackedPolicySize></AssumeRoleResult>
                <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"#,
        );
        let keys = read(ARN, StatusCode::OK, &body).unwrap();
        assert_eq!(keys.access_key, "ASIA1");
        assert_eq!(keys.secret_key.expose_secret(), "s/1+");
        assert_eq!(keys.session_token.unwrap().expose_secret(), "t==");
    }

    #[test]
    fn refusals_are_told_apart_by_their_code() {
        let check = |status, code: &str, expected: ErrorCode, says: &str| {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>arn:aws:iam::999:user/op</Message>\
                 </Error><RequestId>r</RequestId></ErrorResponse>"
            );
            let status = StatusCode::from_u16(status).unwrap();
            let fault = read(ARN, status, &Bytes::from(body)).unwrap_err();
            assert_eq!(fault.code, expected, "{code}");
            assert!(fault.message.contains(says), "{fault}");
            assert!(!format!("{fault:?}").contains("999"), "{fault:?}");
        };
        check(
            403,
            "AccessDenied",
            ErrorCode::DestinationDenied,
            "trust policy",
        );
        check(
            403,
            "SignatureDoesNotMatch",
            ErrorCode::DestinationDenied,
            "operator's own keys",
        );
        check(400, "Throttling", ErrorCode::DestinationUnreachable, "busy");
        check(
            500,
            "InternalFailure",
            ErrorCode::DestinationUnreachable,
            "failed",
        );
        let fault = read(ARN, StatusCode::OK, &Bytes::from_static(b"<html>SECRET")).unwrap_err();
        assert_eq!(fault.retry(), Retry::Transient);
        assert!(!format!("{fault:?}").contains("SECRET"));
    }
}
