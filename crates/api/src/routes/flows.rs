//! `/flows` (contract, 4.10).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use offtake_api_types::preview::FolderPreview;
use offtake_api_types::{Created, Flow};
use offtake_model::ErrorCode;
use offtake_service::{FlowAction, Listing, Service};

use crate::body::JsonBody;
use crate::document::bodies;
use crate::document::says::{header, query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{MODE, flow_service, if_match, needs, once, start};
use crate::search::Search;
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "flows";

pub(super) fn routes() -> Routes {
    let (all, one) = (flow_service("/flows"), flow_service("/flows/{id}"));
    Routes::default()
        .get(&all, needs::VIEW, list)
        .says(says("listFlows", "Lists flows, newest first").lists::<Flow>())
        .post(&all, needs::EXPORT, create)
        .says(
            says("createFlow", "Makes a flow")
                .note("It is enabled; a start in the past runs at once. A draft runs and is checked once published.")
                .with(&[MODE])
                .creates(bodies::NEW_FLOW)
                .fails(&OF_BODY)
                .fails(&[ErrorCode::StateNotAllowed]),
        )
        .post(&flow_service("/flows/search"), needs::VIEW, search)
        .says(says("searchFlows", "Lists flows, asked by a body").searches(bodies::SEARCH))
        .get(&one, needs::VIEW, read)
        .says(says("getFlow", "Reads a flow").reads::<Flow>())
        .patch(&one, needs::EXPORT, patch)
        .says(
            says("patchFlow", "Changes a flow")
                .note(
                    "Changes `/name`, `/description`, `/scheduleParams`, `/scheduleParams/<key>`, \
                     `/sourceConnectionIds` and `/targetConnectionIds`.",
                )
                .changes(bodies::PATCH)
                .fails(&OF_BODY),
        )
        .delete(&one, needs::EXPORT, delete)
        .says(
            says("deleteFlow", "Deletes a flow; its connections stay, what is under way is cancelled").deletes(),
        )
        .post(&format!("{one}/action"), needs::EXPORT, act)
        .says(
            says("actOnFlow", "Enables or disables a flow, or publishes a draft")
                .with(&[
                    query("op", "What to do, in either case.").words(&["enable", "disable", "publish"]).required(),
                    header("If-Match", "Only at this version."),
                ])
                .gives::<Created>(200, "Done.")
                .fails(&[ErrorCode::QueryParameterMissing, ErrorCode::ActionUnknown])
                .fails(&[ErrorCode::ActionFlowUnknown, ErrorCode::ActionNotAllowed])
                .fails(&[ErrorCode::VersionConflict])
                .fails(&OF_BODY),
        )
        .post("/offtake/v1/folder-previews", needs::VIEW, preview)
        .says(
            says("previewFolders", "Shows where the files of an occurrence go")
                .note("For a flow, or for what might be one: name a flow, or datasets.")
                .takes(bodies::FOLDER_PREVIEW)
                .gives::<FolderPreview>(200, "Folders, and what may not be expected.")
                .fails(&[ErrorCode::ResourceNotFound, ErrorCode::DatasetUnknown])
                .fails(&[ErrorCode::SpecNotValid, ErrorCode::ConnectionNotUsable]),
        )
}

/// What is refused of a flow that could not run.
const OF_BODY: [ErrorCode; 9] = [
    ErrorCode::QuotaExceeded,
    ErrorCode::SpecNotValid,
    ErrorCode::SpecVersionMissing,
    ErrorCode::ScheduleInvalid,
    ErrorCode::ConnectionNotUsable,
    ErrorCode::DestinationNotAvailable,
    ErrorCode::EncryptionNotAvailable,
    ErrorCode::DatasetUnknown,
    ErrorCode::FieldInvalid,
];

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let start = start(&query);
    Ok(reply::created(
        service
            .create_flow(&caller, once(&headers, &body), start)
            .await?,
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

/// Where a flow, or what might be one, puts its files. An extension.
async fn preview(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    JsonBody(body): JsonBody,
) -> Reply {
    let shown = service.preview_folders(&caller, &body).await?;
    Ok(Json(wire::preview::preview(shown)).into_response())
}
