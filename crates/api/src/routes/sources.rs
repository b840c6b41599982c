//! `/sourceConnections` (contract, 4.8).

use std::sync::Arc;

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use offtake_api_types::SourceConnection;
use offtake_model::{ErrorCode, ResourceKind};
use offtake_service::{Listing, Service};

use crate::body::JsonBody;
use crate::document::bodies;
use crate::document::says::says;
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{MODE, act_on, flow_service, if_match, needs, once, says_publish, start};
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "sourceConnections";

pub(super) fn routes() -> Routes {
    let (all, one) = (
        flow_service("/sourceConnections"),
        flow_service("/sourceConnections/{id}"),
    );
    Routes::default()
        .get(&all, needs::VIEW, list)
        .says(
            says(
                "listSourceConnections",
                "Lists source connections, newest first",
            )
            .lists::<SourceConnection>(),
        )
        .post(&all, needs::EXPORT, create)
        .says(
            says("createSourceConnection", "Names the datasets to export")
                .note("The datasets of a draft need not exist until it is published.")
                .with(&[MODE])
                .creates(bodies::NEW_SOURCE)
                .fails(&[ErrorCode::SpecNotValid, ErrorCode::SpecVersionMissing])
                .fails(&[ErrorCode::DatasetUnknown, ErrorCode::EncryptionNotAvailable]),
        )
        .get(&one, needs::VIEW, read)
        .says(says("getSourceConnection", "Reads a source connection").reads::<SourceConnection>())
        .patch(&one, needs::EXPORT, patch)
        .says(
            says("patchSourceConnection", "Changes a source connection")
                .note("Changes `/name` and `/description`; the datasets stay, but for a draft: `/params`, `/params/datasets`.")
                .changes(bodies::PATCH),
        )
        .post(&format!("{one}/action"), needs::EXPORT, act)
        .says(
            says_publish(
                "actOnSourceConnection",
                "Publishes the draft of a source connection",
            )
            .fails(&[ErrorCode::DatasetUnknown]),
        )
        .delete(&one, needs::EXPORT, delete)
        .says(
            says(
                "deleteSourceConnection",
                "Deletes a source connection that no flow uses",
            )
            .deletes()
            .fails(&[ErrorCode::ResourceInUse]),
        )
}

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    Ok(reply::created(
        service
            .create_source(&caller, once(&headers, &body), start(&query))
            .await?,
    ))
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let view = service.source(&caller, &id).await?;
    Ok(reply::one(
        wire::connection::source(&caller, &view),
        view.etag(),
    ))
}

async fn act(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
    headers: HeaderMap,
) -> Reply {
    let kind = ResourceKind::Source;
    act_on(&service, &caller, kind, &id, (&query, &headers)).await
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let listing = Listing::parse(COLLECTION, &query.list())?;
    let listed = service
        .list_sources(&caller, &listing, |view| {
            wire::connection::source(&caller, view)
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
        .patch_source(&caller, &id, if_match(&headers), &body)
        .await?;
    Ok(reply::changed(changed))
}

async fn delete(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    service.delete_source(&caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}
