//! `/runs` (contract, 4.11 and 8).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::HeaderMap;
use http::header::HOST;
use offtake_api_types::adhoc::AdhocAnswer;
use offtake_api_types::{Created, Run};
use offtake_model::ErrorCode;
use offtake_service::{Listing, RunAction, Service};

use crate::body::JsonBody;
use crate::document::bodies;
use crate::document::says::{IDEMPOTENCY_KEY, query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{flow_service, needs};
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "runs";

pub(super) fn routes() -> Routes {
    let (all, one) = (flow_service("/runs"), flow_service("/runs/{id}"));
    Routes::default()
        .get(&all, needs::VIEW, list)
        .says(says("listRuns", "Lists runs, newest first").lists::<Run>())
        .post(&all, needs::EXPORT, start)
        .says(
            says("createRun", "Runs a flow now")
                .creates(bodies::NEW_RUN)
                .fails(&[ErrorCode::FlowUnknown, ErrorCode::ReplayUnknown])
                .fails(&NOT_RUNNABLE),
        )
        .get(&one, needs::VIEW, read)
        .says(says("getRun", "Reads a run with its metrics").reads::<Run>())
        .put(&one, needs::EXPORT, refuse)
        .says(
            says("replaceRun", "Refused: runs are written by offtake alone")
                .fails(&[ErrorCode::RunReadOnly]),
        )
        .post(&format!("{one}/action"), needs::EXPORT, act)
        .says(
            says(
                "actOnRun",
                "Runs a failed run again for the datasets that it left undone, or settles quarantined deliveries",
            )
            .with(&[
                query("op", "What to do, in either case.")
                    .words(&["RE_TRIGGER", "RESOLVE_RETRY", "RESOLVE_GIVE_UP"])
                    .required(),
                query("dataSetId", "Settles only the delivery of this dataset."),
                IDEMPOTENCY_KEY,
            ])
            .gives::<Created>(200, "The new run, or the settled one.")
            .fails(&[ErrorCode::QueryParameterMissing, ErrorCode::ActionUnknown])
            .fails(&[ErrorCode::ResourceNotFound, ErrorCode::RunActionNotAllowed])
            .fails(&[ErrorCode::FieldInvalid, ErrorCode::FlowUnknown])
            .fails(&NOT_RUNNABLE),
        )
        .post(
            "/data/core/activation/disflowprovider/adhocrun",
            needs::EXPORT,
            on_demand,
        )
        .says(
            says(
                "exportOnDemand",
                "Exports the named datasets of flows now, without moving their positions",
            )
            .with(&[IDEMPOTENCY_KEY])
            .takes(bodies::ADHOC)
            .gives::<AdhocAnswer>(200, "Where each export can be watched.")
            .fails(&[ErrorCode::ResourceNotFound, ErrorCode::DatasetNotInFlow])
            .fails(&[ErrorCode::RunActive, ErrorCode::MediaTypeNotDataset])
            .fails(&NOT_RUNNABLE),
        )
}

/// Why a flow may not run now.
const NOT_RUNNABLE: [ErrorCode; 4] = [
    ErrorCode::FlowStateInvalid,
    ErrorCode::ConnectionNotUsable,
    ErrorCode::DestinationNotAvailable,
    ErrorCode::DatasetUnknown,
];

async fn start(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let key = idempotency_key(&headers);
    Ok(reply::created(
        service.start_run(&caller, &body, key).await?,
    ))
}

async fn act(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
    headers: HeaderMap,
) -> Reply {
    let action = RunAction::parse(query.first("op"))?;
    let key = idempotency_key(&headers);
    let dataset = query.first("dataSetId");
    let changed = service
        .act_on_run(&caller, &id, action, dataset, key)
        .await?;
    Ok(reply::changed(changed))
}

/// Exports on demand (contract, 9). The answer's addresses are those under which the client reached the service.
async fn on_demand(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let key = idempotency_key(&headers);
    let started = service.export_on_demand(&caller, &body, key).await?;
    Ok(Json(wire::run::on_demand(&origin(&headers), &started)).into_response())
}

/// Scheme and host as the client wrote them; nothing when it wrote no host.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        Some(_) | None => "http",
    };
    text(HOST.as_str()).map_or_else(String::new, |host| format!("{scheme}://{host}"))
}

fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("idempotency-key");
    key.map(|value| value.to_str().unwrap_or_default())
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
