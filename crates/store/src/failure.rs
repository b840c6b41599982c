//! Turns the database's errors into faults that say what was attempted.
//!
//! The one law: a message names the object, never its contents.

use std::fmt::Display;

use offtake_model::{ErrorCode, Fault};

/// Says what was attempted when it fails.
pub(crate) trait Attempting<T> {
    /// Turns the error into a fault with the message `failed to {what}`.
    fn attempting(self, what: impl Display) -> Result<T, Fault>;
}

impl<T> Attempting<T> for Result<T, sqlx::Error> {
    fn attempting(self, what: impl Display) -> Result<T, Fault> {
        self.map_err(|error| {
            Fault::new(
                ErrorCode::StoreUnavailable,
                format!("failed to {what} in the metadata database"),
            )
            .because(&error)
        })
    }
}

impl<T> Attempting<T> for Result<T, serde_json::Error> {
    fn attempting(self, what: impl Display) -> Result<T, Fault> {
        self.map_err(|error| {
            let at = format!("line {} column {}", error.line(), error.column());
            corrupt(format_args!("failed to {what}: unexpected JSON at {at}"))
        })
    }
}

/// The fault for a stored value that this program cannot have written.
pub(crate) fn corrupt(what: impl Display) -> Fault {
    Fault::new(ErrorCode::Internal, what.to_string())
}
