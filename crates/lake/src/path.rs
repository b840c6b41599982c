//! Relative paths that stay below the folder they start from.
//!
//! Works on text only; symbolic links are the business of the folder handles in `root` and `confined`.
//! The one law: a path that comes out of here has no empty, `.` or `..` segment, no NUL and no leading slash.

/// Longest path taken from a request or a table's log, in bytes. The operating system's own limit.
pub(crate) const PATH_BYTES_MAX: usize = 4_096;

/// Why a path was refused. Fits "… because it".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It names a place by itself, not below something.
    #[error("is absolute")]
    Absolute,
    /// It has a `..` segment.
    #[error("contains `..`")]
    Parent,
    /// It has a NUL or another character that no path of ours may have.
    #[error("contains a control character")]
    Control,
    /// Its percent-encoding doesn't decode to text.
    #[error("isn't valid percent-encoded text")]
    Encoding,
    /// It is empty where a file is meant.
    #[error("is empty")]
    Empty,
    /// It is longer than any real path.
    #[error("is too long")]
    Long,
}

/// Normalises a `/`-separated path from a request: repeated and trailing slashes and `.` are dropped.
/// May come out empty, which means the folder itself.
pub(crate) fn relative(path: &str) -> Result<String, Refusal> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Refusal::Long);
    }
    if path.chars().any(char::is_control) {
        return Err(Refusal::Control);
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => return Err(Refusal::Parent),
            name => kept.push(name),
        }
    }
    Ok(kept.join("/"))
}

/// Decodes the path of a file as a table's log spells it: percent-encoded and relative to the table.
pub(crate) fn of_log(path: &str) -> Result<String, Refusal> {
    if path.starts_with('/') || scheme(path) {
        return Err(Refusal::Absolute);
    }
    let decoded = percent_decode(path)?;
    if decoded.starts_with('/') {
        return Err(Refusal::Absolute);
    }
    let path = relative(&decoded)?;
    if path.is_empty() {
        return Err(Refusal::Empty);
    }
    Ok(path)
}

/// Decodes `%XX`. A percent sign that starts no such pair is refused, because two readers would disagree about it.
pub(crate) fn percent_decode(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (rest.next().and_then(hex), rest.next().and_then(hex)) else {
            return Err(Refusal::Encoding);
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| Refusal::Encoding)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Whether the text starts with a URL scheme and a place, such as `file:/` or `s3://`. A colon that no slash follows
/// belongs to a name: writers leave it in the folder of a partition column that is called `ns:day`.
fn scheme(text: &str) -> bool {
    let Some((name, place)) = text.split_once(':') else {
        return false;
    };
    place.starts_with('/')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Refusal, of_log, relative};

    #[test]
    fn request_paths_are_normalised_or_refused() {
        for (given, expected) in [
            ("events", Ok("events")),
            ("a//b/./c/", Ok("a/b/c")),
            ("", Ok("")),
            ("/a", Ok("a")),
            ("a/../b", Err(Refusal::Parent)),
            ("..", Err(Refusal::Parent)),
            ("a/..b", Ok("a/..b")),
            ("a\0b", Err(Refusal::Control)),
        ] {
            assert_eq!(relative(given), expected.map(str::to_owned), "{given:?}");
        }
    }

    #[test]
    fn log_paths_are_decoded_once_and_stay_relative() {
        for (given, expected) in [
            ("part-0.parquet", Ok("part-0.parquet")),
            ("day=2026-01-01/p.parquet", Ok("day=2026-01-01/p.parquet")),
            ("c=a%20b%2520/p", Ok("c=a b%20/p")),
            ("c=%C3%A9/p", Ok("c=é/p")),
            ("t=10:00/p", Ok("t=10:00/p")),
            ("ns:day=1/p", Ok("ns:day=1/p")),
            ("/etc/passwd", Err(Refusal::Absolute)),
            ("file:///etc/passwd", Err(Refusal::Absolute)),
            ("s3://bucket/p", Err(Refusal::Absolute)),
            ("dbfs:/p", Err(Refusal::Absolute)),
            ("%2Fetc/passwd", Err(Refusal::Absolute)),
            ("a/%2e%2e/b", Err(Refusal::Parent)),
            ("a/%2e%2e%2fb", Err(Refusal::Parent)),
            ("a%00b", Err(Refusal::Control)),
            ("a%zz", Err(Refusal::Encoding)),
            ("a%2", Err(Refusal::Encoding)),
            ("a%ff", Err(Refusal::Encoding)),
            (".", Err(Refusal::Empty)),
        ] {
            assert_eq!(of_log(given), expected.map(str::to_owned), "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_accepted_leaves_the_folder(text in "(\\.|/|%2e|%2f|[a-z]|:|\\PC){0,12}") {
            if let Ok(path) = of_log(&text) {
                prop_assert!(!path.starts_with('/'));
                prop_assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
