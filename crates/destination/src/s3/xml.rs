//! The few documents of the protocol, read and written. What is not asked for is skipped.
//!
//! The one law: a document that lacks what was asked for is no answer.

use quick_xml::escape::escape;
use serde::Deserialize;

use super::checksum::Algorithm;

/// The body of a refusal. Its message can repeat what was signed, so it is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ErrorBody {
    /// What went wrong.
    pub(crate) code: String,
    /// The region to use instead.
    pub(crate) region: Option<String>,
}

/// The refusal in a body, also in one that came with a status of success.
pub(crate) fn error(body: &[u8]) -> Option<ErrorBody> {
    let text = std::str::from_utf8(body).ok()?;
    if !text.contains("<Error") {
        return None;
    }
    quick_xml::de::from_str(text).ok()
}

#[derive(Debug, Deserialize)]
#[serde(rename = "InitiateMultipartUploadResult", rename_all = "PascalCase")]
struct Created {
    upload_id: String,
}

/// The id of the upload that was created.
pub(crate) fn upload_id(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let created: Created = quick_xml::de::from_str(text).ok()?;
    (!created.upload_id.is_empty()).then_some(created.upload_id)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename = "CompleteMultipartUploadResult")]
struct Completed {
    #[serde(rename = "Key")]
    key: Option<String>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

/// The tag of the completed object, empty where the store gives none; `None` when the body is no such answer.
pub(crate) fn completed(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if !text.contains("CompleteMultipartUploadResult") {
        return None;
    }
    let completed: Completed = quick_xml::de::from_str(text).ok()?;
    let whole = completed.key.is_some() || completed.etag.is_some();
    whole.then(|| completed.etag.unwrap_or_default())
}

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename = "ListBucketResult", rename_all = "PascalCase")]
pub(crate) struct Listing {
    /// The objects, in the order of their keys.
    #[serde(default)]
    pub(crate) contents: Vec<Listed>,
    /// The folders, when a delimiter was asked for.
    #[serde(default)]
    pub(crate) common_prefixes: Vec<CommonPrefix>,
    /// Where the next page begins, when there is one.
    pub(crate) next_continuation_token: Option<String>,
}

/// Keys that begin alike, when a delimiter was asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CommonPrefix {
    pub(crate) prefix: String,
}

/// One object of a listing.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    #[serde(rename = "Key")]
    pub(crate) key: String,
    #[serde(rename = "Size")]
    pub(crate) bytes: u64,
    #[serde(rename = "ETag")]
    pub(crate) etag: Option<String>,
}

/// One page of a listing.
pub(crate) fn listing(body: &[u8]) -> Option<Listing> {
    let text = std::str::from_utf8(body).ok()?;
    quick_xml::de::from_str(text).ok()
}

#[derive(Debug, Deserialize)]
#[serde(rename = "ListMultipartUploadsResult", rename_all = "PascalCase")]
struct Uploads {
    #[serde(default)]
    upload: Vec<Begun>,
}

/// An upload that was begun and neither completed nor aborted.
#[derive(Debug, Deserialize)]
pub(crate) struct Begun {
    #[serde(rename = "Key")]
    pub(crate) key: String,
    #[serde(rename = "UploadId")]
    pub(crate) upload: String,
}

/// The uploads of one page.
pub(crate) fn uploads(body: &[u8]) -> Option<Vec<Begun>> {
    let text = std::str::from_utf8(body).ok()?;
    let uploads: Uploads = quick_xml::de::from_str(text).ok()?;
    Some(uploads.upload)
}

/// A part as the store is told of it at the end.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
pub(crate) struct Part {
    /// The store's tag, with its quotes.
    #[serde(rename = "e")]
    pub(crate) etag: String,
    /// The sum that was sent with it.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<String>,
}

/// The document that completes an upload of these parts, numbered from 1.
pub(crate) fn complete(parts: &[Part], algorithm: Option<Algorithm>) -> String {
    let mut text =
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    for (number, part) in (1_u32..).zip(parts) {
        text.push_str("<Part><PartNumber>");
        text.push_str(&number.to_string());
        text.push_str("</PartNumber><ETag>");
        text.push_str(&escape(part.etag.as_str()));
        text.push_str("</ETag>");
        if let (Some(sum), Some(algorithm)) = (&part.sum, algorithm) {
            for piece in [
                "<",
                algorithm.element(),
                ">",
                sum,
                "</",
                algorithm.element(),
                ">",
            ] {
                text.push_str(piece);
            }
        }
        text.push_str("</Part>");
    }
    text.push_str("</CompleteMultipartUpload>");
    text
}

#[cfg(test)]
mod tests {
    use super::{Part, complete, completed, error, listing, upload_id, uploads};
    use crate::s3::checksum::Algorithm;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    const SPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

    #[test]
    fn answers_are_read_with_and_without_their_namespace() {
        for space in ["", SPACE] {
            let body = format!(
                "{HEAD}<InitiateMultipartUploadResult {space}><Bucket>b</Bucket><Key>k</Key><UploadId>2~x&amp;y</UploadId></InitiateMultipartUploadResult>"
            );
            assert_eq!(upload_id(body.as_bytes()).as_deref(), Some("2~x&y"));
            let body = format!(
                "{HEAD}<ListBucketResult {space}><Name>b</Name><Contents><Key>a &amp; b</Key><Size>7</Size><ETag>&quot;x&quot;</ETag></Contents><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>"
            );
            let page = listing(body.as_bytes()).unwrap();
            assert_eq!(page.common_prefixes[0].prefix, "a/");
            let listed = page.contents;
            assert_eq!((listed[0].key.as_str(), listed[0].bytes), ("a & b", 7));
            assert_eq!(listed[0].etag.as_deref(), Some("\"x\""));
            let body = format!("{HEAD}<ListBucketResult {space}><Name>b</Name></ListBucketResult>");
            let page = listing(body.as_bytes()).unwrap();
            assert!(page.contents.is_empty() && page.next_continuation_token.is_none());
            let body = format!(
                "{HEAD}<ListBucketResult {space}><NextContinuationToken>a+/=</NextContinuationToken></ListBucketResult>"
            );
            let page = listing(body.as_bytes()).unwrap();
            assert_eq!(page.next_continuation_token.as_deref(), Some("a+/="));
            let body = format!(
                "{HEAD}<ListMultipartUploadsResult {space}><Bucket>b</Bucket><Upload><Key>k</Key><UploadId>1</UploadId></Upload><Upload><Key>k2</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>"
            );
            let begun = uploads(body.as_bytes()).unwrap();
            assert_eq!(
                (begun[1].key.as_str(), begun[1].upload.as_str()),
                ("k2", "2")
            );
        }
    }

    #[test]
    fn a_completion_without_a_tag_is_one_and_a_cut_off_one_is_none() {
        let body = "<CompleteMultipartUploadResult><Key>k</Key><ETag></ETag></CompleteMultipartUploadResult>";
        assert_eq!(completed(body.as_bytes()).as_deref(), Some(""));
        for length in 0..body.len() {
            assert_eq!(completed(&body.as_bytes()[..length]), None, "{length}");
        }
        assert_eq!(
            completed(b"<Error><Code>InternalError</Code></Error>"),
            None
        );
    }

    #[test]
    fn a_refusal_is_read_for_its_code_and_region() {
        let body = format!(
            "{HEAD}<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong</Message><Region>eu-west-1</Region><RequestId>7</RequestId></Error>"
        );
        let read = error(body.as_bytes()).unwrap();
        assert_eq!(read.code, "AuthorizationHeaderMalformed");
        assert_eq!(read.region.as_deref(), Some("eu-west-1"));
        assert!(error(b"").is_none());
        assert!(error(b"<html>busy</html>").is_none());
    }

    #[test]
    fn a_completion_names_every_part_in_order() {
        let parts = [
            Part {
                etag: "\"a&b\"".to_owned(),
                sum: Some("AAAAAA==".to_owned()),
            },
            Part {
                etag: "c".to_owned(),
                sum: None,
            },
        ];
        let text = complete(&parts, Some(Algorithm::Crc32c));
        assert!(text.contains(
            "<Part><PartNumber>1</PartNumber><ETag>&quot;a&amp;b&quot;</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part><Part><PartNumber>2</PartNumber><ETag>c</ETag></Part>"
        ));
    }
}
