//! What every request passes: size limits, the number of requests at once, who asks; and on the way back the
//! rendering of failures and the headers of every answer.
//!
//! The one law: the checks of the contract (2.2) come before a handler sees anything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use metrics::{counter, histogram};
use offtake_api_types::TenantInfo;
use offtake_model::{ErrorCode, Fault, Permission};
use offtake_service::{Caller, Presented, Service};
use tokio::sync::Semaphore;

use crate::problem::{Refusal, render};

/// Longest path and query, in bytes.
const URI_BYTES_MAX: usize = 8 * 1024;

/// Most bytes of all headers together.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Paths that answer however busy the service is.
const HEALTH: &str = "/health/";

/// State of the outermost layer.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) service: Arc<Service>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) trusted: TrustProxy,
}

/// Says whether an address is that of a proxy of the operator's own.
pub type TrustProxy = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Where a request came from.
#[derive(Clone, Copy)]
struct Origin(IpAddr);

/// The recognised caller of a request.
pub(crate) struct Who(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let caller = Extension::<Caller>::from_request_parts(parts, state).await;
        caller.map(|Extension(caller)| Self(caller)).map_err(|_| {
            Refusal::new(
                ErrorCode::Internal,
                "the route was reached without a caller",
            )
        })
    }
}

/// The outermost layer: limits on the way in, rendering on the way out.
pub(crate) async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    if let Some(address) = origin(&gate, &request) {
        request.extensions_mut().insert(Origin(address));
    }
    let method = request.method().clone();
    let response = match admit(&gate, &request) {
        Ok(_slot) => next.run(request).await,
        Err(fault) => Refusal(fault).into_response(),
    };
    let response = finish(&gate, response);
    let route = response
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let took = started.elapsed();
    // An unknown path has no route and stands under an empty one, so that nobody can make up label values.
    counter!(
        "offtake_http_requests_total",
        "method" => method_label(&method),
        "route" => route.to_owned(),
        "status" => response.status().as_u16().to_string()
    )
    .increment(1);
    histogram!("offtake_http_answer_seconds", "route" => route.to_owned())
        .record(took.as_secs_f64());
    tracing::debug!(
        %method,
        route,
        status = response.status().as_u16(),
        duration_ms = took.as_millis(),
        "answered"
    );
    response
}

/// The method as a label: those that routes have, and one word for the others.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// Recognises the caller; handlers find it in the request's extensions.
pub(crate) async fn recognise(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let operation = match &matched {
        Some(matched) => format!("{} {}", request.method(), matched.as_str()),
        None => request.method().to_string(),
    };
    let address = request.extensions().get::<Origin>();
    let address = address.map(|origin| origin.0.to_string());
    let presented = Presented {
        operation: &operation,
        address: address.as_deref(),
        ..presented(request.headers())
    };
    let caller = service.authenticate(&presented).await;
    let mut response = match caller {
        Ok(caller) => {
            let tenant = tenant_info(&caller);
            request.extensions_mut().insert(caller);
            let mut response = next.run(request).await;
            response.extensions_mut().insert(tenant);
            response
        }
        Err(fault) => Refusal(fault).into_response(),
    };
    if let Some(matched) = matched {
        response.extensions_mut().insert(matched);
    }
    response
}

/// Lets a caller pass who has one of the permissions that the operation needs.
pub(crate) async fn permit(
    State(permissions): State<&'static [Permission]>,
    Who(caller): Who,
    request: Request,
    next: Next,
) -> Response {
    if permissions.iter().any(|needed| caller.may(*needed)) {
        return next.run(request).await;
    }
    let names: Vec<&str> = permissions.iter().map(|needed| needed.name()).collect();
    Refusal::new(
        ErrorCode::PermissionMissing,
        format!("the client has no role that allows {}", names.join(" or ")),
    )
    .into_response()
}

/// The tenant as problem bodies and entities show it.
pub(crate) fn tenant_info(caller: &Caller) -> TenantInfo {
    TenantInfo {
        sandbox_name: caller.sandbox.name.to_string(),
        sandbox_id: caller.sandbox.id.clone(),
        ims_org_id: caller.tenant.org.to_string(),
    }
}

fn admit<'a>(
    gate: &'a Gate,
    request: &Request,
) -> Result<Option<tokio::sync::SemaphorePermit<'a>>, Fault> {
    let uri = request.uri().path_and_query().map_or("", |it| it.as_str());
    if uri.len() > URI_BYTES_MAX {
        return Err(too_large("path and query", uri.len(), URI_BYTES_MAX));
    }
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers > HEADER_BYTES_MAX {
        return Err(too_large("headers", headers, HEADER_BYTES_MAX));
    }
    if uri.starts_with(HEALTH) {
        return Ok(None);
    }
    gate.slots
        .try_acquire()
        .map(Some)
        .map_err(|_| Fault::new(ErrorCode::ServiceBusy, "too many requests at the same time"))
}

fn finish(gate: &Gate, mut response: Response) -> Response {
    if let Some(fault) = response.extensions_mut().remove::<Fault>() {
        let allow = response.headers_mut().remove(ALLOW);
        let tenant = response.extensions_mut().remove::<TenantInfo>();
        let route = response.extensions_mut().remove::<MatchedPath>();
        response = render(&fault, tenant.as_ref(), gate.service.now(), allow);
        if let Some(route) = route {
            response.extensions_mut().insert(route);
        }
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    Presented {
        authorization: text(AUTHORIZATION.as_str()),
        api_key: text("x-api-key"),
        org: text("x-gw-ims-org-id"),
        sandbox_name: text("x-sandbox-name"),
        sandbox_id: text("x-sandbox-id"),
        ..Presented::default()
    }
}

/// The address that a request came from: the other side's, or what proxies of the operator's own say of theirs.
fn origin(gate: &Gate, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let mut address = peer.0.ip().to_canonical();
    let hops = request.headers().get_all("x-forwarded-for");
    let hops: Vec<&str> = hops
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .collect();
    // Each proxy appends whom it heard; what stands before the first stranger is the stranger's own word.
    for hop in hops.iter().rev() {
        if !(gate.trusted)(address) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(told) => address = told.to_canonical(),
            Err(_) => break,
        }
    }
    Some(address)
}

fn too_large(what: &str, bytes: usize, limit: usize) -> Fault {
    let kibibytes = limit / 1024;
    Fault::new(
        ErrorCode::BodyTooLarge,
        format!(
            "the request's {what} have {bytes} bytes; the limit for {what} is {kibibytes} KiB, whatever the body's is"
        ),
    )
}
