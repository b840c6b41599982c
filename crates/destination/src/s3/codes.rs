//! What a store refuses, told by its error code: the same status means different things, and `ExpiredToken` is a 400.
//!
//! The store's own message is never passed on: it can repeat what was signed, and with what.
//!
//! The one law: whether to try again, and what to do, follows from the code alone.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use offtake_model::ErrorCode;

use super::xml;

/// Longest code, request id or region that is passed on.
const WORD_BYTES_MAX: usize = 80;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What it means.
    pub(crate) meaning: Meaning,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The store's own code, where the answer had one.
    pub(crate) code: Option<String>,
    /// The store's name for the request, for its operator.
    pub(crate) request: Option<String>,
    /// The region that the store names.
    pub(crate) region: Option<String>,
    /// How long the store asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The upload was completed, aborted, or never there.
    NoUpload,
    /// No object of that key.
    NoKey,
    /// No bucket of that name.
    NoBucket,
    /// A condition on the final name did not hold.
    Taken,
    /// Another request to the key was under way; the upload may be spent.
    Contended,
    /// A part is not what was told of it.
    PartLost,
    /// The keys are good, their rights do not reach.
    Denied,
    /// The access key or its secret is wrong.
    KeysInvalid,
    /// The keys are no longer good.
    KeysExpired,
    /// The bucket lives in another region.
    RegionWrong,
    /// The clocks differ too much.
    ClockSkewed,
    /// No room.
    Full,
    /// What arrived is not what was sent.
    Damaged,
    /// Too much at once.
    Busy,
    /// The store failed.
    Broken,
    /// The store does not know what was asked for.
    Unsupported,
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
            "NoSuchUpload" => Self::NoUpload,
            "NoSuchKey" | "NotFound" => Self::NoKey,
            "NoSuchBucket" => Self::NoBucket,
            "PreconditionFailed" => Self::Taken,
            "ConditionalRequestConflict" | "OperationAborted" => Self::Contended,
            "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" => Self::PartLost,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "UserSuspended" => {
                Self::Denied
            }
            "SignatureDoesNotMatch"
            | "InvalidAccessKeyId"
            | "InvalidSecurity"
            | "NotSignedUp"
            | "InvalidToken" => Self::KeysInvalid,
            "ExpiredToken" | "TokenRefreshRequired" | "ExpiredTokenException" => Self::KeysExpired,
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "IllegalLocationConstraintException" => Self::RegionWrong,
            "RequestTimeTooSkewed" | "RequestExpired" => Self::ClockSkewed,
            "QuotaExceeded"
            | "TooManyParts"
            | "EntityTooLarge"
            | "XMinioStorageFull"
            | "InsufficientStorage" => Self::Full,
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "IncompleteBody" => Self::Damaged,
            "SlowDown"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "RequestTimeout" => Self::Busy,
            "InternalError" => Self::Broken,
            "NotImplemented" => Self::Unsupported,
            _ => return None,
        })
    }

    /// For answers without a code: those to HEAD, and those of whatever stands before the store.
    const fn of_status(status: u16) -> Self {
        match status {
            301 | 307 => Self::RegionWrong,
            401 | 403 => Self::Denied,
            404 => Self::NoKey,
            409 => Self::Contended,
            412 => Self::Taken,
            408 | 429 | 503 => Self::Busy,
            507 => Self::Full,
            501 => Self::Unsupported,
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
            Self::NoUpload => ErrorCode::StagedLost,
            Self::NoBucket => ErrorCode::DestinationBucketMissing,
            Self::Taken => ErrorCode::DestinationConflict,
            Self::Denied => ErrorCode::DestinationDenied,
            Self::KeysInvalid => ErrorCode::DestinationKeysInvalid,
            Self::KeysExpired => ErrorCode::DestinationKeysExpired,
            Self::RegionWrong => ErrorCode::DestinationRegionWrong,
            Self::ClockSkewed => ErrorCode::DestinationClockSkewed,
            Self::Full => ErrorCode::DestinationFull,
            Self::Damaged => ErrorCode::DestinationDamaged,
            Self::Busy => ErrorCode::DestinationBusy,
            Self::NoKey
            | Self::Contended
            | Self::PartLost
            | Self::Broken
            | Self::Unsupported
            | Self::Unexpected => ErrorCode::DestinationProtocol,
        }
    }
}

impl Refusal {
    /// What an answer that is no success says.
    pub(crate) fn read(answer: &Response<Bytes>) -> Self {
        let body = xml::error(answer.body()).unwrap_or_default();
        let code = word(&body.code);
        let header = |name| header(answer.headers(), name).and_then(word);
        let status = answer.status().as_u16();
        Self {
            meaning: Meaning::of(status, code.as_deref()),
            status,
            code,
            request: header("x-amz-request-id").or_else(|| header("x-guploader-uploadid")),
            region: header("x-amz-bucket-region").or_else(|| body.region.as_deref().and_then(word)),
            retry_after: header("retry-after")
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs),
        }
    }

    /// The refusal in words.
    pub(crate) fn words(&self) -> String {
        let code = self.code.as_deref().unwrap_or("no error code");
        let mut words = format!("the store answers {code} (HTTP {})", self.status);
        if let (Meaning::RegionWrong, Some(region)) = (self.meaning, &self.region) {
            words.push_str("; the bucket is in region ");
            words.push_str(region);
        }
        if let Some(request) = &self.request {
            words.push_str("; the store's name for the request is ");
            words.push_str(request);
        }
        words
    }
}

/// A header's text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The text when it is one harmless word, such as codes, regions and request ids are.
fn word(text: &str) -> Option<String> {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.:~".contains(&letter);
    let harmless = (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
    harmless.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;
    use offtake_model::{ErrorCode, fault::Retry};

    use super::Refusal;

    fn refusal(status: u16, body: &str) -> Refusal {
        let answer = Response::builder().status(status);
        Refusal::read(
            &answer
                .body(Bytes::copy_from_slice(body.as_bytes()))
                .unwrap(),
        )
    }

    fn coded(status: u16, code: &str) -> ErrorCode {
        let body = format!("<Error><Code>{code}</Code><Message>secret</Message></Error>");
        refusal(status, &body).meaning.error()
    }

    #[test]
    fn the_code_decides_and_not_the_status() {
        let table = [
            (400, "ExpiredToken", ErrorCode::DestinationKeysExpired),
            (
                403,
                "RequestTimeTooSkewed",
                ErrorCode::DestinationClockSkewed,
            ),
            (
                403,
                "SignatureDoesNotMatch",
                ErrorCode::DestinationKeysInvalid,
            ),
            (403, "InvalidAccessKeyId", ErrorCode::DestinationKeysInvalid),
            (403, "AccessDenied", ErrorCode::DestinationDenied),
            (403, "QuotaExceeded", ErrorCode::DestinationFull),
            (404, "NoSuchBucket", ErrorCode::DestinationBucketMissing),
            (
                400,
                "AuthorizationHeaderMalformed",
                ErrorCode::DestinationRegionWrong,
            ),
            (301, "PermanentRedirect", ErrorCode::DestinationRegionWrong),
            (503, "SlowDown", ErrorCode::DestinationBusy),
            (400, "BadDigest", ErrorCode::DestinationDamaged),
            (200, "InternalError", ErrorCode::DestinationProtocol),
        ];
        for (status, code, expected) in table {
            assert_eq!(coded(status, code), expected, "{code}");
        }
    }

    #[test]
    fn an_answer_without_a_code_is_read_by_its_status() {
        assert_eq!(
            refusal(403, "").meaning.error(),
            ErrorCode::DestinationDenied
        );
        assert_eq!(
            refusal(503, "<html>busy</html>").meaning.error(),
            ErrorCode::DestinationBusy
        );
    }

    #[test]
    fn what_somebody_must_mend_waits_for_that() {
        for code in [
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "AccessDenied",
            "NoSuchBucket",
        ] {
            assert_eq!(coded(400, code).retry(), Retry::Credentials, "{code}");
        }
    }

    #[test]
    fn words_carry_nothing_that_is_not_a_plain_word() {
        let body = "<Error><Code>a secret, perhaps</Code><Message>AKIA</Message><StringToSign>x</StringToSign></Error>";
        assert_eq!(
            refusal(400, body).words(),
            "the store answers no error code (HTTP 400)"
        );
        let body = "<Error><Code>PermanentRedirect</Code><Region>eu-west-3</Region></Error>";
        assert_eq!(
            refusal(301, body).words(),
            "the store answers PermanentRedirect (HTTP 301); the bucket is in region eu-west-3"
        );
    }
}
