//! What Azure refuses, told by its error code: one status means many things, and a wrong key shows as several.
//!
//! The service's own message is never passed on: it can repeat what was signed.
//!
//! The one law: whether to try again, and what to do, follows from the code, our clock and the signature's end alone.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response};
use offtake_model::ErrorCode;
use serde::Deserialize;

/// Longest code or request id that is passed on.
const WORD_BYTES_MAX: usize = 80;

/// Clocks that differ by more are to blame when a signature is refused. The service bears 15 minutes.
const SKEW_MAX: Duration = Duration::from_mins(14);

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What it means.
    pub(crate) meaning: Meaning,
    /// The HTTP status.
    status: u16,
    /// The service's own code, where the answer had one.
    code: Option<String>,
    /// The service's name for the request, for its operator.
    request: Option<String>,
    /// How long the service asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing of that name.
    Missing,
    /// No container or file system of that name.
    NoContainer,
    /// Something lies at the name where nothing should.
    Taken,
    /// What lies at the name is not what the condition asks for.
    Unlike,
    /// The blocks named are not there.
    BlocksGone,
    /// What was to be renamed is not there.
    SourceMissing,
    /// The folder to rename into is not there.
    FolderMissing,
    /// The folder has something in it.
    NotEmpty,
    /// Somebody holds a lease on it.
    Leased,
    /// The credentials are good, their rights do not reach.
    Denied,
    /// The key, signature or token is wrong.
    KeysInvalid,
    /// The signature or token is no longer good.
    KeysExpired,
    /// The clocks differ too much.
    ClockSkewed,
    /// The account has no hierarchical namespace.
    Flat,
    /// No room.
    Full,
    /// A file is larger than a blob can be.
    TooLarge,
    /// What arrived is not what was sent.
    Damaged,
    /// Too much at once.
    Busy,
    /// The service failed.
    Broken,
    /// Anything else.
    Unexpected,
}

impl Meaning {
    fn of(status: u16, code: Option<&str>) -> Self {
        code.and_then(Self::of_code)
            .unwrap_or_else(|| Self::of_status(status))
    }

    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "BlobNotFound" | "PathNotFound" | "ResourceNotFound" => Self::Missing,
            "ContainerNotFound" | "FilesystemNotFound" | "ContainerDisabled" => Self::NoContainer,
            "BlobAlreadyExists"
            | "PathAlreadyExists"
            | "ResourceAlreadyExists"
            | "ContainerAlreadyExists"
            | "PathConflict"
            | "InvalidSourceOrDestinationResourceType" => Self::Taken,
            "ConditionNotMet" | "SourceConditionNotMet" | "TargetConditionNotMet" => Self::Unlike,
            "InvalidBlockList" => Self::BlocksGone,
            "SourcePathNotFound" | "RenameSourcePathNotFound" => Self::SourceMissing,
            "RenameDestinationParentPathNotFound" => Self::FolderMissing,
            "DirectoryNotEmpty" => Self::NotEmpty,
            "LeaseIdMissing"
            | "LeaseIdMismatchWithBlobOperation"
            | "LeaseLost"
            | "BlobImmutableDueToPolicy" => Self::Leased,
            "AuthorizationFailure"
            | "AuthorizationPermissionMismatch"
            | "AuthorizationProtocolMismatch"
            | "AuthorizationResourceTypeMismatch"
            | "AuthorizationServiceMismatch"
            | "AuthorizationSourceIPMismatch"
            | "InsufficientAccountPermissions"
            | "KeyBasedAuthenticationNotPermitted"
            | "AccountIsDisabled" => Self::Denied,
            "AuthenticationFailed"
            | "InvalidAuthenticationInfo"
            | "NoAuthenticationInformation"
            | "PublicAccessNotPermitted"
            | "InvalidAccessKeyId" => Self::KeysInvalid,
            "AuthenticationTokenExpired" | "ExpiredAuthenticationToken" => Self::KeysExpired,
            "HierarchicalNamespaceNotEnabled"
            | "EndpointUnsupportedAccountFeatures"
            | "FilesystemTypeMismatch" => Self::Flat,
            "InsufficientStorage" | "AccountStorageLimitExceeded" => Self::Full,
            "BlockCountExceedsLimit" | "BlockListTooLong" | "RequestBodyTooLarge" => Self::TooLarge,
            "Md5Mismatch" | "Crc64Mismatch" | "IncompleteBody" | "InvalidFlushPosition" => {
                Self::Damaged
            }
            "ServerBusy"
            | "OperationTimedOut"
            | "AccountBeingCreated"
            | "ContainerBeingDeleted"
            | "FilesystemBeingDeleted"
            | "OperationNotAllowedOnAccountBeingMigrated"
            | "AccountLimitExceeded" => Self::Busy,
            "InternalError" | "InternalServerError" => Self::Broken,
            _ => return None,
        })
    }

    /// For answers without a code: those of whatever stands before the service.
    const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::KeysInvalid,
            403 => Self::Denied,
            404 => Self::Missing,
            412 => Self::Unlike,
            413 => Self::TooLarge,
            408 | 429 | 503 => Self::Busy,
            507 => Self::Full,
            500..=599 => Self::Broken,
            _ => Self::Unexpected,
        }
    }

    /// Whether the same call may succeed a moment later.
    pub(crate) const fn passing(self) -> bool {
        matches!(self, Self::Busy | Self::Broken | Self::Damaged)
    }

    /// The code that users meet.
    pub(crate) const fn error(self) -> ErrorCode {
        match self {
            Self::BlocksGone | Self::SourceMissing => ErrorCode::StagedLost,
            Self::NoContainer => ErrorCode::DestinationBucketMissing,
            Self::Taken | Self::Leased => ErrorCode::DestinationConflict,
            Self::Denied => ErrorCode::DestinationDenied,
            Self::KeysInvalid => ErrorCode::DestinationKeysInvalid,
            Self::KeysExpired => ErrorCode::DestinationKeysExpired,
            Self::ClockSkewed => ErrorCode::DestinationClockSkewed,
            Self::Flat => ErrorCode::NamespaceNotHierarchical,
            Self::Full => ErrorCode::DestinationFull,
            Self::TooLarge => ErrorCode::DestinationFileTooLarge,
            Self::Damaged => ErrorCode::DestinationDamaged,
            Self::Busy => ErrorCode::DestinationBusy,
            Self::Missing
            | Self::Unlike
            | Self::FolderMissing
            | Self::NotEmpty
            | Self::Broken
            | Self::Unexpected => ErrorCode::DestinationProtocol,
        }
    }
}

/// The body of a refusal at the Blob endpoint. Its message can repeat what was signed, so it is not read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct XmlBody {
    code: String,
}

/// The body of a refusal at the dfs endpoint.
#[derive(Deserialize)]
struct JsonBody {
    error: JsonError,
}

#[derive(Deserialize)]
struct JsonError {
    code: String,
}

impl Refusal {
    /// What an answer that is no success says. `ended` tells whether the signature that was used has ended.
    pub(crate) fn read(answer: &Response<Bytes>, now: SystemTime, ended: bool) -> Self {
        let headers = answer.headers();
        let status = answer.status().as_u16();
        let code = header(headers, "x-ms-error-code")
            .and_then(word)
            .or_else(|| body_code(answer.body()));
        let mut meaning = Meaning::of(status, code.as_deref());
        if matches!(meaning, Meaning::KeysInvalid | Meaning::Denied) && ended {
            meaning = Meaning::KeysExpired;
        }
        if meaning == Meaning::KeysInvalid && skewed(headers, now) {
            meaning = Meaning::ClockSkewed;
        }
        Self {
            meaning,
            status,
            code,
            request: header(headers, "x-ms-request-id").and_then(word),
            retry_after: header(headers, "retry-after")
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs),
        }
    }

    /// The refusal in words.
    pub(crate) fn words(&self) -> String {
        let code = self.code.as_deref().unwrap_or("no error code");
        let mut words = format!("the store answers {code} (HTTP {})", self.status);
        if let Some(request) = &self.request {
            words.push_str("; the store's name for the request is ");
            words.push_str(request);
        }
        words
    }
}

fn body_code(body: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(body)
        .ok()?
        .trim_start_matches('\u{feff}');
    let code = match quick_xml::de::from_str::<XmlBody>(text) {
        Ok(body) => body.code,
        Err(_) => serde_json::from_str::<JsonBody>(text).ok()?.error.code,
    };
    word(&code)
}

/// Whether the service's clock and ours differ too much for signatures.
fn skewed(headers: &HeaderMap, now: SystemTime) -> bool {
    let theirs = header(headers, "date").and_then(|it| httpdate::parse_http_date(it).ok());
    theirs.is_some_and(|theirs| {
        let apart = theirs
            .duration_since(now)
            .or_else(|_| now.duration_since(theirs));
        apart.is_ok_and(|apart| apart > SKEW_MAX)
    })
}

/// A header's text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The text when it is one harmless word, such as codes and request ids are.
fn word(text: &str) -> Option<String> {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.:~".contains(&letter);
    let harmless = (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
    harmless.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use http::Response;
    use offtake_model::{ErrorCode, fault::Retry};

    use super::Refusal;

    /// When the answers below say that they were sent.
    const SENT: &str = "Thu, 26 Nov 2026 06:30:00 GMT";

    fn now() -> SystemTime {
        httpdate::parse_http_date(SENT).unwrap()
    }

    fn refusal(
        status: u16,
        code: Option<&str>,
        body: &str,
        now: SystemTime,
        ended: bool,
    ) -> Refusal {
        let mut answer = Response::builder().status(status).header("date", SENT);
        if let Some(code) = code {
            answer = answer.header("x-ms-error-code", code);
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        Refusal::read(&answer.body(body).unwrap(), now, ended)
    }

    fn coded(status: u16, code: &str) -> ErrorCode {
        refusal(status, Some(code), "", now(), false)
            .meaning
            .error()
    }

    #[test]
    fn the_code_decides_and_not_the_status() {
        for (status, code, expected) in [
            (
                403,
                "AuthenticationFailed",
                ErrorCode::DestinationKeysInvalid,
            ),
            (
                400,
                "InvalidAuthenticationInfo",
                ErrorCode::DestinationKeysInvalid,
            ),
            (
                403,
                "AuthorizationPermissionMismatch",
                ErrorCode::DestinationDenied,
            ),
            (403, "AuthorizationFailure", ErrorCode::DestinationDenied),
            (
                404,
                "ContainerNotFound",
                ErrorCode::DestinationBucketMissing,
            ),
            (
                404,
                "FilesystemNotFound",
                ErrorCode::DestinationBucketMissing,
            ),
            (404, "SourcePathNotFound", ErrorCode::StagedLost),
            (400, "InvalidBlockList", ErrorCode::StagedLost),
            (409, "BlobAlreadyExists", ErrorCode::DestinationConflict),
            (400, "Md5Mismatch", ErrorCode::DestinationDamaged),
            (500, "OperationTimedOut", ErrorCode::DestinationBusy),
            (503, "ServerBusy", ErrorCode::DestinationBusy),
            (500, "InternalError", ErrorCode::DestinationProtocol),
            (
                409,
                "EndpointUnsupportedAccountFeatures",
                ErrorCode::NamespaceNotHierarchical,
            ),
            (
                409,
                "BlockCountExceedsLimit",
                ErrorCode::DestinationFileTooLarge,
            ),
        ] {
            assert_eq!(coded(status, code), expected, "{code}");
        }
    }

    #[test]
    fn the_code_is_found_in_the_header_and_in_either_body() {
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>ContainerNotFound</Code><Message>secret</Message></Error>";
        let json = r#"{"error":{"code":"FilesystemNotFound","message":"secret"}}"#;
        for body in [xml, json] {
            let found = refusal(404, None, body, now(), false);
            assert_eq!(found.meaning.error(), ErrorCode::DestinationBucketMissing);
            assert!(!found.words().contains("secret"), "{}", found.words());
        }
        let plain = refusal(503, None, "<html>busy</html>", now(), false);
        assert_eq!(plain.meaning.error(), ErrorCode::DestinationBusy);
        assert_eq!(plain.words(), "the store answers no error code (HTTP 503)");
    }

    #[test]
    fn a_refused_signature_is_blamed_on_its_end_or_on_the_clocks_where_they_are_to_blame() {
        let of = |now, ended| {
            refusal(403, Some("AuthenticationFailed"), "", now, ended)
                .meaning
                .error()
        };
        assert_eq!(of(now(), true), ErrorCode::DestinationKeysExpired);
        let hour = Duration::from_hours(1);
        assert_eq!(of(now() + hour, false), ErrorCode::DestinationClockSkewed);
        assert_eq!(of(now() - hour, false), ErrorCode::DestinationClockSkewed);
        assert_eq!(
            of(now() + Duration::from_mins(5), false),
            ErrorCode::DestinationKeysInvalid
        );
    }

    #[test]
    fn what_somebody_must_mend_waits_for_that() {
        for code in [
            "AuthenticationFailed",
            "AuthorizationPermissionMismatch",
            "ContainerNotFound",
        ] {
            assert_eq!(coded(400, code).retry(), Retry::Credentials, "{code}");
        }
    }
}
