//! The HTTP door: one request, one whole answer, or a clear word on what may have happened.
//!
//! It retries nothing and understands no status: its callers know what may be repeated.
//!
//! The one law: it never says that nothing was sent when something may have been.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::DATE;
use http::{HeaderMap, Request, Response};
use offtake_model::{ErrorCode, Fault};
use reqwest::Client;
use url::Url;

use crate::guard::Denial;
use crate::network::Inner;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum NoAnswer {
    /// The guard refused; nothing was sent.
    Refused(Fault),
    /// No connection came about; nothing was sent.
    NotSent(Fault),
    /// The request may have been carried out.
    Unknown(Fault),
}

impl NoAnswer {
    /// The fault, whatever became of the request.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::Refused(fault) | Self::NotSent(fault) | Self::Unknown(fault) => fault,
        }
    }

    /// The fault, whatever became of the request.
    pub const fn fault(&self) -> &Fault {
        match self {
            Self::Refused(fault) | Self::NotSent(fault) | Self::Unknown(fault) => fault,
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault().fmt(f)
    }
}

impl Error for NoAnswer {}

/// As an extension of a request: how much longer than usual its answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience(pub Duration);

/// An HTTP client that goes only where the guard lets it. Clones are cheap.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    pub(crate) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Sends the request and reads the whole answer. Any status is an answer.
    ///
    /// # Errors
    /// No complete answer came.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        let (request, client) = self.admitted(request)?;
        let host = host_of(request.url());
        let answer = client
            .execute(request)
            .await
            .map_err(|error| explained(&host, &error))?;
        compare_clocks(answer.headers());
        self.read(&host, answer).await
    }

    /// The request as the client takes it, once the guard has let it pass as far as its address tells.
    fn admitted(&self, request: Request<Bytes>) -> Result<(reqwest::Request, &Client), NoAnswer> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| {
            NoAnswer::Refused(Fault::new(
                ErrorCode::NetworkRefused,
                "send a request: its address is not a whole URL",
            ))
        })?;
        let scheme = self.inner.guard.check(&url).map_err(NoAnswer::from)?;
        let client = self.inner.clients.of(scheme);
        let settings = &self.inner.settings;
        let on_the_way = body.len() as u64 / settings.slowest_link.max(1);
        let patience = parts
            .extensions
            .get::<Patience>()
            .map_or(Duration::ZERO, |it| it.0);
        let timeout = settings.request_timeout + Duration::from_secs(on_the_way) + patience;
        let mut sent = reqwest::Request::new(parts.method, url);
        *sent.headers_mut() = parts.headers;
        *sent.timeout_mut() = Some(timeout);
        *sent.body_mut() = Some(body.into());
        Ok((sent, client))
    }

    async fn read(
        &self,
        host: &str,
        mut answer: reqwest::Response,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let answer_max = self.inner.settings.answer_max;
        let mut whole = BytesMut::new();
        loop {
            let chunk = answer
                .chunk()
                .await
                .map_err(|error| explained(host, &error))?;
            let Some(chunk) = chunk else { break };
            if whole.len() + chunk.len() > answer_max {
                return Err(NoAnswer::Unknown(Fault::new(
                    ErrorCode::DestinationProtocol,
                    format!("read the answer of {host}: it is larger than {answer_max} bytes"),
                )));
            }
            whole.extend_from_slice(&chunk);
        }
        let mut response = Response::new(whole.freeze());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

/// Signatures are good for minutes only, so that a wrong clock is worth an alarm before it is an error. Answers tell
/// whole seconds.
fn compare_clocks(headers: &HeaderMap) {
    let told = headers.get(DATE).and_then(|value| value.to_str().ok());
    let Some(theirs) = told.and_then(|text| httpdate::parse_http_date(text).ok()) else {
        return;
    };
    let skew = match SystemTime::now().duration_since(theirs) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    metrics::gauge!("offtake_clock_skew_seconds").set(skew);
}

impl From<Denial> for NoAnswer {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Refused(fault) => Self::Refused(fault),
            Denial::Unresolved(fault) => Self::NotSent(fault),
        }
    }
}

/// Host and port, the only parts of an address that carry no secret.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("-");
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What an error of the client means. Its text is built from the causes alone: the client's own would show the URL,
/// and with it a signature.
pub(crate) fn explained(host: &str, error: &reqwest::Error) -> NoAnswer {
    if let Some(denial) = denial_in(error) {
        let fault = denial.fault().clone();
        return match denial {
            Denial::Refused(_) => NoAnswer::Refused(fault),
            Denial::Unresolved(_) => NoAnswer::NotSent(fault),
        };
    }
    if let Some(tls) = cause::<rustls::Error>(error) {
        let fault = if matches!(tls, rustls::Error::InvalidCertificate(_)) {
            Fault::new(
                ErrorCode::TlsNotTrusted,
                format!("connect to {host}: its certificate is not trusted"),
            )
        } else {
            unreachable(&format!("connect to {host}: TLS failed"))
        };
        return if error.is_connect() {
            NoAnswer::NotSent(fault.because(tls))
        } else {
            NoAnswer::Unknown(fault.because(tls))
        };
    }
    if error.is_builder() || error.is_connect() {
        return NoAnswer::NotSent(caused(
            unreachable(&format!("connect to {host}: no connection")),
            error,
        ));
    }
    let what = if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection broke"
    };
    NoAnswer::Unknown(caused(
        unreachable(&format!("speak to {host}: {what}")),
        error,
    ))
}

fn unreachable(message: &str) -> Fault {
    Fault::new(ErrorCode::DestinationUnreachable, message)
}

fn caused(fault: Fault, error: &reqwest::Error) -> Fault {
    match error.source() {
        Some(source) => fault.because(source),
        None => fault,
    }
}

/// The fault behind an error of a store made by [`read_store`](crate::read_store), when the network is to blame: why
/// nothing, or nothing whole, came back.
pub fn fault_behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Fault> {
    cause::<NoAnswer>(error).map(NoAnswer::fault)
}

/// The guard's word, when it is what stopped the client.
fn denial_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Denial> {
    cause::<Denial>(error)
}

fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // An I/O error shows the source of what it wraps, not what it wraps.
        let wrapped = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}
