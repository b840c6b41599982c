//! `/connections` (contract, 4.7).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use offtake_service::{Listing, Service};

use crate::body::JsonBody;
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{flow_service, if_match, needs};
use crate::search::Search;
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "connections";

pub(super) fn routes() -> Routes {
    let (all, one) = (
        flow_service("/connections"),
        flow_service("/connections/{id}"),
    );
    Routes::default()
        .get(&all, needs::VIEW, list)
        .post(&all, needs::CONNECT, create)
        .post(&flow_service("/connections/search"), needs::VIEW, search)
        .get(&one, needs::VIEW, read)
        // It writes at the destination, so that looking is not enough.
        .get(
            &flow_service("/connections/{id}/test"),
            needs::CONNECT,
            test,
        )
        .patch(&one, needs::MANAGE, patch)
        .delete(&one, needs::MANAGE, delete)
}

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    JsonBody(body): JsonBody,
) -> Reply {
    Ok(reply::created(
        service.create_connection(&caller, &body).await?,
    ))
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let view = service.connection(&caller, &id).await?;
    Ok(reply::one(
        wire::connection::connection(&caller, &view),
        view.etag(),
    ))
}

async fn test(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
) -> Reply {
    let container = query
        .owned("bucketName")
        .or_else(|| query.owned("container"));
    let trial = service.try_connection(&caller, &id, container).await?;
    Ok(Json(wire::connection::test(trial)).into_response())
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let listing = Listing::parse(COLLECTION, &query.list())?;
    let listed = service
        .list_connections(&caller, &listing, |view| {
            wire::connection::connection(&caller, view)
        })
        .await?;
    Ok(reply::listed(COLLECTION, listed))
}

async fn search(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
    JsonBody(body): JsonBody,
) -> Reply {
    let search = Search::parse(&body, &query)?;
    let listing = Listing::parse(COLLECTION, &search.params)?;
    let listed = service
        .list_connections(&caller, &listing, |view| {
            wire::connection::connection(&caller, view)
        })
        .await?;
    Ok(reply::listed(COLLECTION, search.project(listed)?))
}

async fn patch(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let changed = service
        .patch_connection(&caller, &id, if_match(&headers), &body)
        .await?;
    Ok(reply::changed(changed))
}

async fn delete(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    service.delete_connection(&caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}
