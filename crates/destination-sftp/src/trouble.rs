//! What a server's refusal means, as the destination's faults.
//!
//! SFTP has one status for most failures, so the server's own words are read for a full disk, and kept as the cause.
//!
//! The one law: a lost connection is never told as a refusal, for the request may have been carried out.

use std::error::Error;
use std::fmt;

use offtake_model::{ErrorCode, Fault};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;

const DAMAGED: &str = "the server lost bytes that it had acknowledged";

/// Why a request has no good answer.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// There is nothing at that path, or no folder for it.
    Missing,
    /// The account may not.
    Denied(String),
    /// No room is left.
    Full(String),
    /// The server has no such operation.
    Unsupported,
    /// Refused for a reason that SFTP cannot name, such as a name that is taken.
    Refused(String),
    /// No answer came, and none will.
    Lost(String),
    /// An answer that the protocol does not have.
    Odd(String),
    /// Bytes that were acknowledged are not there any more.
    Damaged,
}

impl Trouble {
    /// Whether another connection may do better.
    pub(crate) const fn lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// The fault for a trouble met while doing `attempted` (a verb phrase) to the key.
    pub(crate) fn into_fault(self, attempted: &str, key: &str) -> Fault {
        let (code, cause) = match self {
            Self::Missing => (
                ErrorCode::DestinationProtocol,
                "no such file or folder".to_owned(),
            ),
            Self::Denied(cause) => (ErrorCode::DestinationDenied, cause),
            Self::Full(cause) => (ErrorCode::DestinationFull, cause),
            Self::Unsupported => (
                ErrorCode::DestinationProtocol,
                "the server does not support the operation".to_owned(),
            ),
            Self::Odd(cause) => (ErrorCode::DestinationProtocol, cause),
            Self::Damaged => (ErrorCode::DestinationDamaged, DAMAGED.to_owned()),
            Self::Refused(cause) | Self::Lost(cause) => (ErrorCode::DestinationUnreachable, cause),
        };
        let mut fault = Fault::new(code, format!("{attempted} file {key} of the SFTP server"));
        fault.cause = Some(cause);
        fault
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file or folder"),
            Self::Unsupported => f.write_str("the server does not support the operation"),
            Self::Damaged => f.write_str(DAMAGED),
            Self::Denied(text)
            | Self::Full(text)
            | Self::Refused(text)
            | Self::Lost(text)
            | Self::Odd(text) => f.write_str(text),
        }
    }
}

impl Error for Trouble {}

impl From<SftpError> for Trouble {
    fn from(error: SftpError) -> Self {
        let text = error.to_string();
        match error {
            SftpError::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => Self::Missing,
                StatusCode::PermissionDenied => Self::Denied(text),
                StatusCode::OpUnsupported => Self::Unsupported,
                StatusCode::Failure if says_full(&text) => Self::Full(text),
                StatusCode::Failure => Self::Refused(text),
                StatusCode::NoConnection | StatusCode::ConnectionLost => Self::Lost(text),
                StatusCode::Ok | StatusCode::Eof | StatusCode::BadMessage => Self::Odd(text),
            },
            // The crate reports a connection that ended as unexpected behaviour too.
            SftpError::IO(_) | SftpError::Timeout | SftpError::UnexpectedBehavior(_) => {
                Self::Lost(text)
            }
            SftpError::Limited(_) | SftpError::UnexpectedPacket => Self::Odd(text),
        }
    }
}

fn says_full(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["no space", "space left", "quota", "disk full"]
        .iter()
        .any(|words| text.contains(words))
}
