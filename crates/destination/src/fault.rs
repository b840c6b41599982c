//! What the operating system says, as the destination's faults. Messages name the key, never the path on the host.
//!
//! The one law: the code follows from the error number alone, so the retry rule is the same everywhere.

use std::io;

use offtake_model::{ErrorCode, Fault};
use rustix::io::Errno;

/// The fault for an input/output error met while doing `attempted` (a verb phrase) to the key.
pub(crate) fn from_io(error: &io::Error, attempted: &str, key: &str) -> Fault {
    Fault::new(
        code(error),
        format!("{attempted} file {key} of the landing zone"),
    )
    .because(error)
}

/// The code for an input/output error.
pub(crate) fn code(error: &io::Error) -> ErrorCode {
    match Errno::from_io_error(error) {
        // A file size limit is met like a full disk: somebody must make room.
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => ErrorCode::DestinationFull,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => ErrorCode::DestinationDenied,
        // A link or a file where a folder of the key should be, or a folder where the file should be.
        Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR) => ErrorCode::DestinationConflict,
        Some(_) | None => ErrorCode::DestinationUnreachable,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use offtake_model::ErrorCode;
    use rustix::io::Errno;

    use super::{code, from_io};

    #[test]
    fn an_error_number_decides_the_code() {
        let table = [
            (Errno::NOSPC, ErrorCode::DestinationFull),
            (Errno::DQUOT, ErrorCode::DestinationFull),
            (Errno::FBIG, ErrorCode::DestinationFull),
            (Errno::ACCESS, ErrorCode::DestinationDenied),
            (Errno::PERM, ErrorCode::DestinationDenied),
            (Errno::ROFS, ErrorCode::DestinationDenied),
            (Errno::LOOP, ErrorCode::DestinationConflict),
            (Errno::NOTDIR, ErrorCode::DestinationConflict),
            (Errno::IO, ErrorCode::DestinationUnreachable),
            (Errno::STALE, ErrorCode::DestinationUnreachable),
        ];
        for (errno, expected) in table {
            assert_eq!(code(&io::Error::from(errno)), expected, "{errno}");
        }
    }

    #[test]
    fn a_message_says_what_was_attempted_on_which_key() {
        let fault = from_io(&Errno::NOSPC.into(), "write", "exports/part-0.json");
        assert_eq!(
            fault.message,
            "write file exports/part-0.json of the landing zone"
        );
        assert!(fault.cause.is_some());
    }
}
