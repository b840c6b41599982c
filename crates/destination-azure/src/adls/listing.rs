//! The service's listing of a folder, read.
//!
//! The one law: a folder is one only where the service says so.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response};
use offtake_model::Fault;
use offtake_ports::FolderEntry;
use serde::Deserialize;

use super::calls::Lake;
use super::sink::{AdlsSink, STAGING};
use crate::client::{Call, Failure, found};
use crate::listing::{Page, Pages, entries, shown};
use crate::place::check_key;
use crate::refusal::{Meaning, header};

/// Longest name of a file or folder.
const NAME_LETTERS_MAX: usize = 255;

/// Says where the next page begins.
const CONTINUATION: &str = "x-ms-continuation";

#[derive(Deserialize)]
struct Listed {
    paths: Vec<Path>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Path {
    /// From the file system's root.
    name: String,
    /// `true` for folders, a text in today's answers.
    #[serde(default)]
    is_directory: Flag,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Flag {
    #[default]
    Missing,
    Truth(bool),
    Text(String),
}

impl Flag {
    fn is_set(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Truth(truth) => *truth,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
        }
    }
}

fn page(answer: &Response<Bytes>, folder: &str) -> Option<Page> {
    let listed: Listed = serde_json::from_slice(answer.body()).ok()?;
    let next = header(answer.headers(), CONTINUATION).filter(|it| !it.is_empty());
    let mut page = Page {
        next: next.map(str::to_owned),
        ..Page::default()
    };
    for path in &listed.paths {
        let name = path.name.strip_prefix(folder)?.to_owned();
        if path.is_directory.is_set() {
            page.folders.push(name);
        } else {
            page.files.push(name);
        }
    }
    Some(page)
}

impl AdlsSink {
    /// What lies directly in a folder, for a person to see: what is staged is not.
    pub(crate) async fn explore(
        &self,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        let too_long = folder
            .split('/')
            .any(|part| part.chars().count() > NAME_LETTERS_MAX);
        let odd = !folder.is_empty() && check_key(folder.trim_end_matches('/')).is_err();
        if too_long || odd {
            // No folder can have such a name.
            return Ok(Vec::new());
        }
        let listed = entries(&*self.lake, folder, limit).await;
        let mut found =
            listed.map_err(|failure| self.lake.fault(failure, "list", shown(folder)))?;
        if folder.is_empty() {
            found.retain(|entry| !matches!(entry, FolderEntry::Folder(name) if name == STAGING));
        }
        Ok(found)
    }
}

#[async_trait]
impl Pages for Lake {
    async fn page(&self, folder: &str, limit: usize, from: Option<&str>) -> Result<Page, Failure> {
        let full = self.full(folder);
        let (limit, bare) = (limit.to_string(), full.trim_end_matches('/'));
        let mut query = vec![
            ("maxResults", limit.as_str()),
            ("recursive", "false"),
            ("resource", "filesystem"),
        ];
        if !bare.is_empty() {
            query.push(("directory", bare));
        }
        query.extend(from.map(|mark| ("continuation", mark)));
        let call = Call::new(Method::GET, None, &query);
        let prefix = if bare.is_empty() {
            String::new()
        } else {
            format!("{bare}/")
        };
        let read = |answer: Response<Bytes>| page(&answer, &prefix);
        match found(self.client().ask(&call, "no listing", read).await) {
            Ok(page) => Ok(page.unwrap_or_default()),
            Err(failure) if failure.meaning() == Some(Meaning::Unexpected) => {
                // How the service refuses to list a file is not written down.
                match self.head(folder.trim_end_matches('/')).await? {
                    Some(there) if !there.folder => Ok(Page::default()),
                    Some(_) | None => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;

    use super::page;

    fn answer(body: &'static str, next: &str) -> Response<Bytes> {
        let answer = Response::builder().header("x-ms-continuation", next);
        answer.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn files_and_folders_are_told_apart_and_named_below_their_folder() {
        let body = r#"{"paths":[
            {"name":"t a/x","contentLength":"3","etag":"0x8"},
            {"name":"t a/y","isDirectory":"true"},
            {"name":"t a/z","isDirectory":true},
            {"name":"t a/w","isDirectory":"false"}]}"#;
        let found = page(&answer(body, "VBa1"), "t a/").unwrap();
        assert_eq!(found.folders, ["y", "z"]);
        assert_eq!(found.files, ["x", "w"]);
        assert_eq!(found.next.as_deref(), Some("VBa1"));
        assert_eq!(page(&answer(body, ""), "t a/").unwrap().next, None);
    }

    #[test]
    fn what_is_no_listing_of_the_folder_is_no_answer() {
        for body in ["", "{}", r#"{"paths":[{}]}"#, "<html>"] {
            assert!(page(&answer(body, ""), "a/").is_none(), "{body}");
        }
        assert!(page(&answer(r#"{"paths":[{"name":"b/x"}]}"#, ""), "a/").is_none());
    }
}
