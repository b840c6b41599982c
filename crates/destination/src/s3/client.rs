//! The handful of calls that the protocol needs, each repeated within bounds.
//!
//! Every call may be made twice: what a repetition means is the sink's to judge. No call follows a redirect; a region
//! that the store names is followed once, where nobody fixed it.
//!
//! The one law: a call succeeds only by an answer that is whole and of the kind that was asked for.
//!
//! budget: 500 lines, because the calls of one protocol and the one way they are made are read side by side.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use offtake_model::{AttemptTag, ErrorCode, Fault};
use offtake_storage::{AwsSigner, Door, NoAnswer, Retries};

use super::checksum::{Algorithm, Sum};
use super::codes::{Meaning, Refusal, header};
use super::dialect::Dialect;
use super::location::Location;
use super::settings::{Encryption, Settings};
use super::xml::{self, Part};

/// Carries an attempt's tag, as metadata of the object.
const TAG: HeaderName = HeaderName::from_static("x-amz-meta-offtake-tag");

/// Names under which the tag comes back.
const TAG_ANSWERED: [&str; 2] = ["x-amz-meta-offtake-tag", "x-goog-meta-offtake-tag"];

/// Tells the store how much it should have.
const OBJECT_BYTES: HeaderName = HeaderName::from_static("x-amz-mp-object-size");

const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const ENCRYPTION: HeaderName = HeaderName::from_static("x-amz-server-side-encryption");
const ENCRYPTION_KEY: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-aws-kms-key-id");

/// Most objects of a folder that is listed whole.
const LISTED_MAX: usize = 1_000_000;

/// One bucket of one store, with what it takes to speak to it.
pub(crate) struct Client {
    door: Door,
    retries: Retries,
    settings: Settings,
    region: Region,
}

/// The region requests are signed for, shared by all clients of a bucket.
pub(crate) type Region = Arc<Mutex<String>>;

/// Why a call came to nothing.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The store said no.
    Refused(Box<Refusal>),
    /// The store said nothing that could be understood; the call may have been carried out.
    Silent(Fault),
    /// The call was never sent.
    Unsent(Fault),
    /// Nothing was sent, and nothing will be.
    Impossible(Fault),
}

impl Failure {
    /// What the store's refusal means, when it is one.
    pub(crate) fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Refused(refusal) => Some(refusal.meaning),
            Self::Silent(_) | Self::Unsent(_) | Self::Impossible(_) => None,
        }
    }

    fn passing(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.meaning.passing(),
            Self::Silent(_) | Self::Unsent(_) => true,
            Self::Impossible(_) => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Silent(_) | Self::Unsent(_) | Self::Impossible(_) => None,
        }
    }
}

/// An object as a HEAD shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its size.
    pub(crate) bytes: u64,
    /// The store's tag for it.
    pub(crate) etag: Option<String>,
    /// The attempt's tag in its metadata.
    pub(crate) tag: Option<String>,
    /// The CRC-32C of the whole object, where the store tells it.
    pub(crate) crc32c: Option<String>,
}

/// An answer to a completion.
pub(crate) struct Completed {
    pub(crate) etag: Option<String>,
    pub(crate) crc32c: Option<String>,
}

/// One call, to be signed anew whenever it is made.
struct Call<'a> {
    method: Method,
    key: Option<&'a str>,
    query: &'a [(&'a str, &'a str)],
    headers: HeaderMap,
    body: Bytes,
}

impl<'a> Call<'a> {
    fn new(method: Method, key: Option<&'a str>, query: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            method,
            key,
            query,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    fn header(&mut self, name: HeaderName, value: &str) -> Result<(), Failure> {
        let value = HeaderValue::from_str(value).map_err(|error| {
            let attempted = format!("set header {name} of a request");
            Failure::Impossible(Fault::new(ErrorCode::Internal, attempted).because(&error))
        })?;
        self.headers.insert(name, value);
        Ok(())
    }

    fn sum(&mut self, sum: Option<Sum>) -> Result<(), Failure> {
        let Some(sum) = sum else { return Ok(()) };
        let name = HeaderName::from_static(sum.algorithm().header());
        self.header(name, &sum.base64())
    }
}

impl Client {
    pub(crate) fn new(door: Door, retries: Retries, settings: Settings, region: Region) -> Self {
        Self {
            door,
            retries,
            settings,
            region,
        }
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.settings.dialect
    }

    /// The sum that is kept of what is sent, where one is.
    pub(crate) const fn checksum(&self) -> Option<Algorithm> {
        self.settings.checksum
    }

    pub(crate) const fn location(&self) -> &Location {
        &self.settings.location
    }

    /// The sum that travels with requests, where one does.
    fn checksum_sent(&self) -> Option<Algorithm> {
        self.settings
            .checksum
            .filter(|_| self.settings.dialect != Dialect::Google)
    }

    /// Begins an upload and answers its id.
    pub(crate) async fn create_upload(
        &self,
        key: &str,
        tag: &AttemptTag,
    ) -> Result<String, Failure> {
        let mut call = Call::new(Method::POST, Some(key), &[("uploads", "")]);
        call.header(TAG, &tag.to_string())?;
        call.header(CONTENT_TYPE, "application/octet-stream")?;
        if let Some(algorithm) = self.checksum_sent() {
            call.header(CHECKSUM_ALGORITHM, algorithm.name())?;
            call.header(CHECKSUM_TYPE, "FULL_OBJECT")?;
        }
        self.encrypt(&mut call)?;
        let upload = |answer: Response<Bytes>| xml::upload_id(answer.body());
        self.ask(&call, "no upload id", upload).await
    }

    /// Sends a part and answers the store's tag for it.
    pub(crate) async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        sum: Option<Sum>,
        body: Bytes,
    ) -> Result<Part, Failure> {
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", upload)];
        let mut call = Call::new(Method::PUT, Some(key), &query);
        let sum = sum.filter(|_| self.checksum_sent().is_some());
        call.sum(sum)?;
        call.body = body;
        let etag = |answer: Response<Bytes>| {
            header(answer.headers(), ETAG.as_str())
                .filter(|etag| !etag.is_empty())
                .map(str::to_owned)
        };
        let etag = self.ask(&call, "no tag of the part", etag).await?;
        Ok(Part {
            etag,
            sum: sum.map(Sum::base64),
        })
    }

    /// Whether the upload can still be completed or aborted.
    pub(crate) async fn upload_lives(&self, key: &str, upload: &str) -> Result<bool, Failure> {
        let query = [("max-parts", "1"), ("uploadId", upload)];
        let call = Call::new(Method::GET, Some(key), &query);
        match self.call(&call).await {
            Ok(_) => Ok(true),
            Err(failure) if gone(&failure) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Completes the upload: its object becomes visible.
    pub(crate) async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: &[Part],
        whole: Option<Sum>,
        bytes: u64,
    ) -> Result<Completed, Failure> {
        let query = [("uploadId", upload)];
        let mut call = Call::new(Method::POST, Some(key), &query);
        call.header(CONTENT_TYPE, "application/xml")?;
        if self.settings.dialect.honours_conditions() {
            call.header(IF_NONE_MATCH, "*")?;
            call.header(OBJECT_BYTES, &bytes.to_string())?;
        }
        let algorithm = self.checksum_sent();
        if algorithm.is_some() {
            call.sum(whole)?;
            call.header(CHECKSUM_TYPE, "FULL_OBJECT")?;
        }
        call.body = xml::complete(parts, algorithm).into();
        let completed = |answer: Response<Bytes>| {
            let etag = xml::completed(answer.body())?;
            Some(Completed {
                etag: (!etag.is_empty()).then_some(etag),
                crc32c: crc32c(answer.headers()),
            })
        };
        self.ask(&call, "no whole answer to the completion", completed)
            .await
    }

    /// Aborts the upload. `false` when there was none any more.
    pub(crate) async fn abort(&self, key: &str, upload: &str) -> Result<bool, Failure> {
        let query = [("uploadId", upload)];
        let call = Call::new(Method::DELETE, Some(key), &query);
        match self.call(&call).await {
            Ok(_) => Ok(true),
            Err(failure) if gone(&failure) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The object at the key.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Head>, Failure> {
        let call = Call::new(Method::HEAD, Some(key), &[]);
        let seen = |answer: Response<Bytes>| {
            let headers = answer.headers();
            let tag = |name: &&str| header(headers, name).map(str::to_owned);
            Some(Head {
                bytes: header(headers, CONTENT_LENGTH.as_str())?.parse().ok()?,
                etag: etag(headers),
                tag: TAG_ANSWERED.iter().find_map(tag),
                crc32c: crc32c(headers),
            })
        };
        found(self.ask(&call, "no size of the object", seen).await)
    }

    /// Size and tag of the object at the key, as a listing shows it: needs no right to read.
    pub(crate) async fn list_exactly(&self, key: &str) -> Result<Option<Head>, Failure> {
        let key = self.settings.location.whole(key);
        let query = [
            ("list-type", "2"),
            ("max-keys", "1"),
            ("prefix", key.as_str()),
        ];
        let call = Call::new(Method::GET, None, &query);
        let listed = |answer: Response<Bytes>| xml::listing(answer.body());
        let listed = self.ask(&call, "no listing", listed).await?;
        // The key itself comes before every longer one.
        let exact = listed.contents.into_iter().find(|it| it.key == key);
        Ok(exact.map(|listed| Head {
            bytes: listed.bytes,
            etag: listed.etag,
            tag: None,
            crc32c: None,
        }))
    }

    /// The names of the objects that lie directly in the folder, page by page. Both dialects know this listing.
    pub(crate) async fn list_folder(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let prefix = self.settings.location.whole(&format!("{folder}/"));
        let (mut names, mut next) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![
                ("delimiter", "/"),
                ("list-type", "2"),
                ("prefix", prefix.as_str()),
            ];
            // Signatures want the parameters in their order.
            if let Some(token) = &next {
                query.insert(0, ("continuation-token", token));
            }
            let call = Call::new(Method::GET, None, &query);
            let read = |answer: Response<Bytes>| xml::listing(answer.body());
            let page = self.ask(&call, "no listing", read).await?;
            let below = page.contents.iter();
            names.extend(below.filter_map(|it| Some(it.key.strip_prefix(&prefix)?.to_owned())));
            if names.len() > LISTED_MAX {
                let what = format!("folder {folder} holds more than {LISTED_MAX} objects");
                return Err(Failure::Impossible(Fault::new(
                    ErrorCode::DestinationProtocol,
                    what,
                )));
            }
            match page.next_continuation_token.filter(|it| !it.is_empty()) {
                Some(token) if next.as_ref() != Some(&token) => next = Some(token),
                Some(_) | None => return Ok(names),
            }
        }
    }

    /// The whole object at the key.
    pub(crate) async fn get_whole(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        let call = Call::new(Method::GET, Some(key), &[]);
        found(self.call(&call).await.map(Response::into_body))
    }

    /// What lies directly in a folder, given with its slash at the end or empty: keys of folders, with theirs, and of
    /// objects, in this order, as far as one page shows them.
    pub(crate) async fn look_into(
        &self,
        folder: &str,
        limit: usize,
    ) -> Result<(Vec<String>, Vec<String>), Failure> {
        let (folder, limit) = (self.settings.location.whole(folder), limit.to_string());
        let query = [
            ("delimiter", "/"),
            ("list-type", "2"),
            ("max-keys", limit.as_str()),
            ("prefix", folder.as_str()),
        ];
        let call = Call::new(Method::GET, None, &query);
        let listed = |answer: Response<Bytes>| xml::listing(answer.body());
        let listed = self.ask(&call, "no listing", listed).await?;
        let inner = |key: String| self.settings.location.inner(&key).map(str::to_owned);
        let folders = listed.common_prefixes.into_iter().map(|it| it.prefix);
        // Some tools mark a folder by an empty object of its name.
        let objects = listed.contents.into_iter().map(|it| it.key);
        let objects = objects.filter(|key| !key.ends_with('/'));
        Ok((
            folders.filter_map(inner).collect(),
            objects.filter_map(inner).collect(),
        ))
    }

    /// The ids of the uploads under way to exactly this key, as far as one page shows them.
    pub(crate) async fn list_uploads(&self, key: &str) -> Result<Vec<String>, Failure> {
        let key = self.settings.location.whole(key);
        let query = [("prefix", key.as_str()), ("uploads", "")];
        let call = Call::new(Method::GET, None, &query);
        let listed = |answer: Response<Bytes>| xml::uploads(answer.body());
        let mut begun = self.ask(&call, "no list of uploads", listed).await?;
        begun.retain(|begun| begun.key == key);
        Ok(begun.into_iter().map(|begun| begun.upload).collect())
    }

    /// Some bytes of an object, fewer only where it ends.
    pub(crate) async fn get(
        &self,
        key: &str,
        from: usize,
        length: usize,
    ) -> Result<Option<Bytes>, Failure> {
        let mut call = Call::new(Method::GET, Some(key), &[]);
        call.header(RANGE, &format!("bytes={from}-{}", from + length - 1))?;
        found(self.call(&call).await.map(Response::into_body))
    }

    /// Puts a small object.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Failure> {
        let mut call = Call::new(Method::PUT, Some(key), &[]);
        call.header(CONTENT_TYPE, "application/json")?;
        if self.settings.dialect.honours_conditions() {
            call.header(IF_NONE_MATCH, "*")?;
        }
        call.sum(self.checksum_sent().map(|algorithm| algorithm.of(&bytes)))?;
        self.encrypt(&mut call)?;
        call.body = bytes;
        self.call(&call).await.map(drop)
    }

    /// Deletes the object at the key. A missing one counts as deleted.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Failure> {
        let call = Call::new(Method::DELETE, Some(key), &[]);
        found(self.call(&call).await).map(drop)
    }

    /// The failure as users meet it.
    pub(crate) fn fault(&self, failure: Failure, attempted: &str, key: &str) -> Fault {
        let place = format!(
            "{attempted} file {key} of bucket {}",
            self.settings.location.bucket()
        );
        match failure {
            Failure::Refused(refusal) => Fault::new(
                refusal.meaning.error(),
                format!("{place}: {}", refusal.words()),
            ),
            Failure::Silent(fault) | Failure::Unsent(fault) | Failure::Impossible(fault) => Fault {
                message: format!("{place}: {}", fault.message),
                ..fault
            },
        }
    }

    fn encrypt(&self, call: &mut Call<'_>) -> Result<(), Failure> {
        match &self.settings.encryption {
            None => Ok(()),
            Some(Encryption::Store) => call.header(ENCRYPTION, "AES256"),
            Some(Encryption::KeyService(key)) => {
                if let Some(key) = key {
                    call.headers.insert(ENCRYPTION_KEY, key.clone());
                }
                call.header(ENCRYPTION, "aws:kms")
            }
        }
    }

    async fn call(&self, call: &Call<'_>) -> Result<Response<Bytes>, Failure> {
        self.ask(call, "nothing", Some).await
    }

    /// Makes a call whose answer must have something in it. An answer without it is as good as none.
    async fn ask<T: Send>(
        &self,
        call: &Call<'_>,
        missing: &str,
        read: impl Fn(Response<Bytes>) -> Option<T> + Send + Sync,
    ) -> Result<T, Failure> {
        let mut left = self.retries.begin();
        let (mut moved, mut renewed) = (false, false);
        loop {
            let failure = match self.once(call).await.map(&read) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => Failure::Silent(Fault::new(
                    ErrorCode::DestinationProtocol,
                    format!("the store's answer has {missing}"),
                )),
                Err(failure) => failure,
            };
            if !moved && self.follows(&failure) {
                moved = true;
                continue;
            }
            if !renewed && failure.meaning() == Some(Meaning::KeysExpired) {
                renewed = true;
                self.settings.keys.expired();
                continue;
            }
            if !failure.passing() || !left.pause(failure.retry_after()).await {
                return Err(failure);
            }
        }
    }

    /// Takes over the region that the store names. `false` when it names none, or the one that was used.
    fn follows(&self, failure: &Failure) -> bool {
        let Failure::Refused(refusal) = failure else {
            return false;
        };
        let (Some(named), false) = (&refusal.region, self.settings.region_fixed) else {
            return false;
        };
        let mut region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        let other = *region != *named;
        region.clone_from(named);
        other
    }

    async fn once(&self, call: &Call<'_>) -> Result<Response<Bytes>, Failure> {
        let region = self
            .region
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let uri = self
            .settings
            .location
            .uri(&region, call.key, call.query)
            .map_err(Failure::Impossible)?;
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = call.headers.clone();
        if call.body.is_empty() && call.method == Method::PUT {
            // HTTP libraries leave it out for an empty body, and stores ask for it.
            let none = HeaderValue::from_static("0");
            request.headers_mut().insert(CONTENT_LENGTH, none);
        }
        if self.settings.location.encrypted() && !call.body.is_empty() {
            // TLS and the checksums guard the bytes; hashing them once more would cost more than all the rest.
            let unsigned = HeaderValue::from_static("UNSIGNED-PAYLOAD");
            request.headers_mut().insert(CONTENT_SHA256, unsigned);
        }
        let keys = self
            .settings
            .keys
            .keys()
            .await
            .map_err(Failure::Impossible)?;
        AwsSigner::new(keys, &region)
            .sign(&mut request)
            .map_err(Failure::Impossible)?;
        let answer = self.door.send(request).await.map_err(|none| match none {
            NoAnswer::Refused(fault) => Failure::Impossible(fault),
            NoAnswer::NotSent(fault) => Failure::Unsent(fault),
            NoAnswer::Unknown(fault) => Failure::Silent(fault),
        })?;
        // A completion and a put can fail after their status was sent. An object that is read is no answer of theirs.
        let can_fail_late = call.method == Method::POST || call.method == Method::PUT;
        if answer.status().is_success() && !(can_fail_late && xml::error(answer.body()).is_some()) {
            return Ok(answer);
        }
        Err(Failure::Refused(Box::new(Refusal::read(&answer))))
    }
}

/// Whether there is no such upload. Some servers say that there is no such key.
fn gone(failure: &Failure) -> bool {
    matches!(failure.meaning(), Some(Meaning::NoUpload | Meaning::NoKey))
}

fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.meaning() == Some(Meaning::NoKey) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn etag(headers: &HeaderMap) -> Option<String> {
    header(headers, ETAG.as_str())
        .filter(|etag| !etag.is_empty())
        .map(str::to_owned)
}

/// The sum among Google's hashes, which can come in one header or in several.
fn crc32c(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all("x-goog-hash")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .find_map(|hash| hash.trim().strip_prefix("crc32c="))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use offtake_storage::{AwsKeys, Network, NetworkSettings, Retries};
    use secrecy::SecretString;

    use super::{Client, Failure};
    use crate::s3::codes::{Meaning, Refusal};
    use crate::s3::dialect::Dialect;
    use crate::s3::keys::FixedKeys;
    use crate::s3::location::Location;
    use crate::s3::settings::Settings;

    fn client(region_fixed: bool) -> Client {
        let network = Network::new(NetworkSettings::default()).unwrap();
        let settings = Settings {
            dialect: Dialect::Amazon,
            location: Location::amazon("lake", None),
            region: "us-east-1".to_owned(),
            region_fixed,
            checksum: None,
            encryption: None,
            keys: Arc::new(FixedKeys(AwsKeys {
                access_key: "AKIA".to_owned(),
                secret_key: SecretString::from("secret"),
                session_token: None,
            })),
        };
        let region = Arc::new(Mutex::new(settings.region.clone()));
        Client::new(network.door(), Retries::default(), settings, region)
    }

    fn elsewhere(region: &str) -> Failure {
        Failure::Refused(Box::new(Refusal {
            meaning: Meaning::RegionWrong,
            status: 301,
            code: None,
            request: None,
            region: Some(region.to_owned()),
            retry_after: None,
        }))
    }

    #[test]
    fn a_region_that_the_store_names_is_followed_where_nobody_fixed_it() {
        let free = client(false);
        assert!(free.follows(&elsewhere("eu-west-1")));
        assert_eq!(*free.region.lock().unwrap(), "eu-west-1");
        assert!(!free.follows(&elsewhere("eu-west-1")));
        let fixed = client(true);
        assert!(!fixed.follows(&elsewhere("eu-west-1")));
        assert_eq!(*fixed.region.lock().unwrap(), "us-east-1");
    }
}
