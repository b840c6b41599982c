//! The catalogue's datasets (contract, 10.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, PRAGMA};
use http::{HeaderMap, StatusCode};
use offtake_api_types::{Batches, CatalogDatasets, DataFile};
use offtake_model::{ErrorCode, Fault};
use offtake_service::{
    BatchListQuery, Caller, Changed, DatasetEdit, DatasetQuery, Saving, Service,
};
use serde_json::Value;

use crate::CATALOG;
use crate::body::JsonBody;
use crate::document::bodies;
use crate::document::says::{Parameter, Says, header, query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::routes::{if_match, needs, once};
use crate::table::Routes;
use crate::wire;

pub(super) fn routes() -> Routes {
    of_datasets().merge(of_batches())
}

fn of_datasets() -> Routes {
    let all = format!("{CATALOG}/dataSets");
    let one = format!("{all}/{{id}}");
    let second = format!("{CATALOG}/v2/dataSets/{{id}}");
    Routes::default()
        .get(&all, needs::VIEW_DATASETS, list)
        .says(
            says("listDatasets", "Lists datasets, keyed by id")
                .note("Any other parameter named like a field is a filter, too.")
                .with(&PAGE)
                .with(&[
                    query("name", "Names, separated by commas; `*` for any text, a leading `!` for none of them."),
                    query("tags", "Pairs `key:value` that it must have, separated by commas."),
                    query("properties", "Fields to answer, separated by commas."),
                    query("createdAfter", "Epoch milliseconds."),
                    query("createdBefore", "Epoch milliseconds."),
                ])
                .filters()
                .gives::<BTreeMap<String, Value>>(200, "The datasets, whole or with the fields asked for.")
                .fails(&[ErrorCode::PageInvalid, ErrorCode::SortFieldInvalid]),
        )
        .post(&all, needs::MANAGE_DATASETS, create)
        .says(
            says("createDataset", "Registers a table of the lake, or makes a managed dataset")
                .with(&[VALIDATE_ONLY])
                .gives::<Vec<String>>(200, "It could be made: nothing, because nothing was.")
                .takes(bodies::NEW_DATASET)
                .once()
                .gives::<Vec<String>>(201, "`@/dataSets/<id>`.")
                .fails(&[ErrorCode::LocationNotAllowed])
                .fails(&OF_TABLE),
        )
        .get(&one, needs::VIEW_DATASETS, read)
        .says(
            says("getDataset", "Reads a dataset")
                .gives::<CatalogDatasets>(200, "The dataset, keyed by its id.")
                .fails(&[ErrorCode::ResourceNotFound]),
        )
        .put(&one, needs::MANAGE_DATASETS, replace)
        .says(edits("replaceDataset", "Replaces a dataset's fields").takes(bodies::NEW_DATASET))
        .patch(&one, needs::MANAGE_DATASETS, patch)
        .says(edits("patchDataset", "Changes a dataset").takes(bodies::DATASET_CHANGE))
        .delete(&one, needs::MANAGE_DATASETS, delete)
        .says(
            says("deleteDataset", "Deletes a dataset; its table stays where it is")
                .with(&[VALIDATE_ONLY])
                .gives::<Vec<String>>(200, "`@/dataSets/<id>`.")
                .fails(&[ErrorCode::ResourceNotFound]),
        )
        .patch(&second, needs::MANAGE_DATASETS, patch)
        .says(edits("patchDatasetV2", "Changes a dataset").takes(bodies::DATASET_CHANGE))
}

fn of_batches() -> Routes {
    let batches = format!("{CATALOG}/batches");
    Routes::default()
        .get(&batches, needs::VIEW_DATASETS, list_batches)
        .says(
            says("listBatches", "Lists batches, keyed by id")
                .with(&PAGE)
                .with(&[
                    query("dataSet", "Of this dataset."),
                    query("status", "In these states."),
                ])
                .with(&TIMES.map(|name| query(name, "Epoch milliseconds.")))
                .gives::<Batches>(200, "The batches.")
                .fails(&[ErrorCode::PageInvalid, ErrorCode::SortFieldInvalid])
                .fails(&[ErrorCode::FilterValueInvalid]),
        )
        .get(
            &format!("{batches}/{{id}}"),
            needs::VIEW_DATASETS,
            read_batch,
        )
        .says(
            says("getBatchOfCatalog", "Reads a batch")
                .gives::<Batches>(200, "The batch, keyed by its id.")
                .fails(&[ErrorCode::ResourceNotFound]),
        )
        .get(
            &format!("{CATALOG}/dataSets/{{id}}/views/{{view}}/files"),
            needs::VIEW_DATASETS,
            files_of_view,
        )
        .says(
            says(
                "listViewFiles",
                "Lists files that the newest batches of a dataset brought, by its view",
            )
            .gives::<BTreeMap<String, DataFile>>(200, "The files, keyed by id.")
            .fails(&[ErrorCode::ResourceNotFound])
            .fails(&OF_TABLE),
        )
        .get(
            &format!("{CATALOG}/dataSetFiles"),
            needs::VIEW_DATASETS,
            files,
        )
        .says(
            says(
                "listDatasetFiles",
                "Lists files that the newest batches of a dataset brought",
            )
            .with(&[query("dataSetId", "The dataset.").required()])
            .gives::<BTreeMap<String, DataFile>>(200, "The files, keyed by id.")
            .fails(&[
                ErrorCode::QueryParameterMissing,
                ErrorCode::ResourceNotFound,
            ])
            .fails(&OF_TABLE),
        )
}

/// What makes a request a question.
const VALIDATE_ONLY: Parameter = header(
    "Pragma",
    "`validate-only`: says whether the request is legal, and changes nothing.",
);

/// Parameters of offset pages.
const PAGE: [Parameter; 3] = [
    query("limit", "How many, 20 when absent.").number(1, 100),
    query("start", "Index of the first one.").number(0, u32::MAX),
    query("orderBy", "`asc:` or `desc:` and a field."),
];

/// Filters of batches by instants.
const TIMES: [&str; 6] = [
    "createdAfter",
    "createdBefore",
    "startAfter",
    "startBefore",
    "endAfter",
    "endBefore",
];

/// Why a table cannot be looked at.
const OF_TABLE: [ErrorCode; 7] = [
    ErrorCode::SourceNotFound,
    ErrorCode::SourceCorrupt,
    ErrorCode::SourceDenied,
    ErrorCode::SourceFeatureUnsupported,
    ErrorCode::SourceOutsideRoot,
    ErrorCode::SourceUnreachable,
    ErrorCode::SourceSchemaConflict,
];

fn edits(id: &'static str, summary: &'static str) -> Says {
    says(id, summary)
        .with(&[header("If-Match", "Only at this version."), VALIDATE_ONLY])
        .gives::<Vec<String>>(200, "`@/dataSets/<id>`.")
        .fails(&[ErrorCode::ResourceNotFound, ErrorCode::VersionConflict])
        .fails(&[
            ErrorCode::PatchOperationInvalid,
            ErrorCode::PatchPathInvalid,
        ])
}

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let made = service
        .create_dataset(&caller, once(&headers, &body), saving(&headers))
        .await?;
    let Some(Changed { id, .. }) = made else {
        return Ok(Json::<[String; 0]>([]).into_response());
    };
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
    let edit = (DatasetEdit::Replace, saving(&headers));
    let changed = service
        .edit_dataset(&caller, &id, if_match, edit, &body)
        .await?;
    Ok(named(&changed.id))
}

/// Whether the request is meant, or asks whether it would be legal.
fn saving(headers: &HeaderMap) -> Saving {
    let pragmas = headers.get_all(PRAGMA).iter();
    let mut words = pragmas
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    if words.any(|word| word.trim().eq_ignore_ascii_case("validate-only")) {
        Saving::CheckOnly
    } else {
        Saving::Save
    }
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
    let edit = (edit, saving(&headers));
    let changed = service
        .edit_dataset(&caller, &id, if_match, edit, &body)
        .await?;
    Ok(named(&changed.id))
}

async fn delete(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    service
        .delete_dataset(&caller, &id, saving(&headers))
        .await?;
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
        times: TIMES.map(|name| query.owned(name)),
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
    keyed_files(&service, &caller, dataset).await
}

/// A dataset has one view, by the dataset's own id.
async fn files_of_view(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path((id, view)): Path<(String, String)>,
) -> Reply {
    if view != id {
        service.dataset(&caller, &id).await?;
        return Err(Refusal::new(
            ErrorCode::ResourceNotFound,
            format!("views not found with id = [{view}]"),
        ));
    }
    keyed_files(&service, &caller, &id).await
}

async fn keyed_files(service: &Service, caller: &Caller, dataset: &str) -> Reply {
    let files = service.dataset_files(caller, dataset).await?;
    let keyed: BTreeMap<String, _> = files
        .into_iter()
        .map(|view| (view.id.clone(), wire::batch::file(view)))
        .collect();
    Ok(Json(keyed).into_response())
}
