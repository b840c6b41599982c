//! `/connectionSpecs` and `/flowSpecs`: read-only (contract, 4.5 and 4.6).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use offtake_model::ErrorCode;
use offtake_service::{ConfigsQuery, Service};

use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{flow_service, needs};
use crate::table::Routes;
use crate::wire;

pub(super) fn routes() -> Routes {
    let (connections, connection) = (
        flow_service("/connectionSpecs"),
        flow_service("/connectionSpecs/{id}"),
    );
    let (flows, flow) = (flow_service("/flowSpecs"), flow_service("/flowSpecs/{id}"));
    Routes::default()
        .get(&connections, needs::VIEW, connection_specs)
        .post(&connections, needs::MANAGE, read_only)
        .get(&connection, needs::VIEW, connection_spec)
        .put(&connection, needs::MANAGE, read_only)
        .get(
            &format!("{connection}/configs"),
            needs::VIEW_DATASETS,
            configs,
        )
        .get(&flows, needs::VIEW, flow_specs)
        .post(&flows, needs::MANAGE, read_only)
        .get(&flow, needs::VIEW, flow_spec)
        .put(&flow, needs::MANAGE, read_only)
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

async fn read_only() -> Refusal {
    Refusal::new(
        ErrorCode::SpecReadOnly,
        "specs cannot be created or changed",
    )
}
