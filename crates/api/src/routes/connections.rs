//! `/connections` (contract, 4.7).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use offtake_api_types::trial::ExploredObject;
use offtake_api_types::{Connection, ConnectionTest};
use offtake_model::{ErrorCode, ResourceKind};
use offtake_service::{ExploreQuery, Listing, Service};

use crate::body::JsonBody;
use crate::document::bodies;
use crate::document::says::{query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{MODE, act_on, flow_service, if_match, needs, once, says_publish, start};
use crate::search::Search;
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "connections";

pub(super) fn routes() -> Routes {
    of_connections().merge(of_destinations())
}

fn of_connections() -> Routes {
    let (all, one) = (
        flow_service("/connections"),
        flow_service("/connections/{id}"),
    );
    Routes::default()
        .get(&all, needs::VIEW, list)
        .says(says("listConnections", "Lists base connections, newest first").lists::<Connection>())
        .post(&all, needs::CONNECT, create)
        .says(
            says("createConnection", "Makes a base connection")
                .note("Secret parameters are sealed and never shown again. A draft may lack its credentials.")
                .with(&[MODE])
                .creates(bodies::NEW_CONNECTION)
                .fails(&OF_BODY),
        )
        .post(&flow_service("/connections/search"), needs::VIEW, search)
        .says(says("searchConnections", "Lists base connections, asked by a body").searches(bodies::SEARCH))
        .get(&one, needs::VIEW, read)
        .says(says("getConnection", "Reads a base connection").reads::<Connection>())
        .patch(&one, needs::MANAGE, patch)
        .says(
            says("patchConnection", "Changes a base connection")
                .note(
                    "Changes `/name`, `/description`, `/auth/params`, `/auth/params/<key>`, and `/auth` of a draft; \
                     `****` keeps a secret.",
                )
                .changes(bodies::PATCH)
                .fails(&OF_BODY)
                .fails(&[ErrorCode::ConnectionSpecFixed]),
        )
        .post(&format!("{one}/action"), needs::MANAGE, act)
        .says(
            says_publish(
                "actOnConnection",
                "Publishes the draft of a base connection",
            )
            .fails(&[ErrorCode::FieldInvalid]),
        )
        .delete(&one, needs::MANAGE, delete)
        .says(
            says("deleteConnection", "Deletes a base connection that no flow uses")
                .deletes()
                .fails(&[ErrorCode::ConnectionInUse]),
        )
}

/// What asks the destination itself.
fn of_destinations() -> Routes {
    Routes::default()
        // It writes at the destination, so that looking is not enough.
        .get(
            &flow_service("/connections/{id}/test"),
            needs::CONNECT,
            test,
        )
        .says(
            says("testConnection", "Tries a base connection out")
                .note("Writes, publishes and removes a file in a scratch folder.")
                .with(&[
                    query(
                        "bucketName",
                        "The bucket to try; by default those that target connections name.",
                    ),
                    query("container", "The container to try."),
                ])
                .gives::<ConnectionTest>(200, "Whether it works, and what failed.")
                .fails(&[ErrorCode::ResourceNotFound, ErrorCode::FieldInvalid])
                .fails(&[
                    ErrorCode::DestinationNotAvailable,
                    ErrorCode::QueryParameterMissing,
                ]),
        )
        // It shows names of others' files, so that looking at connections is not enough.
        .get(
            &flow_service("/connections/{id}/explore"),
            needs::CONNECT,
            explore,
        )
        .says(
            says(
                "exploreConnection",
                "Names what lies in a folder of the destination",
            )
            .with(&[
                query("objectType", "Where to look; in any case.")
                    .words(&["ROOT", "FOLDER"])
                    .required(),
                query("object", "Path of the folder."),
            ])
            .gives::<Vec<ExploredObject>>(200, "Folders and files, at most 1,000.")
            .fails(&[ErrorCode::ResourceNotFound, ErrorCode::FieldInvalid])
            .fails(&OF_LOOKING),
        )
}

/// Why a destination does not say what lies there.
pub(super) const OF_LOOKING: [ErrorCode; 12] = [
    ErrorCode::ConnectionNotUsable,
    ErrorCode::ConnectionStringInvalid,
    ErrorCode::DestinationBucketMissing,
    ErrorCode::DestinationBusy,
    ErrorCode::DestinationDenied,
    ErrorCode::DestinationKeysExpired,
    ErrorCode::DestinationKeysInvalid,
    ErrorCode::DestinationProtocol,
    ErrorCode::DestinationUnreachable,
    ErrorCode::HostKeyUnknown,
    ErrorCode::NetworkRefused,
    ErrorCode::TlsNotTrusted,
];

/// What is refused of a connection's body.
const OF_BODY: [ErrorCode; 5] = [
    ErrorCode::ConnectionStringInvalid,
    ErrorCode::SpecNotValid,
    ErrorCode::SpecVersionMissing,
    ErrorCode::AuthSpecUnknown,
    ErrorCode::EncryptionNotAvailable,
];

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    Ok(reply::created(
        service
            .create_connection(&caller, once(&headers, &body), start(&query))
            .await?,
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

async fn explore(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
) -> Reply {
    let asked = explore_query(&query);
    let found = service.explore_connection(&caller, &id, &asked).await?;
    Ok(Json(wire::connection::explored(found)).into_response())
}

/// What is to be looked into.
pub(super) fn explore_query(query: &Pairs) -> ExploreQuery<'_> {
    ExploreQuery {
        object_type: query.first("objectType"),
        object: query.first("object"),
    }
}

async fn act(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
    headers: HeaderMap,
) -> Reply {
    let kind = ResourceKind::Connection;
    act_on(&service, &caller, kind, &id, (&query, &headers)).await
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
