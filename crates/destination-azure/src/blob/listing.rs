//! The service's listing of a container, read.
//!
//! The one law: a name is what the service stored, byte for byte, or the listing is no answer.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response};
use offtake_model::Fault;
use offtake_ports::FolderEntry;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::calls::Blobs;
use super::sink::BlobSink;
use crate::client::{Call, Failure};
use crate::listing::{Page, Pages, entries, shown};
use crate::place::check_key;

#[derive(Deserialize)]
#[serde(rename = "EnumerationResults", rename_all = "PascalCase")]
struct Listed {
    blobs: Entries,
    #[serde(default)]
    next_marker: String,
}

/// Blobs and prefixes come mixed, in the order of their names.
#[derive(Default, Deserialize)]
struct Entries {
    #[serde(rename = "$value", default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
enum Entry {
    Blob(Blob),
    BlobPrefix(Prefix),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: Name,
    #[serde(default)]
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Prefix {
    name: Name,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    /// `directory` for a folder of an account with hierarchical namespace.
    #[serde(default)]
    resource_type: String,
}

/// A name; escaped where XML has no letter for it.
#[derive(Deserialize)]
struct Name {
    #[serde(rename = "@Encoded", default)]
    encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

impl Name {
    /// What follows the folder in the name, without the slash of a prefix.
    fn below(&self, folder: &str) -> Option<String> {
        let whole = if self.encoded {
            percent_decode_str(&self.text).decode_utf8().ok()?
        } else {
            self.text.as_str().into()
        };
        let name = whole.strip_prefix(folder)?.trim_end_matches('/');
        (!name.is_empty()).then(|| name.to_owned())
    }
}

fn page(body: &[u8], folder: &str) -> Option<Page> {
    let text = std::str::from_utf8(body)
        .ok()?
        .trim_start_matches('\u{feff}');
    let listed: Listed = quick_xml::de::from_str(text).ok()?;
    let mut page = Page {
        next: (!listed.next_marker.is_empty()).then_some(listed.next_marker),
        ..Page::default()
    };
    for entry in listed.blobs.entries {
        match entry {
            Entry::BlobPrefix(prefix) => page.folders.extend(prefix.name.below(folder)),
            // Beside its prefix it is the folder itself, which tools and hierarchical accounts keep as an empty blob.
            Entry::Blob(blob) if blob.properties.resource_type == "directory" => {}
            Entry::Blob(blob) => page.files.extend(blob.name.below(folder)),
        }
    }
    Some(page)
}

impl BlobSink {
    /// What lies directly in a folder, for a person to see.
    pub(crate) async fn explore(
        &self,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        if !folder.is_empty() && check_key(folder.trim_end_matches('/')).is_err() {
            // No folder can have such a name.
            return Ok(Vec::new());
        }
        let listed = entries(&*self.blobs, folder, limit).await;
        listed.map_err(|failure| self.blobs.fault(failure, "list", shown(folder)))
    }
}

#[async_trait]
impl Pages for Blobs {
    async fn page(&self, folder: &str, limit: usize, from: Option<&str>) -> Result<Page, Failure> {
        let limit = limit.to_string();
        let mut query = vec![
            ("comp", "list"),
            ("delimiter", "/"),
            ("maxresults", limit.as_str()),
            ("restype", "container"),
        ];
        if !folder.is_empty() {
            query.push(("prefix", folder));
        }
        query.extend(from.map(|marker| ("marker", marker)));
        let call = Call::new(Method::GET, None, &query);
        let read = |answer: Response<Bytes>| page(answer.body(), folder);
        self.client().ask(&call, "no listing", read).await
    }
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn blobs_and_folders_are_told_apart_and_named_below_their_folder() {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
            <EnumerationResults ServiceEndpoint=\"https://a.blob.core.windows.net/\" ContainerName=\"c\">\
            <Prefix>a/</Prefix><Delimiter>/</Delimiter><Blobs>\
            <Blob><Name>a/1 &amp; 2</Name><Properties><Etag>x</Etag></Properties></Blob>\
            <BlobPrefix><Name>a/b/</Name></BlobPrefix>\
            <Blob><Name>a/c</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>\
            <BlobPrefix><Name>a/c/</Name><Properties><ResourceType>directory</ResourceType></Properties></BlobPrefix>\
            <Blob><Name Encoded=\"true\">a/%EF%BF%BE%20%25</Name><Properties /></Blob>\
            <Blob><Name>a/</Name><Properties /></Blob>\
            <Blob><Name>a/ spaced </Name><Properties /></Blob>\
            </Blobs><NextMarker>2!8!x</NextMarker></EnumerationResults>";
        let found = page(body.as_bytes(), "a/").unwrap();
        assert_eq!(found.folders, ["b", "c"]);
        assert_eq!(found.files, ["1 & 2", "\u{fffe} %", " spaced "]);
        assert_eq!(found.next.as_deref(), Some("2!8!x"));
    }

    #[test]
    fn a_listing_of_nothing_is_one_and_a_cut_off_one_is_none() {
        for body in [
            "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>",
            "<EnumerationResults><Blobs></Blobs><NextMarker></NextMarker></EnumerationResults>",
        ] {
            let found = page(body.as_bytes(), "a/").unwrap();
            assert_eq!((found.files.len(), found.next), (0, None));
            for length in 0..body.len() {
                assert!(page(&body.as_bytes()[..length], "a/").is_none(), "{length}");
            }
        }
        assert!(page(b"<html>busy</html>", "a/").is_none());
    }
}
