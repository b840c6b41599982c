//! The description of the API, for programs and for people.

use axum::response::IntoResponse;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::Value;

use crate::document;
use crate::document::says::says;
use crate::reply::Reply;
use crate::table::{Needs, Routes};

/// The page runs nothing and fetches nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/openapi.json", Needs::Nothing, openapi)
        .says(says("readOpenApi", "This document").gives::<Value>(200, "The OpenAPI 3.1 document."))
        .get("/docs", Needs::Nothing, page)
        .says(
            says("readDocs", "This document as a page to read").gives_bytes(
                200,
                "The page.",
                "text/html",
            ),
        )
}

async fn openapi() -> Reply {
    let kind = [(CONTENT_TYPE, "application/json")];
    Ok((kind, document::json()).into_response())
}

async fn page() -> Reply {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, document::page()).into_response())
}
