//! Answers: lists, single entities, created and changed ones (contract, 4.1).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use offtake_api_types::{CountOf, Created, ItemsOf, Link, Links};
use offtake_service::{Changed, Listed};
use serde::Serialize;

use crate::problem::Refusal;

/// What a handler gives back.
pub(crate) type Reply = Result<Response, Refusal>;

/// A page with its link to the next one, or a count.
pub(crate) fn listed<T: Serialize>(collection: &str, listed: Listed<T>) -> Response {
    match listed {
        Listed::Count(count) => Json(CountOf { count }).into_response(),
        Listed::Page { items, next } => {
            let next = next.map(|token| Link {
                href: format!("/{collection}?continuationToken={token}"),
            });
            Json(ItemsOf {
                items,
                links: Links { next },
            })
            .into_response()
        }
    }
}

/// One entity, wrapped like a list, with its etag as a header too.
pub(crate) fn one<T: Serialize>(item: T, etag: &str) -> Response {
    let mut response = items(vec![item]);
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// A list without pages.
pub(crate) fn items<T: Serialize>(items: Vec<T>) -> Response {
    Json(ItemsOf::last(items)).into_response()
}

/// 201 with id and etag.
pub(crate) fn created(changed: Changed) -> Response {
    (StatusCode::CREATED, self::changed(changed)).into_response()
}

/// 200 with id and etag.
pub(crate) fn changed(changed: Changed) -> Response {
    let Changed { id, etag } = changed;
    Json(Created { id, etag }).into_response()
}
