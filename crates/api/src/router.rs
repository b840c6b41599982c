//! The table of paths.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use http::Uri;
use http::uri::PathAndQuery;
use offtake_model::ErrorCode;
use offtake_service::Service;
use tokio::sync::Semaphore;
use tower::Layer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::gate::{self, Door, Gate, TrustProxy};
use crate::problem::Refusal;
use crate::rate::{Buckets, Rate};
use crate::routes;
use crate::table::Operation;

/// Longest piece of a path repeated in an answer, in characters.
const ECHO_CHARS_MAX: usize = 200;

/// Renders what was counted so far in the text form of Prometheus.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Settings of the HTTP surface.
#[derive(Clone)]
pub struct ApiSettings {
    /// Most requests worked on at the same time; one more is answered 503.
    pub requests_max: usize,
    /// What `/metrics` answers; without it the path does not exist.
    pub metrics: Option<RenderMetrics>,
    /// Whose `X-Forwarded-For` is believed; nobody's by default.
    pub trusted: TrustProxy,
    /// How often a client may ask; for tokens, how often an address may.
    pub rate: Rate,
    /// How long an answer may take to begin, other than to bytes of files.
    pub answer_timeout: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            requests_max: 256,
            metrics: None,
            trusted: Arc::new(|_| false),
            rate: Rate {
                per_second: 100,
                burst: 1_000,
            },
            answer_timeout: Duration::from_mins(2),
        }
    }
}

/// The whole HTTP surface over the service.
pub fn router(service: Arc<Service>, settings: &ApiSettings) -> Router {
    let gate = Gate {
        service: Arc::clone(&service),
        slots: Arc::new(Semaphore::new(settings.requests_max)),
        trusted: Arc::clone(&settings.trusted),
        by_address: Arc::new(Buckets::new(settings.rate)),
    };
    let door = Door {
        service: Arc::clone(&service),
        by_client: Arc::new(Buckets::new(settings.rate)),
        answer_timeout: settings.answer_timeout,
    };
    let (of_callers, _) = routes::of_callers().into_parts();
    let (of_anybody, _) = routes::of_anybody().into_parts();
    let known = of_callers
        .route_layer(from_fn_with_state(door, gate::recognise))
        .merge(match &settings.metrics {
            Some(render) => of_anybody.layer(Extension(Arc::clone(render))),
            None => of_anybody,
        })
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(gate, gate::pass))
        .with_state(service);
    // A layer of the inner router would run after routing, too late to change the path.
    Router::new().fallback_service(map_request(without_trailing_slash).layer(known))
}

/// Every operation of the surface.
pub fn operations() -> Vec<Operation> {
    let (_, of_callers) = routes::of_callers().into_parts();
    let (_, of_anybody) = routes::of_anybody().into_parts();
    [of_callers, of_anybody].concat()
}

/// Both `…/flows/` and `…/flows/{id}/` are in documented use (contract, 4).
async fn without_trailing_slash(mut request: Request<Body>) -> Request<Body> {
    if let Some(uri) = trimmed(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?;
    if path.is_empty() || path.ends_with('/') {
        return None;
    }
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

async fn no_such_path(request: Request) -> Refusal {
    Refusal::new(
        ErrorCode::RouteNotFound,
        format!("no such path: {}", named(&request)),
    )
}

async fn no_such_method(request: Request) -> Refusal {
    Refusal::new(
        ErrorCode::MethodNotAllowed,
        format!("no such method: {}", named(&request)),
    )
}

fn named(request: &Request) -> String {
    let path: String = request.uri().path().chars().take(ECHO_CHARS_MAX).collect();
    format!("{} {path}", request.method())
}

fn panicked(_payload: Box<dyn Any + Send + 'static>) -> Response {
    Refusal::new(ErrorCode::Internal, "the request met a defect in offtake").into_response()
}
