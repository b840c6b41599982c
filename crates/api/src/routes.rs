//! Handlers: extract, call, wrap. One module per resource, each with its own table of paths.

use std::sync::Arc;

use axum::Router;
use http::HeaderMap;
use http::header::IF_MATCH;
use offtake_service::Service;

mod catalog;
mod connections;
mod flows;
mod health;
mod runs;
mod sandboxes;
mod sources;
mod specs;
mod targets;
mod token;

/// Paths that need a recognised caller.
pub(crate) fn of_callers() -> Router<Arc<Service>> {
    Router::new()
        .merge(specs::routes())
        .merge(connections::routes())
        .merge(sources::routes())
        .merge(targets::routes())
        .merge(flows::routes())
        .merge(runs::routes())
        .merge(catalog::routes())
        .merge(sandboxes::routes())
}

/// Paths for everybody.
pub(crate) fn of_anybody() -> Router<Arc<Service>> {
    Router::new().merge(token::routes()).merge(health::routes())
}

/// A path below the Flow Service's prefix.
fn flow_service(path: &str) -> String {
    format!("{}{path}", crate::FLOW_SERVICE)
}

/// The version of the entity that the caller has seen, when it says so.
fn if_match(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(IF_MATCH)
        .map(|value| value.to_str().unwrap_or_default())
}
