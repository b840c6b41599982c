//! Whether the process lives, whether it can work, and what it has done.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use http::header::CONTENT_TYPE;
use offtake_model::ErrorCode;
use offtake_service::Service;
use serde_json::{Value, json};

use crate::document::says::says;
use crate::problem::Refusal;
use crate::reply::Reply;
use crate::router::RenderMetrics;
use crate::routes::recovery;
use crate::table::{Needs, Routes};

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/health/live", Needs::Nothing, live)
        .says(says("isLive", "Whether the process lives").gives::<Value>(200, "It does."))
        .get("/health/ready", Needs::Nothing, ready)
        .says(says("isReady", "Whether it can work").gives::<Value>(200, "It can."))
        .get("/metrics", Needs::Nothing, metrics)
        .says(
            says("readMetrics", "What was counted, for Prometheus")
                .gives_bytes(200, "Counters and histograms.", "text/plain")
                .fails(&[ErrorCode::RouteNotFound]),
        )
}

async fn live() -> Reply {
    Ok(Json(json!({"status": "live"})).into_response())
}

async fn ready(State(service): State<Arc<Service>>) -> Reply {
    service.ready().await?;
    // A restored store is ready: it answers, and must be reached to be reconciled.
    let held = service.held_count().await?;
    recovery::show(held);
    if held > 0 {
        let body = json!({"status": "ready", "needsReconcile": true, "heldFlows": held});
        return Ok(Json(body).into_response());
    }
    Ok(Json(json!({"status": "ready"})).into_response())
}

/// Counters without any tenant's name, in the text form of Prometheus.
async fn metrics(
    State(service): State<Arc<Service>>,
    render: Option<Extension<RenderMetrics>>,
) -> Reply {
    let Some(Extension(render)) = render else {
        return Err(Refusal::new(
            ErrorCode::RouteNotFound,
            "this process counts nothing",
        ));
    };
    if let Ok(held) = service.held_count().await {
        recovery::show(held);
    }
    let form = (CONTENT_TYPE, "text/plain; version=0.0.4");
    Ok(([form], render()).into_response())
}
