//! Sandboxes, read-only (contract, 10.5).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use offtake_service::Service;

use crate::gate::Who;
use crate::reply::Reply;
use crate::wire;

pub(super) fn routes() -> Router<Arc<Service>> {
    let path = "/data/foundation/sandbox-management/sandboxes/{name}";
    Router::new().route(path, get(read))
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Reply {
    let sandbox = service.sandbox(&caller, &name).await?;
    Ok(Json(wire::sandbox(&sandbox)).into_response())
}
