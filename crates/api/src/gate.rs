//! What every request passes: size limits, the number of requests at once, who asks; and on the way back the
//! rendering of failures and the headers of every answer.
//!
//! The one law: the checks of the contract (2.2) come before a handler sees anything.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use metrics::{counter, histogram};
use offtake_api_types::TenantInfo;
use offtake_model::{ErrorCode, Fault, Permission};
use offtake_service::{Caller, Presented, Service};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::problem::{AsBlobService, Refusal, render, render_to_blob_client};
use crate::rate::Buckets;

/// Longest path and query, in bytes.
const URI_BYTES_MAX: usize = 8 * 1024;

/// Most bytes of all headers together.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Paths that answer however busy the service is.
const HEALTH: &str = "/health/";

/// Paths where nobody is recognised yet: the address stands for the client.
const TOKENS: &str = "/ims/";

/// Where bytes of files are sent: as long as they flow, they may take their time.
const FILES: &str = "/files/{*file}";

/// State of the outermost layer.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) service: Arc<Service>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) trusted: TrustProxy,
    pub(crate) by_address: Arc<Buckets<IpAddr>>,
}

/// State of the layer that recognises callers.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) service: Arc<Service>,
    pub(crate) by_client: Arc<Buckets<String>>,
    pub(crate) answer_timeout: Duration,
}

/// How long a refused caller should wait.
#[derive(Clone, Copy)]
struct Wait(Duration);

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
    let address = origin(&gate, &request);
    if let Some(address) = address {
        request.extensions_mut().insert(Origin(address));
    }
    let method = request.method().clone();
    let response = match admit(&gate, &request, address) {
        Ok(_slot) => next.run(request).await,
        Err(refused) => refused,
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
    State(door): State<Door>,
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
    let caller = door.service.authenticate(&presented).await;
    let mut response = match caller {
        Ok(caller) => {
            let tenant = tenant_info(&caller);
            let mut response = match door
                .by_client
                .take(caller.client.to_string(), Instant::now())
            {
                Ok(()) => {
                    request.extensions_mut().insert(caller);
                    in_time(&door, matched.as_ref(), next.run(request)).await
                }
                Err(wait) => slow_down(wait),
            };
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

/// The answer, unless it takes too long to begin. What was committed by then stays.
async fn in_time(
    door: &Door,
    matched: Option<&MatchedPath>,
    answer: impl Future<Output = Response>,
) -> Response {
    if matched.is_some_and(|matched| matched.as_str().ends_with(FILES)) {
        return answer.await;
    }
    let limit = door.answer_timeout;
    timeout(limit, answer).await.unwrap_or_else(|_| {
        Refusal::new(
            ErrorCode::RequestTimedOut,
            format!("there was no answer within {} s", limit.as_secs()),
        )
        .into_response()
    })
}

fn slow_down(wait: Duration) -> Response {
    let refusal = Refusal::new(
        ErrorCode::RateLimited,
        format!("too many requests; the next one passes in {} s", secs(wait)),
    );
    let mut response = refusal.into_response();
    response.extensions_mut().insert(Wait(wait));
    response
}

/// Whole seconds, never too few.
fn secs(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
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

#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn admit<'a>(
    gate: &'a Gate,
    request: &Request,
    address: Option<IpAddr>,
) -> Result<Option<SemaphorePermit<'a>>, Response> {
    let refused = |fault: Fault| Refusal(fault).into_response();
    let uri = request.uri().path_and_query().map_or("", |it| it.as_str());
    if uri.len() > URI_BYTES_MAX {
        return Err(refused(too_large(
            "path and query",
            uri.len(),
            URI_BYTES_MAX,
        )));
    }
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers > HEADER_BYTES_MAX {
        return Err(refused(too_large("headers", headers, HEADER_BYTES_MAX)));
    }
    if uri.starts_with(HEALTH) {
        return Ok(None);
    }
    if uri.starts_with(TOKENS)
        && let Some(address) = address
        && let Err(wait) = gate.by_address.take(network_of(address), Instant::now())
    {
        return Err(slow_down(wait));
    }
    gate.slots.try_acquire().map(Some).map_err(|_| {
        refused(Fault::new(
            ErrorCode::ServiceBusy,
            "too many requests at the same time",
        ))
    })
}

/// One customer of a provider has a whole network of IPv6 addresses.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

fn finish(gate: &Gate, mut response: Response) -> Response {
    if let Some(fault) = response.extensions_mut().remove::<Fault>() {
        let allow = response.headers_mut().remove(ALLOW);
        let tenant = response.extensions_mut().remove::<TenantInfo>();
        let route = response.extensions_mut().remove::<MatchedPath>();
        let wait = response.extensions_mut().remove::<Wait>();
        response = match response.extensions_mut().remove::<AsBlobService>() {
            Some(AsBlobService) => render_to_blob_client(&fault),
            None => render(&fault, tenant.as_ref(), gate.service.now(), allow),
        };
        if let Some(Wait(wait)) = wait {
            let value = HeaderValue::from(secs(wait));
            response.headers_mut().insert(RETRY_AFTER, value);
        }
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
