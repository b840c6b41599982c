//! The address of a container or file system, and of names in it, escaped as signatures want it.
//!
//! The one law: a key arrives at the store byte for byte, and no key leaves its container.

use http::Uri;
use offtake_model::{AttemptId, ErrorCode, Fault};
use offtake_storage::{push_path, push_query};

/// Where a container, or a folder of a file system, is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its address without a slash at its end.
    base: String,
    /// Its name as people know it.
    name: String,
}

impl Place {
    /// The place `name` below an endpoint.
    pub(crate) fn below(endpoint: &str, name: &str) -> Self {
        Self {
            base: format!("{endpoint}/{}", escaped(name)),
            name: name.to_owned(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The address of a key, or of the place itself.
    pub(crate) fn uri(&self, key: Option<&str>, query: &[(&str, &str)]) -> Result<Uri, Fault> {
        let mut text = self.base.clone();
        if let Some(key) = key {
            text.push('/');
            push_path(&mut text, key);
        }
        push_query(&mut text, query);
        text.parse().map_err(|error: http::uri::InvalidUri| {
            let attempted = format!("address the container {}", self.name);
            Fault::new(ErrorCode::ConnectionNotUsable, attempted).because(&error)
        })
    }
}

/// A path, escaped but for its slashes.
pub(crate) fn escaped(path: &str) -> String {
    let mut text = String::new();
    push_path(&mut text, path);
    text
}

/// Refuses keys that a server or a client on the way would rewrite.
pub(crate) fn check_key(key: &str) -> Result<(), Fault> {
    offtake_storage::check_key(key, "a container")
}

/// The hidden name beside a key that says: this attempt is not to be published any more.
pub(crate) fn gone_mark(key: &str, attempt: AttemptId) -> String {
    let folder = key.rfind('/').map_or("", |slash| &key[..=slash]);
    format!("{folder}.{attempt}.gone")
}

#[cfg(test)]
mod tests {
    use offtake_model::AttemptId;

    use super::{Place, check_key, gone_mark};

    #[test]
    fn every_odd_character_is_escaped_once() {
        let place = Place::below("https://acct.blob.core.windows.net", "exports");
        let uri = |key, query: &[(&str, &str)]| place.uri(key, query).unwrap().to_string();
        assert_eq!(
            uri(Some("é a/%2F+~-_.(x)*'!=&?#"), &[]),
            "https://acct.blob.core.windows.net/exports/%C3%A9%20a/%252F%2B~-_.%28x%29%2A%27%21%3D%26%3F%23"
        );
        assert_eq!(
            uri(Some("a"), &[("comp", "block"), ("blockid", "a+/=")]),
            "https://acct.blob.core.windows.net/exports/a?comp=block&blockid=a%2B%2F%3D"
        );
        assert_eq!(uri(None, &[]), "https://acct.blob.core.windows.net/exports");
    }

    #[test]
    fn a_key_that_would_be_rewritten_on_the_way_is_refused() {
        let long = "x".repeat(1_025);
        for key in ["", "/a", "a//b", "a/", "a/../b", ".", "a\n", &long] {
            assert!(check_key(key).is_err(), "{key:?}");
        }
        assert!(check_key(&"é".repeat(512)).is_ok());
    }

    #[test]
    fn a_mark_is_hidden_beside_its_file() {
        let attempt: AttemptId = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let mark = ".00000000-0000-4000-8000-000000000001.gone";
        assert_eq!(gone_mark("a/b/part.json", attempt), format!("a/b/{mark}"));
        assert_eq!(gone_mark("part.json", attempt), mark);
    }
}
