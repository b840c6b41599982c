//! Sandboxes, read-only (contract, 10.5).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use offtake_service::Service;

use crate::gate::Who;
use crate::reply::Reply;
use crate::routes::needs;
use crate::table::Routes;
use crate::wire;

pub(super) fn routes() -> Routes {
    let path = "/data/foundation/sandbox-management/sandboxes/{name}";
    Routes::default().get(path, needs::VIEW_SANDBOXES, read)
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Reply {
    let sandbox = service.sandbox(&caller, &name).await?;
    Ok(Json(wire::sandbox(&sandbox)).into_response())
}
