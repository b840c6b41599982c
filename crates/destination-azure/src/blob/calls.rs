//! The handful of calls of the Blob interface that the protocol needs.
//!
//! The one law: nothing is committed or put but under a condition on what lies at the name, marks of ours excepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderName, Method, Response};
use offtake_model::Fault;

use super::blocks::{self, Blocks, From};
use crate::client::{Call, Client, Failure, etag, found};
use crate::refusal::{Meaning, header};

/// Carries the tag of whose a blob is. Names of metadata hold no hyphens.
const TAG: HeaderName = HeaderName::from_static("x-ms-meta-offtake_tag");

const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const BLOB_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-content-type");
const CONTENT_CRC64: HeaderName = HeaderName::from_static("x-ms-content-crc64");
const DELETE_SNAPSHOTS: HeaderName = HeaderName::from_static("x-ms-delete-snapshots");

/// An etag that no blob has.
const NO_ETAG: &str = "\"0x0\"";

/// What a commit asks of its name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Only {
    /// That nothing lies there.
    Absent,
    /// That something lies there.
    Present,
}

/// What a blob is to be.
pub(crate) struct Content<'a> {
    /// Whose it is.
    pub(crate) tag: &'a str,
    /// What it is made of.
    pub(crate) blocks: Blocks,
    /// What it is shown as.
    pub(crate) media_type: &'static str,
}

/// A blob as a HEAD shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) bytes: u64,
    pub(crate) etag: String,
    pub(crate) tag: Option<String>,
}

/// The blobs of one container.
pub(crate) struct Blobs {
    client: Client,
}

impl Blobs {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    pub(crate) fn check_login(&self) -> Result<(), Fault> {
        self.client.check_login()
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn container(&self) -> &str {
        self.client.place().name()
    }

    /// The failure as users meet it.
    pub(crate) fn fault(&self, failure: Failure, attempted: &str, key: &str) -> Fault {
        self.client.fault(failure, attempted, key)
    }

    /// Makes the container, which nobody but the account's owner may look into; one that is there counts as made.
    pub(crate) async fn create_container(&self) -> Result<(), Failure> {
        let call = Call::new(Method::PUT, None, &[("restype", "container")]);
        match self.client.call(&call).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.meaning() == Some(Meaning::Taken) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a block. Sent again, it replaces itself.
    pub(crate) async fn put_block(
        &self,
        key: &str,
        name: &str,
        bytes: Bytes,
    ) -> Result<(), Failure> {
        let query = [("comp", "block"), ("blockid", name)];
        let call = Call::new(Method::PUT, Some(key), &query)
            .header(CONTENT_CRC64, &crc64(&bytes))?
            .body(bytes);
        self.client.call(&call).await.map(drop)
    }

    /// Makes the content visible: all of it or, when its blocks or the condition fail, nothing. Answers its etag.
    pub(crate) async fn commit(
        &self,
        key: &str,
        content: &Content<'_>,
        from: From,
        only: Only,
    ) -> Result<Option<String>, Failure> {
        let body = Bytes::from(blocks::list(content.blocks, from));
        let call = Call::new(Method::PUT, Some(key), &[("comp", "blocklist")])
            .header(TAG, content.tag)?
            .header(BLOB_CONTENT_TYPE, content.media_type)?
            .header(CONTENT_TYPE, "application/xml")?
            .header(CONTENT_CRC64, &crc64(&body))?;
        let call = match only {
            Only::Absent => call.header(IF_NONE_MATCH, "*")?,
            Only::Present => call.header(IF_MATCH, "*")?,
        };
        let answer = self.client.call(&call.body(body)).await?;
        Ok(etag(answer.headers()))
    }

    /// Names of the blocks that were sent to the key and not committed.
    pub(crate) async fn uncommitted(&self, key: &str) -> Result<Vec<String>, Failure> {
        let query = [("blocklisttype", "uncommitted"), ("comp", "blocklist")];
        let call = Call::new(Method::GET, Some(key), &query);
        let read = |answer: Response<Bytes>| blocks::uncommitted(answer.body());
        let listed = self.client.ask(&call, "no list of blocks", read).await;
        Ok(found(listed)?.unwrap_or_default())
    }

    /// The blob at the key.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Head>, Failure> {
        let call = Call::new(Method::HEAD, Some(key), &[]);
        let seen = |answer: Response<Bytes>| {
            let headers = answer.headers();
            Some(Head {
                bytes: header(headers, CONTENT_LENGTH.as_str())?.parse().ok()?,
                etag: etag(headers)?,
                tag: header(headers, TAG.as_str()).map(str::to_owned),
            })
        };
        found(
            self.client
                .ask(&call, "no size or etag of the blob", seen)
                .await,
        )
    }

    /// The bytes and the etag of a small blob.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<(Bytes, String)>, Failure> {
        let call = Call::new(Method::GET, Some(key), &[]);
        let read = |answer: Response<Bytes>| {
            let etag = etag(answer.headers())?;
            Some((answer.into_body(), etag))
        };
        found(self.client.ask(&call, "no etag of the blob", read).await)
    }

    /// Deletes the blob while its etag is this one. `false` when it has another, or is gone.
    pub(crate) async fn delete(&self, key: &str, etag: &str) -> Result<bool, Failure> {
        let call = Call::new(Method::DELETE, Some(key), &[])
            .header(IF_MATCH, etag)?
            .header(DELETE_SNAPSHOTS, "include")?;
        match self.client.call(&call).await {
            Ok(_) => Ok(true),
            Err(failure) => match failure.meaning() {
                Some(Meaning::Missing | Meaning::Unlike) => Ok(false),
                Some(_) | None => Err(failure),
            },
        }
    }

    /// Puts an empty blob of ours that readers skip.
    pub(crate) async fn put_mark(&self, key: &str, tag: &str) -> Result<(), Failure> {
        let call = Call::new(Method::PUT, Some(key), &[])
            .header(BLOB_TYPE, "BlockBlob")?
            .header(TAG, tag)?;
        self.client.call(&call).await.map(drop)
    }

    /// Whether blobs may be deleted, asked by a deletion whose condition cannot hold.
    pub(crate) async fn may_delete(&self, key: &str) -> Result<bool, Failure> {
        match self.delete(key, NO_ETAG).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.meaning() == Some(Meaning::Denied) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

/// The sum that travels with bytes: base64 of its bytes, the lowest first.
fn crc64(bytes: &[u8]) -> String {
    STANDARD.encode(checksum(CrcAlgorithm::Crc64Nvme, bytes).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::crc64;

    #[test]
    fn sums_are_written_as_the_service_writes_them() {
        // The catalogue's check value for "123456789" is ae8b14860a799888.
        assert_eq!(crc64(b"123456789"), "iJh5CoYUi64=");
        assert_eq!(crc64(b""), "AAAAAAAAAAA=");
    }
}
