//! Failures of reading a table, in the words of the outside.
//!
//! The one law: a fault names the table, and the file where there is one; never a value of a row.

use std::io;

use delta_kernel::KernelError;
use offtake_model::{ErrorCode, Fault};

/// Whether an opened folder refused the path because it leads out of it, by `..` or a symbolic link.
pub(crate) fn leaves_folder(error: &io::Error) -> bool {
    // A refusal by the operating system would carry its error number.
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// Whether the path does not lead to anything of the kind that was looked for.
pub(crate) fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

/// The fault of a table whose log the kernel could not use.
pub(crate) fn of_kernel(table: &str, error: &KernelError) -> Fault {
    if let KernelError::Backtraced { source, .. } = error {
        return of_kernel(table, source);
    }
    let (code, reason) = situation(error);
    if code == ErrorCode::SourceFeatureUnsupported {
        return Fault::new(code, format!("table `{table}` cannot be read: {error}"));
    }
    Fault::new(code, format!("the log of table `{table}` {reason}")).because(error)
}

/// The code of a failure inside the library, and what it says of the log.
fn situation(error: &KernelError) -> (ErrorCode, &'static str) {
    use object_store::Error as Store;

    // A table that a catalogue manages is told by the library's asking for that catalogue's latest version.
    if matches!(
        error,
        KernelError::Unsupported(_) | KernelError::MaxCatalogVersion(_)
    ) {
        return (
            ErrorCode::SourceFeatureUnsupported,
            "uses an unknown feature",
        );
    }
    if matches!(
        error,
        KernelError::InvalidTableLocation(_)
            | KernelError::ObjectStore(Store::PermissionDenied { .. })
    ) {
        return (
            ErrorCode::SourceOutsideRoot,
            "refers to a file outside the table",
        );
    }
    if matches!(
        error,
        KernelError::ObjectStore(Store::Unauthenticated { .. })
    ) {
        return (ErrorCode::SourceDenied, "may not be read");
    }
    if matches!(
        error,
        KernelError::FileNotFound(_) | KernelError::ObjectStore(Store::NotFound { .. })
    ) {
        return (
            ErrorCode::SourceVanished,
            "refers to a file that is not there, or vanished while it was read",
        );
    }
    if matches!(
        error,
        KernelError::ObjectStore(_) | KernelError::IOError(_) | KernelError::JoinFailure(_)
    ) {
        return (ErrorCode::SourceUnreachable, "could not be read");
    }
    (ErrorCode::SourceCorrupt, "cannot be decoded")
}

/// Runs blocking work away from the runtime's own threads. A panic inside a decoder ends as a fault, not as ours.
pub(crate) async fn blocking<T, F>(what: String, work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Fault> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) if error.is_panic() => Err(Fault::new(
            ErrorCode::SourceCorrupt,
            format!("{what} made its decoder fail; it is damaged, or offtake has a bug"),
        )),
        Err(error) => {
            Err(Fault::new(ErrorCode::SourceUnreachable, "offtake is stopping").because(&error))
        }
    }
}
