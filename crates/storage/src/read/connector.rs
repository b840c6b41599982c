//! Gives the object-store crate our client in place of its own.
//!
//! The one law: its options for clients are ignored, because no option of it may open another way out.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use offtake_model::ErrorCode;
use url::Url;

use crate::door::{NoAnswer, explained, host_of};
use crate::network::{Inner, Network};

/// The guarded client as the object-store crate wants it.
#[derive(Clone)]
pub(super) struct Guarded(Arc<Inner>);

impl Guarded {
    pub(super) fn new(network: &Network) -> Self {
        Self(network.inner())
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

impl HttpConnector for Guarded {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let refused = |denial: NoAnswer| HttpError::new(HttpErrorKind::Unknown, denial);
        let url = Url::parse(&request.uri().to_string())
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let scheme = self
            .0
            .guard
            .check(&url)
            .map_err(|denial| refused(denial.into()))?;
        let client = self.0.readers.of(scheme);
        client
            .call(request)
            .await
            .map_err(|error| told(&host_of(&url), error))
    }
}

/// The same error in our words. What trying again cannot change is marked so that it is not tried again.
fn told(host: &str, error: HttpError) -> HttpError {
    let Some(cause) = error
        .source()
        .and_then(|source| source.downcast_ref::<reqwest::Error>())
    else {
        return error;
    };
    let no_answer = explained(host, cause);
    let hopeless = matches!(no_answer, NoAnswer::Refused(_))
        || no_answer.fault().code == ErrorCode::TlsNotTrusted;
    let kind = if hopeless {
        HttpErrorKind::Unknown
    } else {
        error.kind()
    };
    HttpError::new(kind, no_answer)
}
