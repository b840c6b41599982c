//! `/landingzone`: where the sandbox's landing zone is, and what lets receivers in (contract, 10.4).

use std::sync::Arc;

use axum::extract::State;
use http::header::HOST;
use http::{HeaderMap, Uri};
use offtake_api_types::landing_zone::{ZoneContainer, ZoneSignature};
use offtake_model::{ErrorCode, Fault};
use offtake_service::Service;

use crate::LANDING_ZONE;
use crate::document::says::{query, says};
use crate::gate::Who;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::routes::needs;
use crate::table::Routes;
use crate::wire::landing_zone as wire;

pub(super) fn routes() -> Routes {
    let credentials_of = format!("{LANDING_ZONE}/credentials");
    let kind = query("type", "Both name the sandbox's one zone.")
        .words(&["dlz_destination", "user_drop_zone"]);
    Routes::default()
        .get(LANDING_ZONE, needs::VIEW, zone)
        .says(
            says("getLandingZone", "Says where the sandbox's landing zone is")
                .note("For a zone in a bucket the answer is a `ZoneFolder`.")
                .with(&[kind])
                .gives::<ZoneContainer>(200, "The container, and how many days files stay.")
                .fails(&[ErrorCode::FieldInvalid]),
        )
        .get(&credentials_of, needs::VIEW, credentials)
        .says(
            says(
                "getLandingZoneCredentials",
                "Lets a receiver into the landing zone",
            )
            .note("For a zone in a bucket the answer is a `ZoneAccess`.")
            .with(&[kind])
            .gives::<ZoneSignature>(200, "What lists and downloads until it expires.")
            .fails(&OF_CREDENTIALS),
        )
        // It ends what others hold, so that looking is not enough.
        .post(&credentials_of, needs::EXPORT, refresh)
        .says(
            says(
                "refreshLandingZoneCredentials",
                "The same, and ends what was given out before",
            )
            .note("What a store gave out lives to its own end.")
            .with(&[
                kind,
                query("action", "What to do.")
                    .words(&["refresh"])
                    .required(),
            ])
            .gives::<ZoneSignature>(200, "New credentials.")
            .fails(&OF_CREDENTIALS),
        )
}

/// What can go wrong with credentials; the token service's and the store's failures are those of a destination.
const OF_CREDENTIALS: [ErrorCode; 9] = [
    ErrorCode::FieldInvalid,
    ErrorCode::ZoneCredentialsNotAvailable,
    ErrorCode::DestinationBusy,
    ErrorCode::DestinationDenied,
    ErrorCode::DestinationKeysInvalid,
    ErrorCode::DestinationUnreachable,
    ErrorCode::DestinationProtocol,
    ErrorCode::NetworkRefused,
    ErrorCode::TlsNotTrusted,
];

async fn zone(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    let view = service.landing_zone(&caller, query.first("type"))?;
    Ok(wire::zone(view))
}

async fn credentials(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
    uri: Uri,
    headers: HeaderMap,
) -> Reply {
    let kind = query.first("type");
    let found = service
        .zone_credentials(&caller, kind, host(&uri, &headers))
        .await?;
    Ok(wire::credentials(found))
}

async fn refresh(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    query: Pairs,
    uri: Uri,
    headers: HeaderMap,
) -> Reply {
    if query.first("action") != Some("refresh") {
        return Err(Fault::new(
            ErrorCode::FieldInvalid,
            "`action` must be refresh to get new credentials",
        )
        .into());
    }
    let kind = query.first("type");
    let found = service
        .refresh_zone_credentials(&caller, kind, host(&uri, &headers))
        .await?;
    Ok(wire::credentials(found))
}

/// How the request reached us: the answer is for nobody but its sender, who may say what it likes here.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    let header = headers.get(HOST).and_then(|value| value.to_str().ok());
    let named = header.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    named.unwrap_or("localhost")
}
