//! Failures as HTTP answers (contract, 2.2 and 3). The only place where a fault becomes a body.
//!
//! A handler's refusal travels outward as a fault in the response's extensions; the gate renders it when it
//! knows whose request it was.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use offtake_api_types::problem::{AdditionalContext, ChainLink, ContentTypeProblem, Report};
use offtake_api_types::{GatewayProblem, Problem, TenantInfo, TokenRefused};
use offtake_model::{ErrorCode, Fault, Millis};
use serde::Serialize;
use serde_json::Value;

use crate::document::schemas::Schemas;
use crate::wire::blob;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Number of a failure that has no documented one.
const NO_NUMBER: &str = "0000";

/// A fault on its way out of a handler.
pub(crate) struct Refusal(pub(crate) Fault);

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Fault::new(code, message))
    }
}

/// Marks the refusal of a request in the blob service's protocol, whose clients read XML.
#[derive(Clone, Copy)]
pub(crate) struct AsBlobService;

impl Refusal {
    /// The refusal as the blob service's clients read it.
    pub(crate) fn into_blob_response(self) -> Response {
        let mut response = self.into_response();
        response.extensions_mut().insert(AsBlobService);
        response
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(self.0.code);
        response.extensions_mut().insert(self.0);
        response
    }
}

/// The fault's answer. `allow` is kept from the refused response, where the router set it.
pub(crate) fn render(
    fault: &Fault,
    tenant: Option<&TenantInfo>,
    now: Millis,
    allow: Option<HeaderValue>,
) -> Response {
    log(fault);
    let mut response = match shape(fault.code) {
        Shape::Gateway(number) => json(fault.code, JSON, &gateway(fault, number)),
        Shape::ContentType => json(fault.code, JSON, &content_type(fault)),
        Shape::OAuth => json(fault.code, JSON, &oauth(fault)),
        Shape::Problem => json(fault.code, PROBLEM_JSON, &problem(fault, tenant, now)),
    };
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, allow);
    }
    if fault.code.status() == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// The content type of a code's answer, and the schema of its body.
pub(crate) fn described(code: ErrorCode, schemas: &Schemas) -> (&'static str, Value) {
    let (kind, schema) = match shape(code) {
        Shape::Gateway(_) => ("application/json", schemas.of::<GatewayProblem>()),
        Shape::ContentType => ("application/json", schemas.of::<ContentTypeProblem>()),
        Shape::OAuth => ("application/json", schemas.of::<TokenRefused>()),
        Shape::Problem => ("application/problem+json", schemas.of::<Problem>()),
    };
    (kind, schema)
}

/// The fault's answer to a client of the blob service: the code in a header and, with the words, in XML.
pub(crate) fn render_to_blob_client(fault: &Fault) -> Response {
    log(fault);
    let code = blob::error_code(fault.code);
    let body = blob::error(code, fault);
    let mut response = (status(fault.code), body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, blob::XML);
    headers.insert(blob::ERROR_CODE, HeaderValue::from_static(code));
    headers.insert(blob::VERSION_HEADER, blob::VERSION);
    response
}

enum Shape {
    Gateway(&'static str),
    ContentType,
    OAuth,
    Problem,
}

fn shape(code: ErrorCode) -> Shape {
    // Numbers of the gateway have six digits and begin with the status; those of the catalogue have four.
    let gateway = code.number().filter(|number| number.len() == 6);
    match (code, gateway) {
        (_, Some(number)) => Shape::Gateway(number),
        (ErrorCode::ContentTypeMissing, None) => Shape::ContentType,
        (ErrorCode::ClientAuthInvalid | ErrorCode::GrantTypeInvalid, None) => Shape::OAuth,
        (_, None) => Shape::Problem,
    }
}

fn gateway(fault: &Fault, number: &str) -> GatewayProblem {
    GatewayProblem {
        error_code: number.to_owned(),
        message: fault.code.title().to_owned(),
    }
}

fn content_type(fault: &Fault) -> ContentTypeProblem {
    ContentTypeProblem {
        kind: "/placeholder/type/uri".to_owned(),
        status: fault.code.status(),
        title: fault.code.title().to_owned(),
        detail: "A valid content-type must be specified".to_owned(),
    }
}

fn oauth(fault: &Fault) -> TokenRefused {
    TokenRefused {
        error: fault.code.title().to_owned(),
        error_description: format!("{}. {}", fault.message, fault.code.advice()),
        code: fault.code.name().to_owned(),
    }
}

fn problem(fault: &Fault, tenant: Option<&TenantInfo>, now: Millis) -> Problem {
    let code = fault.code;
    let number = code.number().unwrap_or(NO_NUMBER);
    let flow_code = format!("FLOW-{number}-{}", code.status());
    Problem {
        kind: format!("http://ns.adobe.com/aep/errors/{flow_code}"),
        title: code.title().to_owned(),
        status: code.status(),
        detail: fault.message.clone(),
        report: Report {
            tenant_info: tenant.cloned(),
            additional_context: AdditionalContext {
                code: code.name().to_owned(),
                advice: code.advice().to_owned(),
                page: format!("docs/errors/{}.md", code.name()),
            },
        },
        error_chain: vec![ChainLink {
            service_id: "FLOW".to_owned(),
            error_code: flow_code,
            invoking_service_id: String::new(),
            unix_time_stamp_ms: now.0,
        }],
        error_message: fault.message.clone(),
        error_details: fault.message.clone(),
        message: (code.status() == 400).then(|| fault.message.clone()),
    }
}

fn json(code: ErrorCode, content_type: HeaderValue, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = (status(code), bytes).into_response();
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Causes go to the log, never to a client.
fn log(fault: &Fault) {
    let cause = fault.cause.as_deref().unwrap_or_default();
    if fault.code.status() >= 500 {
        tracing::error!(code = %fault.code, cause, "request failed: {}", fault.message);
    } else {
        tracing::debug!(code = %fault.code, cause, "request refused: {}", fault.message);
    }
}
