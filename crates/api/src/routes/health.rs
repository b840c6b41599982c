//! Whether the process lives, and whether it can work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use offtake_service::Service;
use serde_json::json;

use crate::reply::Reply;
use crate::table::{Needs, Routes};

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/health/live", Needs::Nothing, live)
        .get("/health/ready", Needs::Nothing, ready)
}

async fn live() -> Reply {
    Ok(Json(json!({"status": "live"})).into_response())
}

async fn ready(State(service): State<Arc<Service>>) -> Reply {
    service.ready().await?;
    Ok(Json(json!({"status": "ready"})).into_response())
}
