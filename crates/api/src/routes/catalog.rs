//! The catalogue's datasets (contract, 10.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use offtake_model::{ErrorCode, Fault};
use offtake_service::{BatchListQuery, DatasetEdit, DatasetQuery, Service};

use crate::CATALOG;
use crate::body::JsonBody;
use crate::gate::Who;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::routes::{if_match, needs};
use crate::table::Routes;
use crate::wire;

pub(super) fn routes() -> Routes {
    let all = format!("{CATALOG}/dataSets");
    let one = format!("{all}/{{id}}");
    let second = format!("{CATALOG}/v2/dataSets/{{id}}");
    Routes::default()
        .get(&all, needs::VIEW_DATASETS, list)
        .post(&all, needs::MANAGE_DATASETS, create)
        .get(&one, needs::VIEW_DATASETS, read)
        .put(&one, needs::MANAGE_DATASETS, replace)
        .patch(&one, needs::MANAGE_DATASETS, patch)
        .delete(&one, needs::MANAGE_DATASETS, delete)
        .patch(&second, needs::MANAGE_DATASETS, patch)
        .get(
            &format!("{CATALOG}/batches"),
            needs::VIEW_DATASETS,
            list_batches,
        )
        .get(
            &format!("{CATALOG}/batches/{{id}}"),
            needs::VIEW_DATASETS,
            read_batch,
        )
        .get(
            &format!("{CATALOG}/dataSetFiles"),
            needs::VIEW_DATASETS,
            files,
        )
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

async fn replace(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let if_match = if_match(&headers);
    let edit = DatasetEdit::Replace;
    let changed = service
        .edit_dataset(&caller, &id, if_match, edit, &body)
        .await?;
    Ok(named(&changed.id))
}

/// A list is one of operations, whatever its content type says; an object is merged.
async fn patch(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let edit = if body.is_array() {
        DatasetEdit::Patch
    } else {
        DatasetEdit::Merge
    };
    let if_match = if_match(&headers);
    let changed = service
        .edit_dataset(&caller, &id, if_match, edit, &body)
        .await?;
    Ok(named(&changed.id))
}

async fn delete(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    service.delete_dataset(&caller, &id).await?;
    Ok(named(&id))
}

/// The documented answer to changes.
fn named(id: &str) -> Response {
    Json([format!("@/dataSets/{id}")]).into_response()
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let asked = DatasetQuery {
        start: query.owned("start"),
        limit: query.owned("limit"),
        name: query.owned("name"),
        order_by: query.owned("orderBy"),
        tags: query.owned("tags"),
        created_after: query.owned("createdAfter"),
        created_before: query.owned("createdBefore"),
        properties: query.all("property"),
        others: query.pairs().to_vec(),
    };
    let page = service.datasets(&caller, &asked).await?;
    let keyed = wire::dataset::keyed(&caller, page.items);
    let answer = wire::dataset::projected(keyed, query.first("properties"));
    Ok(Json(answer).into_response())
}

async fn list_batches(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
) -> Reply {
    let asked = BatchListQuery {
        limit: query.owned("limit"),
        start: query.owned("start"),
        dataset: query.owned("dataSet").or_else(|| query.owned("dataset")),
        status: query.owned("status"),
        order_by: query.owned("orderBy"),
        times: [
            "createdAfter",
            "createdBefore",
            "startAfter",
            "startBefore",
            "endAfter",
            "endBefore",
        ]
        .map(|name| query.owned(name)),
    };
    let page = service.list_batches(&caller, &asked).await?;
    Ok(Json(wire::batch::keyed(page.items)).into_response())
}

async fn read_batch(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let batch = service.batch(&caller, &id).await?;
    Ok(Json(wire::batch::keyed(vec![batch])).into_response())
}

async fn files(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let dataset = query.first("dataSetId").ok_or_else(|| {
        Fault::new(
            ErrorCode::QueryParameterMissing,
            "query parameter dataSetId must name a dataset",
        )
    })?;
    let files = service.dataset_files(&caller, dataset).await?;
    let keyed: BTreeMap<String, _> = files
        .into_iter()
        .map(|view| (view.id.clone(), wire::batch::file(view)))
        .collect();
    Ok(Json(keyed).into_response())
}
