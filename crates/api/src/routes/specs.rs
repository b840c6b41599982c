//! `/connectionSpecs` and `/flowSpecs`: read-only (contract, 4.5 and 4.6).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use offtake_api_types::ConfigsPage;
use offtake_api_types::trial::ExploredObject;
use offtake_model::ErrorCode;
use offtake_service::{ConfigsQuery, Service};
use serde_json::Value;

use crate::document::says::{Says, query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::connections::explore_query;
use crate::routes::{flow_service, needs};
use crate::table::Routes;
use crate::wire;

const REFUSED: &str = "Refused: specs are part of offtake";

pub(super) fn routes() -> Routes {
    of_connections().merge(of_exports()).merge(of_flows())
}

fn refused(id: &'static str) -> Says {
    says(id, REFUSED).fails(&[ErrorCode::SpecReadOnly])
}

fn of_connections() -> Routes {
    let all = flow_service("/connectionSpecs");
    let one = flow_service("/connectionSpecs/{id}");
    Routes::default()
        .get(&all, needs::VIEW, connection_specs)
        .says(
            says("listConnectionSpecs", "Lists the connection specs")
                .filters()
                .gives_specs(),
        )
        .post(&all, needs::MANAGE, read_only)
        .says(refused("createConnectionSpec"))
        .get(&one, needs::VIEW, connection_spec)
        .says(says("getConnectionSpec", "Reads a connection spec").reads::<Value>())
        .put(&one, needs::MANAGE, read_only)
        .says(refused("replaceConnectionSpec"))
}

/// What can be exported, and where it may go.
fn of_exports() -> Routes {
    let connection = flow_service("/connectionSpecs/{id}");
    Routes::default()
        .get(
            &format!("{connection}/configs"),
            needs::VIEW_DATASETS,
            configs,
        )
        .says(
            says(
                "listExportableDatasets",
                "Lists the datasets that can be exported",
            )
            .with(&[
                query("outputType", "What is asked for.")
                    .words(&["activationDatasets"])
                    .required(),
                query("outputField", "What is asked for.")
                    .words(&["datasets"])
                    .required(),
                query("start", "Index of the first one.").number(0, u32::MAX),
                query("limit", "How many, 20 when absent.").number(1, 100),
            ])
            .gives::<ConfigsPage>(200, "A page of datasets.")
            .fails(&[ErrorCode::QueryParameterMissing, ErrorCode::PageInvalid])
            .fails(&[ErrorCode::ResourceNotFound]),
        )
        .get(
            &format!("{connection}/explore"),
            needs::CONNECT,
            explore_zone,
        )
        .says(
            says(
                "exploreSpec",
                "Names what lies in a folder of the landing zone",
            )
            .with(&[
                query("objectType", "Where to look; in any case.")
                    .words(&["ROOT", "FOLDER"])
                    .required(),
                query("object", "Path of the folder."),
            ])
            .gives::<Vec<ExploredObject>>(200, "Folders and files, at most 1,000.")
            .fails(&[ErrorCode::ResourceNotFound, ErrorCode::FieldInvalid])
            .fails(&super::connections::OF_LOOKING),
        )
}

fn of_flows() -> Routes {
    let all = flow_service("/flowSpecs");
    let one = flow_service("/flowSpecs/{id}");
    Routes::default()
        .get(&all, needs::VIEW, flow_specs)
        .says(
            says("listFlowSpecs", "Lists the flow specs")
                .filters()
                .gives_specs(),
        )
        .post(&all, needs::MANAGE, read_only)
        .says(refused("createFlowSpec"))
        .get(&one, needs::VIEW, flow_spec)
        .says(says("getFlowSpec", "Reads a flow spec").reads::<Value>())
        .put(&one, needs::MANAGE, read_only)
        .says(refused("replaceFlowSpec"))
}

async fn connection_specs(State(service): State<Arc<Service>>, query: Pairs) -> Reply {
    Ok(reply::items(
        service.connection_specs(&query.all("property"))?,
    ))
}

async fn connection_spec(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Reply {
    Ok(reply::items(vec![service.connection_spec(&id)?]))
}

async fn flow_specs(State(service): State<Arc<Service>>, query: Pairs) -> Reply {
    Ok(reply::items(service.flow_specs(&query.all("property"))?))
}

async fn flow_spec(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Reply {
    Ok(reply::items(vec![service.flow_spec(&id)?]))
}

async fn configs(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
) -> Reply {
    let asked = ConfigsQuery {
        output_type: query.owned("outputType"),
        output_field: query.owned("outputField"),
        start: query.owned("start"),
        limit: query.owned("limit"),
    };
    let page = service.exportable_datasets(&caller, &id, &asked).await?;
    Ok(Json(wire::dataset::configs(&caller, page)).into_response())
}

async fn explore_zone(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
) -> Reply {
    let found = service
        .explore_zone(&caller, &id, &explore_query(&query))
        .await?;
    Ok(Json(wire::connection::explored(found)).into_response())
}

async fn read_only() -> Refusal {
    Refusal::new(
        ErrorCode::SpecReadOnly,
        "specs cannot be created or changed",
    )
}
