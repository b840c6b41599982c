//! `/flows` (contract, 4.10).

use std::sync::Arc;

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use offtake_service::{FlowAction, FlowStart, Listing, Service};

use crate::body::JsonBody;
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{flow_service, if_match, needs};
use crate::search::Search;
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "flows";

pub(super) fn routes() -> Routes {
    let (all, one) = (flow_service("/flows"), flow_service("/flows/{id}"));
    Routes::default()
        .get(&all, needs::VIEW, list)
        .post(&all, needs::EXPORT, create)
        .post(&flow_service("/flows/search"), needs::VIEW, search)
        .get(&one, needs::VIEW, read)
        .patch(&one, needs::EXPORT, patch)
        .delete(&one, needs::EXPORT, delete)
        .post(&format!("{one}/action"), needs::EXPORT, act)
}

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
    JsonBody(body): JsonBody,
) -> Reply {
    let start = start(&query);
    Ok(reply::created(
        service.create_flow(&caller, &body, start).await?,
    ))
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let view = service.flow(&caller, &id).await?;
    Ok(reply::one(wire::flow::flow(&caller, &view), view.etag()))
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let listing = Listing::parse(COLLECTION, &query.list())?;
    let listed = service
        .list_flows(&caller, &listing, |view| wire::flow::flow(&caller, view))
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
        .list_flows(&caller, &listing, |view| wire::flow::flow(&caller, view))
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
        .patch_flow(&caller, &id, if_match(&headers), &body)
        .await?;
    Ok(reply::changed(changed))
}

async fn delete(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    service.delete_flow(&caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn act(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
    headers: HeaderMap,
) -> Reply {
    let action = FlowAction::parse(query.first("op"))?;
    let changed = service
        .act_on_flow(&caller, &id, action, if_match(&headers))
        .await?;
    Ok(reply::changed(changed))
}

/// `mode=draft` makes a draft; whatever else `mode` says is ignored.
fn start(query: &Pairs) -> FlowStart {
    let modes = query.all("mode");
    if modes.iter().any(|mode| mode.eq_ignore_ascii_case("draft")) {
        FlowStart::Draft
    } else {
        FlowStart::Enabled
    }
}
