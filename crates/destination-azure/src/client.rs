//! One container or file system and the way it is called: signed, repeated within bounds, refusals told by their code.
//!
//! Every call may be made twice: what a repetition means is the sink's to judge.
//!
//! The one law: a call succeeds only by an answer that is whole and of the kind that was asked for.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use offtake_model::{ErrorCode, Fault};
use offtake_storage::{Door, NoAnswer, Retries};

use crate::login::Login;
use crate::place::Place;
use crate::refusal::{Meaning, Refusal, header};

/// A place and what it takes to speak to it.
pub(crate) struct Client {
    door: Door,
    retries: Retries,
    login: Login,
    place: Place,
}

/// Why a call came to nothing.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The service said no.
    Refused(Box<Refusal>),
    /// The service said nothing that could be understood; the call may have been carried out.
    Silent(Fault),
    /// The call was never sent.
    Unsent(Fault),
    /// Nothing was sent, and nothing will be.
    Impossible(Fault),
}

impl Failure {
    /// What the service's refusal means, when it is one.
    pub(crate) fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Refused(refusal) => Some(refusal.meaning),
            Self::Silent(_) | Self::Unsent(_) | Self::Impossible(_) => None,
        }
    }

    /// Whether the call may have been carried out, or may be carried out a moment later.
    pub(crate) fn doubtful(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.meaning.passing(),
            Self::Silent(_) | Self::Unsent(_) => true,
            Self::Impossible(_) => false,
        }
    }

    /// The failure of what was attempted, as users meet it.
    pub(crate) fn told(self, attempted: &str) -> Fault {
        match self {
            Self::Refused(refusal) => Fault::new(
                refusal.meaning.error(),
                format!("{attempted}: {}", refusal.words()),
            ),
            Self::Silent(fault) | Self::Unsent(fault) | Self::Impossible(fault) => Fault {
                message: format!("{attempted}: {}", fault.message),
                ..fault
            },
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Silent(_) | Self::Unsent(_) | Self::Impossible(_) => None,
        }
    }
}

/// One call, to be signed anew whenever it is made.
pub(crate) struct Call<'a> {
    method: Method,
    key: Option<&'a str>,
    query: &'a [(&'a str, &'a str)],
    headers: HeaderMap,
    body: Bytes,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        method: Method,
        key: Option<&'a str>,
        query: &'a [(&'a str, &'a str)],
    ) -> Self {
        Self {
            method,
            key,
            query,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Failure> {
        let value = HeaderValue::from_str(value).map_err(|error| {
            let attempted = format!("set header {name} of a request");
            Failure::Impossible(Fault::new(ErrorCode::Internal, attempted).because(&error))
        })?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

impl Client {
    pub(crate) const fn new(door: Door, retries: Retries, login: Login, place: Place) -> Self {
        Self {
            door,
            retries,
            login,
            place,
        }
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Refuses what cannot be begun with these credentials.
    pub(crate) fn check_login(&self) -> Result<(), Fault> {
        self.login.check(SystemTime::now())
    }

    /// Makes a call and asks nothing of its answer.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Response<Bytes>, Failure> {
        self.ask(call, "nothing", Some).await
    }

    /// Makes a call whose answer must have something in it. An answer without it is as good as none.
    pub(crate) async fn ask<T: Send>(
        &self,
        call: &Call<'_>,
        missing: &str,
        read: impl Fn(Response<Bytes>) -> Option<T> + Send + Sync,
    ) -> Result<T, Failure> {
        let mut left = self.retries.begin();
        let mut renewed = false;
        loop {
            let failure = match self.once(call).await.map(&read) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => Failure::Silent(Fault::new(
                    ErrorCode::DestinationProtocol,
                    format!("the store's answer has {missing}"),
                )),
                Err(failure) => failure,
            };
            let outdated = matches!(
                failure.meaning(),
                Some(Meaning::KeysExpired | Meaning::KeysInvalid)
            );
            if outdated && !renewed && self.login.forget().await {
                renewed = true;
                continue;
            }
            if !failure.doubtful() || !left.pause(failure.retry_after()).await {
                return Err(failure);
            }
        }
    }

    /// The failure as users meet it.
    pub(crate) fn fault(&self, failure: Failure, attempted: &str, key: &str) -> Fault {
        failure.told(&format!(
            "{attempted} file {key} of container {}",
            self.place.name()
        ))
    }

    async fn once(&self, call: &Call<'_>) -> Result<Response<Bytes>, Failure> {
        let uri = self.place.uri(call.key, call.query);
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri.map_err(Failure::Impossible)?;
        *request.headers_mut() = call.headers.clone();
        if call.method == Method::PUT || call.method == Method::PATCH {
            // Signed with the rest, and left out by HTTP libraries for an empty body.
            let length = HeaderValue::from(call.body.len());
            request.headers_mut().insert(CONTENT_LENGTH, length);
        }
        let signer = self.login.signer().await?;
        signer.sign(&mut request).map_err(Failure::Impossible)?;
        let answer = self.door.send(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let now = SystemTime::now();
        let refusal = Refusal::read(&answer, now, self.login.has_ended(now));
        Err(Failure::Refused(Box::new(refusal)))
    }
}

impl From<NoAnswer> for Failure {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::Refused(fault) => Self::Impossible(fault),
            NoAnswer::NotSent(fault) => Self::Unsent(fault),
            NoAnswer::Unknown(fault) => Self::Silent(fault),
        }
    }
}

/// What was found, when nothing of that name is an answer too.
pub(crate) fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.meaning() == Some(Meaning::Missing) => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(crate) fn etag(headers: &HeaderMap) -> Option<String> {
    header(headers, ETAG.as_str())
        .filter(|etag| !etag.is_empty())
        .map(str::to_owned)
}
