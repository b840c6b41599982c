//! Answers with the bytes of a file, or with one range of them, sent piece by piece.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderValue, Method, StatusCode};
use offtake_model::{ErrorCode, Fault};
use offtake_service::RangeReader;

/// Bytes read at a time while a file is sent.
const CHUNK_BYTES: u64 = 512 * 1024;

/// The bytes that were asked for: all of them, or the range's. A HEAD is answered as if it asked for no range.
pub(crate) fn answer(
    reader: Arc<dyn RangeReader>,
    range: Option<&HeaderValue>,
    method: &Method,
) -> Result<Response, Fault> {
    let size = reader.size();
    let head = method == Method::HEAD;
    let range = range
        .filter(|_| !head)
        .map(|value| part(value.to_str().unwrap_or_default(), size))
        .transpose()?;
    let (start, end) = range.unwrap_or((0, size));
    let body = if head {
        Body::empty()
    } else {
        sent(reader, start, end)
    };
    let mut response = Response::new(body);
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(CONTENT_RANGE, value);
        }
    }
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    Ok(response)
}

fn sent(reader: Arc<dyn RangeReader>, start: u64, end: u64) -> Body {
    let chunks = stream::unfold((reader, start), move |(reader, at)| async move {
        if at >= end {
            return None;
        }
        let next = end.min(at + CHUNK_BYTES);
        let bytes = reader.read(at..next).await;
        Some((bytes, (reader, next)))
    });
    Body::from_stream(chunks)
}

/// One range of a file: first byte and one after the last.
fn part(text: &str, size: u64) -> Result<(u64, u64), Fault> {
    let invalid = || {
        Fault::new(
            ErrorCode::RangeNotSatisfiable,
            format!("range [{text}] is no single range of a file of {size} bytes"),
        )
    };
    let range = text.strip_prefix("bytes=").ok_or_else(invalid)?;
    let (first, last) = range.split_once('-').ok_or_else(invalid)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| invalid());
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => (size.saturating_sub(number(suffix)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => (number(first)?, number(last)?.saturating_add(1).min(size)),
    };
    if start < end {
        return Ok((start, end));
    }
    Err(invalid())
}
