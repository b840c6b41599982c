//! `/targetConnections` (contract, 4.9).

use std::sync::Arc;

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use offtake_api_types::TargetConnection;
use offtake_model::{ErrorCode, ResourceKind};
use offtake_service::{Listing, Proof, Service};

use crate::body::JsonBody;
use crate::document::bodies;
use crate::document::says::{query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::{MODE, act_on, flow_service, if_match, needs, once, says_publish, start};
use crate::table::Routes;
use crate::wire;

const COLLECTION: &str = "targetConnections";

pub(super) fn routes() -> Routes {
    let (all, one) = (
        flow_service("/targetConnections"),
        flow_service("/targetConnections/{id}"),
    );
    Routes::default()
        .get(&all, needs::VIEW, list)
        .says(says("listTargetConnections", "Lists target connections, newest first").lists::<TargetConnection>())
        .post(&all, needs::EXPORT, create)
        .says(
            says("createTargetConnection", "Says where files go and how they are written")
                .note("The base connection of a draft need not exist until it is published.")
                .with(&[MODE])
                .creates(bodies::NEW_TARGET)
                .with(&[query("probe", "Whether to try the place out first.").words(&["true", "false"])])
                .fails(&OF_PROBE)
                .fails(&[ErrorCode::SpecNotValid, ErrorCode::SpecVersionMissing])
                .fails(&[ErrorCode::ConnectionNotUsable, ErrorCode::EncryptionNotAvailable]),
        )
        .get(&one, needs::VIEW, read)
        .says(says("getTargetConnection", "Reads a target connection").reads::<TargetConnection>())
        .patch(&one, needs::EXPORT, patch)
        .says(
            says("patchTargetConnection", "Changes a target connection")
                .note(
                    "Changes `/name`, `/description`, `/params` (keys not given stay), `/params/<key>`, and \
                     `/baseConnectionId` of a draft.",
                )
                .changes(bodies::PATCH),
        )
        .post(&format!("{one}/action"), needs::EXPORT, act)
        .says(
            says_publish(
                "actOnTargetConnection",
                "Publishes the draft of a target connection",
            )
            .fails(&[ErrorCode::ConnectionNotUsable]),
        )
        .delete(&one, needs::EXPORT, delete)
        .says(
            says("deleteTargetConnection", "Deletes a target connection that no flow uses")
                .deletes()
                .fails(&[ErrorCode::ResourceInUse]),
        )
}

/// What a place that is tried out can come to.
const OF_PROBE: [ErrorCode; 12] = [
    ErrorCode::DestinationNotAvailable,
    ErrorCode::DestinationUnreachable,
    ErrorCode::DestinationFull,
    ErrorCode::DestinationDenied,
    ErrorCode::DestinationConflict,
    ErrorCode::DestinationProtocol,
    ErrorCode::DestinationBucketMissing,
    ErrorCode::DestinationKeysInvalid,
    ErrorCode::DestinationKeysExpired,
    ErrorCode::DestinationRegionWrong,
    ErrorCode::NetworkRefused,
    ErrorCode::TlsNotTrusted,
];

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    headers: HeaderMap,
    query: Pairs,
    JsonBody(body): JsonBody,
) -> Reply {
    let proof = match query.first("probe") {
        None | Some("false") => Proof::Later,
        Some("true") => Proof::First,
        Some(_) => {
            return Err(Refusal::new(
                ErrorCode::FieldInvalid,
                "`probe` must be true or false",
            ));
        }
    };
    let made = service
        .create_target(&caller, once(&headers, &body), proof, start(&query))
        .await?;
    Ok(reply::created(made))
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let view = service.target(&caller, &id).await?;
    Ok(reply::one(
        wire::connection::target(&caller, &view),
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
    let kind = ResourceKind::Target;
    act_on(&service, &caller, kind, &id, (&query, &headers)).await
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let listing = Listing::parse(COLLECTION, &query.list())?;
    let listed = service
        .list_targets(&caller, &listing, |view| {
            wire::connection::target(&caller, view)
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
        .patch_target(&caller, &id, if_match(&headers), &body)
        .await?;
    Ok(reply::changed(changed))
}

async fn delete(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    service.delete_target(&caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}
