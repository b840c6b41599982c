//! The handful of calls of the dfs interface that the protocol needs.
//!
//! The one law: no file is created or renamed onto another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method, Response};
use md5::{Digest, Md5};
use offtake_model::Fault;

use crate::client::{Call, Client, Failure, etag, found};
use crate::place::escaped;
use crate::refusal::{Meaning, header};

/// Properties of a file: `name=value` pairs with commas between them, values in base64.
const PROPERTIES: HeaderName = HeaderName::from_static("x-ms-properties");

/// The property that says whose a file is.
const TAG: &str = "offtake_tag";

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const HIERARCHICAL: HeaderName = HeaderName::from_static("x-ms-namespace-enabled");
const RENAME_SOURCE: HeaderName = HeaderName::from_static("x-ms-rename-source");
const RESOURCE_TYPE: HeaderName = HeaderName::from_static("x-ms-resource-type");
const SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-ms-source-if-match");

/// A file as a HEAD shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) bytes: u64,
    pub(crate) etag: String,
    pub(crate) tag: Option<String>,
    pub(crate) folder: bool,
}

/// One folder of a file system, or its root; all paths are relative to it.
pub(crate) struct Lake {
    client: Client,
    folder: String,
}

impl Lake {
    /// The folder `folder` of the file system that the client speaks to.
    pub(crate) const fn new(client: Client, folder: String) -> Self {
        Self { client, folder }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn system(&self) -> &str {
        self.client.place().name()
    }

    /// The failure as users meet it.
    pub(crate) fn fault(&self, failure: Failure, attempted: &str, key: &str) -> Fault {
        self.client.fault(failure, attempted, key)
    }

    /// The path from the file system's root.
    pub(super) fn full(&self, path: &str) -> String {
        if self.folder.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.folder)
        }
    }

    /// Whether folders are real there; `None` when the service does not say.
    pub(crate) async fn is_hierarchical(&self) -> Result<Option<bool>, Failure> {
        let call = Call::new(Method::HEAD, None, &[("resource", "filesystem")]);
        let answer = self.client.call(&call).await?;
        let said = header(answer.headers(), HIERARCHICAL.as_str());
        Ok(said.map(|said| said.eq_ignore_ascii_case("true")))
    }

    /// Creates an empty file, and the folders on the way, where nothing lies.
    pub(crate) async fn create(&self, path: &str, tag: &str) -> Result<(), Failure> {
        let path = self.full(path);
        let call = Call::new(Method::PUT, Some(&path), &[("resource", "file")])
            .header(IF_NONE_MATCH, "*")?
            .header(PROPERTIES, &format!("{TAG}={}", STANDARD.encode(tag)))?;
        self.client.call(&call).await.map(drop)
    }

    /// Creates a folder, and those on the way; one that is there counts as created.
    pub(crate) async fn create_folder(&self, path: &str) -> Result<(), Failure> {
        let path = self.full(path);
        let call = Call::new(Method::PUT, Some(&path), &[("resource", "directory")])
            .header(IF_NONE_MATCH, "*")?;
        match self.client.call(&call).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.meaning() == Some(Meaning::Taken) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Sends bytes that are to stand at this offset. Sent again, they replace themselves.
    pub(crate) async fn append(
        &self,
        path: &str,
        offset: u64,
        bytes: Bytes,
    ) -> Result<(), Failure> {
        let (path, offset) = (self.full(path), offset.to_string());
        let query = [("action", "append"), ("position", offset.as_str())];
        let sum = STANDARD.encode(Md5::digest(&bytes));
        let call = Call::new(Method::PATCH, Some(&path), &query)
            .header(CONTENT_MD5, &sum)?
            .body(bytes);
        self.client.call(&call).await.map(drop)
    }

    /// Makes what was sent the file's content, when it has no gap and this length. Answers the file's etag.
    pub(crate) async fn flush(&self, path: &str, length: u64) -> Result<String, Failure> {
        let (path, length) = (self.full(path), length.to_string());
        let query = [
            ("action", "flush"),
            ("close", "true"),
            ("position", length.as_str()),
        ];
        let call = Call::new(Method::PATCH, Some(&path), &query);
        let flushed = |answer: Response<Bytes>| etag(answer.headers());
        self.client.ask(&call, "no etag", flushed).await
    }

    /// Gives the file its new name, when its etag is this one and nothing lies there. Answers its etag.
    pub(crate) async fn rename(
        &self,
        from: &str,
        to: &str,
        etag_from: &str,
    ) -> Result<Option<String>, Failure> {
        let source = format!("/{}/{}", self.system(), escaped(&self.full(from)));
        let to = self.full(to);
        let call = Call::new(Method::PUT, Some(&to), &[])
            .header(RENAME_SOURCE, &source)?
            .header(SOURCE_IF_MATCH, etag_from)?
            .header(IF_NONE_MATCH, "*")?;
        let answer = self.client.call(&call).await?;
        Ok(etag(answer.headers()))
    }

    /// The file at the path. A folder there counts as a file of nobody.
    pub(crate) async fn head(&self, path: &str) -> Result<Option<Head>, Failure> {
        let path = self.full(path);
        let call = Call::new(Method::HEAD, Some(&path), &[]);
        let seen = |answer: Response<Bytes>| {
            let headers = answer.headers();
            let folder = header(headers, RESOURCE_TYPE.as_str()) == Some("directory");
            Some(Head {
                bytes: header(headers, CONTENT_LENGTH.as_str())?.parse().ok()?,
                etag: etag(headers)?,
                tag: tag(headers).filter(|_| !folder),
                folder,
            })
        };
        found(
            self.client
                .ask(&call, "no size or etag of the file", seen)
                .await,
        )
    }

    /// The bytes of a small file. A folder has none.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Bytes>, Failure> {
        let path = self.full(path);
        let call = Call::new(Method::GET, Some(&path), &[]);
        let answer = found(self.client.call(&call).await)?;
        let file = |it: &Response<Bytes>| {
            header(it.headers(), RESOURCE_TYPE.as_str()) != Some("directory")
        };
        Ok(answer.filter(file).map(Response::into_body))
    }

    /// Deletes the file, with an etag only while it has that one. `false` when it has another, or is gone.
    pub(crate) async fn delete(&self, path: &str, etag: Option<&str>) -> Result<bool, Failure> {
        let path = self.full(path);
        let mut call = Call::new(Method::DELETE, Some(&path), &[]);
        if let Some(etag) = etag {
            call = call.header(IF_MATCH, etag)?;
        }
        match self.client.call(&call).await {
            Ok(_) => Ok(true),
            Err(failure) => match failure.meaning() {
                Some(Meaning::Missing | Meaning::Unlike) => Ok(false),
                Some(_) | None => Err(failure),
            },
        }
    }

    /// Deletes the folder when it is empty. `false` when it is not, or is gone.
    pub(crate) async fn delete_folder(&self, path: &str) -> Result<bool, Failure> {
        let path = self.full(path);
        let call = Call::new(Method::DELETE, Some(&path), &[("recursive", "false")]);
        match self.client.call(&call).await {
            Ok(_) => Ok(true),
            Err(failure) => match failure.meaning() {
                Some(Meaning::Missing | Meaning::NotEmpty) => Ok(false),
                Some(_) | None => Err(failure),
            },
        }
    }
}

/// The tag among a file's properties.
fn tag(headers: &HeaderMap) -> Option<String> {
    let properties = header(headers, PROPERTIES.as_str())?;
    let value = properties.split(',').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == TAG).then(|| value.trim())
    })?;
    String::from_utf8(STANDARD.decode(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{PROPERTIES, tag};

    #[test]
    fn the_tag_is_found_among_other_properties() {
        let of = |text| {
            let mut headers = HeaderMap::new();
            headers.insert(PROPERTIES, HeaderValue::from_static(text));
            tag(&headers)
        };
        assert_eq!(of("offtake_tag=YS8xL2I="), Some("a/1/b".to_owned()));
        assert_eq!(
            of("other=eA==, offtake_tag=YS8xL2I=,z=eg=="),
            Some("a/1/b".to_owned())
        );
        for text in ["", "other=eA==", "offtake_tag=!", "offtake_tag"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(tag(&HeaderMap::new()), None);
    }
}
