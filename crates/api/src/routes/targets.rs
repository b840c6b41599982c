//! `/targetConnections` (contract, 4.9).

use std::sync::Arc;

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use offtake_service::{Listing, Service};

use crate::body::JsonBody;
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{flow_service, if_match, needs};
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "targetConnections";

pub(super) fn routes() -> Routes {
    let (all, one) = (
        flow_service("/targetConnections"),
        flow_service("/targetConnections/{id}"),
    );
    Routes::default()
        .get(&all, needs::VIEW, list)
        .post(&all, needs::EXPORT, create)
        .get(&one, needs::VIEW, read)
        .patch(&one, needs::EXPORT, patch)
        .delete(&one, needs::EXPORT, delete)
}

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    JsonBody(body): JsonBody,
) -> Reply {
    Ok(reply::created(service.create_target(&caller, &body).await?))
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let view = service.target(&caller, &id).await?;
    Ok(reply::one(
        wire::connection::target(&caller, &view),
        view.etag(),
    ))
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let listing = Listing::parse(COLLECTION, &query.list())?;
    let listed = service
        .list_targets(&caller, &listing, |view| {
            wire::connection::target(&caller, view)
        })
        .await?;
    Ok(reply::listed(COLLECTION, listed))
}

async fn patch(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let changed = service
        .patch_target(&caller, &id, if_match(&headers), &body)
        .await?;
    Ok(reply::changed(changed))
}

async fn delete(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    service.delete_target(&caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}
