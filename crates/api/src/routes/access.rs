//! Organisations, sandboxes and clients. Sandboxes are where the documentation has them (contract, 10.5); the rest is
//! an extension below a prefix of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use offtake_service::Service;

use crate::body::JsonBody;
use crate::gate::Who;
use crate::reply::{self, Reply};
use crate::routes::needs;
use crate::table::Routes;
use crate::wire::access as wire;

const SANDBOXES: &str = "/data/foundation/sandbox-management/sandboxes";
const ORGANISATIONS: &str = "/offtake/v1/organisations";
const CLIENTS: &str = "/offtake/v1/clients";

pub(super) fn routes() -> Routes {
    let client = format!("{CLIENTS}/{{id}}");
    let organisation = format!("{ORGANISATIONS}/{{id}}");
    Routes::default()
        .get(SANDBOXES, needs::VIEW_SANDBOXES, sandboxes)
        .post(SANDBOXES, needs::MANAGE_ACCESS, create_sandbox)
        .get(
            &format!("{SANDBOXES}/{{name}}"),
            needs::VIEW_SANDBOXES,
            sandbox,
        )
        .get(ORGANISATIONS, needs::MANAGE_SERVER, organisations)
        .post(ORGANISATIONS, needs::MANAGE_SERVER, create_organisation)
        .get(
            &organisation,
            needs::VIEW_ORGANISATION,
            organisation_details,
        )
        .patch(&organisation, needs::MANAGE_SERVER, change_organisation)
        .get(CLIENTS, needs::MANAGE_ACCESS, clients)
        .post(CLIENTS, needs::MANAGE_ACCESS, create_client)
        .patch(&client, needs::MANAGE_ACCESS, change_client)
        .post(
            &format!("{client}/secret"),
            needs::MANAGE_ACCESS,
            rotate_secret,
        )
}

async fn sandboxes(State(service): State<Arc<Service>>, Who(caller): Who) -> Reply {
    let found = service.sandboxes(&caller).await?;
    Ok(Json(wire::sandboxes(&found)).into_response())
}

async fn sandbox(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Reply {
    let sandbox = service.sandbox(&caller, &name).await?;
    Ok(Json(wire::sandbox(&sandbox)).into_response())
}

async fn create_sandbox(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    JsonBody(body): JsonBody,
) -> Reply {
    let made = service.create_sandbox(&caller, &body).await?;
    Ok((StatusCode::CREATED, Json(wire::sandbox(&made))).into_response())
}

async fn organisations(State(service): State<Arc<Service>>) -> Reply {
    let found = service.organisations().await?;
    Ok(reply::items(found.iter().map(wire::organisation).collect()))
}

async fn create_organisation(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    JsonBody(body): JsonBody,
) -> Reply {
    let made = service.create_organisation(&caller, &body).await?;
    Ok((StatusCode::CREATED, Json(wire::new_organisation(&made))).into_response())
}

async fn organisation_details(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let found = service.organisation(&caller, &id).await?;
    Ok(Json(wire::organisation_details(&found)).into_response())
}

async fn change_organisation(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Reply {
    let changed = service.change_organisation(&caller, &id, &body).await?;
    Ok(Json(wire::organisation_details(&changed)).into_response())
}

async fn clients(State(service): State<Arc<Service>>, Who(caller): Who) -> Reply {
    let found = service.clients(&caller).await?;
    Ok(reply::items(found.iter().map(wire::client).collect()))
}

async fn create_client(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    JsonBody(body): JsonBody,
) -> Reply {
    let made = service.create_client(&caller, &body).await?;
    Ok((StatusCode::CREATED, Json(wire::with_secret(&made))).into_response())
}

async fn change_client(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Reply {
    let changed = service.change_client(&caller, &id, &body).await?;
    Ok(Json(wire::client(&changed)).into_response())
}

async fn rotate_secret(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let rotated = service.rotate_secret(&caller, &id).await?;
    Ok(Json(wire::with_secret(&rotated)).into_response())
}
