//! Documents of the blob service's protocol, as far as its clients list and download: written here, never read.
//!
//! The one law: text of others stands in a document only escaped.

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};
use offtake_model::{ErrorCode, Fault};
use offtake_service::{Depth, ZoneEntry, ZoneFile, ZonePage, ZoneQuery, http_date};

/// Their content type.
pub(crate) const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// Where a refusal's code stands, for answers without a body.
pub(crate) const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Where the protocol's version stands.
pub(crate) const VERSION_HEADER: HeaderName = HeaderName::from_static("x-ms-version");

/// The version whose shapes are spoken here.
pub(crate) const VERSION: HeaderValue = HeaderValue::from_static("2024-11-04");

/// The kind of files there are.
pub(crate) const KIND: &str = "BlockBlob";

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";

/// The protocol's name of a refusal.
pub(crate) const fn error_code(code: ErrorCode) -> &'static str {
    match code.status() {
        400 => "InvalidQueryParameterValue",
        403 => "AuthenticationFailed",
        404 => "BlobNotFound",
        412 => "ConditionNotMet",
        416 => "InvalidRange",
        503 => "ServerBusy",
        _ => "InternalError",
    }
}

/// A refusal in words, with our own name of it.
pub(crate) fn error(code: &str, fault: &Fault) -> String {
    format!(
        "{HEAD}<Error><Code>{code}</Code><Message>{}. {} [{}]</Message></Error>",
        escaped(&fault.message),
        escaped(fault.code.advice()),
        fault.code
    )
}

/// A page of a container.
pub(crate) fn listing(container: &str, query: &ZoneQuery, page: &ZonePage) -> String {
    let mut text = format!(
        "{HEAD}<EnumerationResults ContainerName=\"{}\"><Prefix>{}</Prefix><Marker>{}</Marker><MaxResults>{}</MaxResults>",
        escaped(container),
        escaped(&query.prefix),
        escaped(query.after.as_deref().unwrap_or_default()),
        query.limit
    );
    if query.depth == Depth::Shallow {
        text.push_str("<Delimiter>/</Delimiter>");
    }
    text.push_str("<Blobs>");
    for entry in &page.entries {
        match entry {
            ZoneEntry::Folder(name) => {
                let _ = write!(
                    text,
                    "<BlobPrefix><Name>{}</Name></BlobPrefix>",
                    escaped(name)
                );
            }
            ZoneEntry::File(file) => blob(&mut text, file),
        }
    }
    let next = page.next.as_deref().unwrap_or_default();
    let _ = write!(
        text,
        "</Blobs><NextMarker>{}</NextMarker></EnumerationResults>",
        escaped(next)
    );
    text
}

fn blob(text: &mut String, file: &ZoneFile) {
    let date = http_date(file.modified_at);
    let _ = write!(
        text,
        "<Blob><Name>{}</Name><Properties><Creation-Time>{date}</Creation-Time><Last-Modified>{date}</Last-Modified>\
         <Etag>{}</Etag><Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type>\
         <BlobType>{KIND}</BlobType><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties>\
         </Blob>",
        escaped(&file.key),
        file.etag,
        file.bytes,
    );
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // What XML can't hold, escaped or not.
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            other if other.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn no_text_leaves_its_element() {
        assert_eq!(escaped("a/<b>&\"é'"), "a/&lt;b&gt;&amp;&quot;é'");
        assert_eq!(escaped("a\0\u{ffff}"), "a\u{fffd}\u{fffd}");
    }
}
