//! Names of objects, and what a request asks, as they stand in an address that is signed.
//!
//! The one law: a key arrives at the store byte for byte, and no key leaves the place it is put into.

use offtake_model::{ErrorCode, Fault};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// All but the unreserved characters is escaped in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// In a path the slash stands for itself.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Adds a path, escaped but for its slashes.
pub fn push_path(text: &mut String, path: &str) {
    text.extend(utf8_percent_encode(path, PATH));
}

/// Adds a query in the given order; nothing for an empty one.
pub fn push_query(text: &mut String, query: &[(&str, &str)]) {
    for (number, (name, value)) in query.iter().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        text.extend(utf8_percent_encode(name, QUERY));
        text.push('=');
        text.extend(utf8_percent_encode(value, QUERY));
    }
}

/// Refuses keys that a server or a client on the way would rewrite. `place` says where it was to lie: `a bucket`.
pub fn check_key(key: &str, place: &str) -> Result<(), Fault> {
    let rule = if key.len() > KEY_BYTES_MAX {
        "it is longer than 1024 bytes"
    } else if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "a part is empty, `.` or `..`"
    } else if key.chars().any(char::is_control) {
        "it has a control character"
    } else {
        return Ok(());
    };
    Err(Fault::new(
        ErrorCode::Internal,
        format!("place file {key:?} in {place}: {rule}"),
    ))
}
