//! Request bodies: bounded in size and time, JSON with an exact place when it isn't.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use offtake_model::{ErrorCode, Fault};
use serde_json::Value;
use tokio::time::timeout;

use crate::problem::Refusal;

mod keys;

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Longest time that a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How deep arrays and objects may be nested.
const DEPTH_MAX: usize = 64;

/// A JSON body. Its content type is checked first, then its presence, then its syntax.
pub(crate) struct JsonBody(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        if !json_content(request.headers()) {
            return Err(Refusal::new(
                ErrorCode::ContentTypeMissing,
                "Content-Type must be application/json",
            ));
        }
        let bytes = read(request).await?;
        parse(&bytes).map(Self).map_err(Refusal)
    }
}

/// A JSON body, or none at all.
pub(crate) struct MaybeJson(pub(crate) Option<Value>);

impl<S: Send + Sync> FromRequest<S> for MaybeJson {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bytes = read(request).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(None));
        }
        parse(&bytes).map(Some).map(Self).map_err(Refusal)
    }
}

/// Reads the whole body, refusing one that is too large or too slow.
pub(crate) async fn read(request: Request) -> Result<Vec<u8>, Fault> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    timeout(BODY_TIMEOUT, collect(request.into_body()))
        .await
        .unwrap_or_else(|_| Err(broken("did not arrive in time")))
}

async fn collect(body: Body) -> Result<Vec<u8>, Fault> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| broken("could not be read").because(&error))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::new(ErrorCode::BodyEmpty, "the request has no body"));
    }
    if deeper_than(bytes, DEPTH_MAX) {
        return Err(Fault::new(
            ErrorCode::BodyTooDeep,
            format!("the body is nested deeper than {DEPTH_MAX} levels"),
        ));
    }
    let value = serde_json::from_slice(bytes).map_err(|error| not_json(bytes, &error))?;
    keys::unique(bytes).map_err(|error| repeated(&error))?;
    Ok(value)
}

/// Looked at before anything is built, since building, walking and dropping all go as deep as the text says.
fn deeper_than(json: &[u8], levels: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > levels {
            return true;
        }
    }
    false
}

fn repeated(error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let reason = text
        .rsplit_once(" at line ")
        .map_or("", |(reason, _)| reason);
    Fault::new(
        ErrorCode::BodyNotJson,
        format!("the body has {reason} at line {line}, column {column}"),
    )
}

/// Says where the JSON breaks, and points out comments: the tutorial's own samples carry them.
fn not_json(bytes: &[u8], error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let found = byte_at(bytes, line, column);
    let message = if found == Some(b'/') {
        format!("the body has a comment at line {line}, column {column}: JSON knows no comments")
    } else {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        format!("the body is not JSON: {reason} at line {line}, column {column}")
    };
    Fault::new(ErrorCode::BodyNotJson, message)
}

fn byte_at(bytes: &[u8], line: usize, column: usize) -> Option<u8> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .nth(line.checked_sub(1)?)?;
    line.get(column.checked_sub(1)?).copied()
}

fn json_content(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()) else {
        return false;
    };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    let utf8 = parts.all(|part| {
        let lower = part.to_ascii_lowercase();
        !lower.starts_with("charset=") || lower.trim_matches('"').contains("utf-8")
    });
    json && utf8
}

fn too_large() -> Fault {
    Fault::new(
        ErrorCode::BodyTooLarge,
        format!("the body is larger than {BODY_BYTES_MAX} bytes"),
    )
}

fn broken(what: &str) -> Fault {
    Fault::new(ErrorCode::BodyNotJson, format!("the body {what}"))
}

#[cfg(test)]
mod tests {
    use super::deeper_than;

    #[test]
    fn depth_is_that_of_brackets_outside_of_text() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(!deeper_than(nested(64).as_bytes(), 64));
        assert!(deeper_than(nested(65).as_bytes(), 64));
        let text = format!(r#"{{"a": "\\\"{}"}}"#, "[".repeat(99));
        assert!(!deeper_than(text.as_bytes(), 1));
        assert!(!deeper_than(br#"[{"a":1},{"b":[]}]"#, 3));
    }
}
