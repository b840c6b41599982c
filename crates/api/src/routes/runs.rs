//! `/runs` (contract, 4.11 and 8).

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::HeaderMap;
use offtake_model::ErrorCode;
use offtake_service::{Listing, Service};

use crate::body::JsonBody;
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::flow_service;
use crate::wire;

const COLLECTION: &str = "runs";

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route(&flow_service("/runs"), get(list).post(start))
        .route(&flow_service("/runs/{id}"), get(read).put(refuse))
}

async fn start(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let key = headers.get("idempotency-key");
    let key = key.map(|value| value.to_str().unwrap_or_default());
    Ok(reply::created(
        service.start_run(&caller, &body, key).await?,
    ))
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let details = service.run(&caller, &id).await?;
    Ok(reply::one(wire::run::run(&caller, &details), &details.etag))
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let listing = Listing::parse(COLLECTION, &query.list())?;
    let listed = service
        .list_runs(&caller, &listing, |run| wire::run::run(&caller, run))
        .await?;
    Ok(reply::listed(COLLECTION, listed))
}

/// Runs are written by the service alone (contract, 3.1: 1427).
async fn refuse() -> Refusal {
    Refusal::new(
        ErrorCode::RunReadOnly,
        "runs cannot be changed; POST /runs starts one",
    )
}
