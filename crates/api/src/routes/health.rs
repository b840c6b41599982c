//! Whether the process lives, and whether it can work.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use offtake_service::Service;
use serde_json::json;

use crate::reply::Reply;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
}

async fn live() -> Reply {
    Ok(Json(json!({"status": "live"})).into_response())
}

async fn ready(State(service): State<Arc<Service>>) -> Reply {
    service.ready().await?;
    Ok(Json(json!({"status": "ready"})).into_response())
}
