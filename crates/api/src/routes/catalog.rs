//! The catalogue's datasets (contract, 10.1).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::LOCATION;
use offtake_service::{DatasetQuery, Service};

use crate::CATALOG;
use crate::body::JsonBody;
use crate::gate::Who;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::routes::needs;
use crate::table::Routes;
use crate::wire;

pub(super) fn routes() -> Routes {
    let (all, one) = (
        format!("{CATALOG}/dataSets"),
        format!("{CATALOG}/dataSets/{{id}}"),
    );
    Routes::default()
        .get(&all, needs::VIEW_DATASETS, list)
        .post(&all, needs::MANAGE_DATASETS, create)
        .get(&one, needs::VIEW_DATASETS, read)
}

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    JsonBody(body): JsonBody,
) -> Reply {
    let id = service.create_dataset(&caller, &body).await?.id;
    let location = [(LOCATION, format!("{CATALOG}/dataSets/{id}"))];
    let body = Json([format!("@/dataSets/{id}")]);
    Ok((StatusCode::CREATED, location, body).into_response())
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let view = service.dataset(&caller, &id).await?;
    Ok(Json(wire::dataset::keyed(&caller, vec![view])).into_response())
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let asked = DatasetQuery {
        start: query.owned("start"),
        limit: query.owned("limit"),
        name: query.owned("name"),
        order_by: query.owned("orderBy"),
    };
    let page = service.datasets(&caller, &asked).await?;
    let keyed = wire::dataset::keyed(&caller, page.items);
    let answer = wire::dataset::projected(keyed, query.first("properties"));
    Ok(Json(answer).into_response())
}
