//! Organisations, sandboxes and clients. Sandboxes are where the documentation has them (contract, 10.5); the rest is
//! an extension below a prefix of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use offtake_api_types::access::{
    Client, NewOrganisation, Organisation, OrganisationDetails, Sandboxes,
};
use offtake_api_types::{ItemsOf, Sandbox};
use offtake_model::ErrorCode;
use offtake_service::Service;

use crate::body::{JsonBody, MaybeJson};
use crate::document::bodies;
use crate::document::says::says;
use crate::gate::Who;
use crate::reply::{self, Reply};
use crate::routes::{needs, once};
use crate::table::Routes;
use crate::wire::access as wire;

const SANDBOXES: &str = "/data/foundation/sandbox-management/sandboxes";
const ORGANISATIONS: &str = "/offtake/v1/organisations";
const CLIENTS: &str = "/offtake/v1/clients";

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(of_sandboxes())
        .merge(of_organisations())
        .merge(of_clients())
}

fn of_sandboxes() -> Routes {
    Routes::default()
        .get(SANDBOXES, needs::VIEW_SANDBOXES, sandboxes)
        .says(
            says("listSandboxes", "Lists the organisation's sandboxes")
                .gives::<Sandboxes>(200, "All of them."),
        )
        .post(SANDBOXES, needs::MANAGE_ACCESS, create_sandbox)
        .says(
            says("createSandbox", "Makes a sandbox")
                .takes(bodies::NEW_SANDBOX)
                .once()
                .gives::<Sandbox>(201, "The sandbox.")
                .fails(&[ErrorCode::NameTaken]),
        )
        .get(
            &format!("{SANDBOXES}/{{name}}"),
            needs::VIEW_SANDBOXES,
            sandbox,
        )
        .says(says("getSandbox", "Reads a sandbox").gives::<Sandbox>(200, "The sandbox."))
}

fn of_organisations() -> Routes {
    let organisation = format!("{ORGANISATIONS}/{{id}}");
    Routes::default()
        .get(ORGANISATIONS, needs::MANAGE_SERVER, organisations)
        .says(
            says(
                "listOrganisations",
                "Lists the organisations that share the server",
            )
            .gives::<ItemsOf<Organisation>>(200, "All of them."),
        )
        .post(ORGANISATIONS, needs::MANAGE_SERVER, create_organisation)
        .says(
            says(
                "createOrganisation",
                "Makes an organisation with a sandbox and an admin client",
            )
            .takes(bodies::NEW_ORGANISATION)
            .once()
            .gives::<NewOrganisation>(201, "The organisation, and the client's secret, once."),
        )
        .get(
            &organisation,
            needs::VIEW_ORGANISATION,
            organisation_details,
        )
        .says(
            says(
                "getOrganisation",
                "Reads an organisation with its quotas and what is used of them",
            )
            .gives::<OrganisationDetails>(200, "The organisation.")
            .fails(&[ErrorCode::ResourceNotFound]),
        )
        .patch(&organisation, needs::MANAGE_SERVER, change_organisation)
        .says(
            says(
                "changeOrganisation",
                "Renames an organisation or changes its quotas",
            )
            .takes(bodies::ORGANISATION_CHANGE)
            .gives::<OrganisationDetails>(200, "The organisation.")
            .fails(&[ErrorCode::ResourceNotFound]),
        )
}

fn of_clients() -> Routes {
    let client = format!("{CLIENTS}/{{id}}");
    let of_roles = [ErrorCode::PermissionMissing, ErrorCode::SandboxNotFound];
    Routes::default()
        .get(CLIENTS, needs::MANAGE_ACCESS, clients)
        .says(
            says("listClients", "Lists the organisation's clients")
                .gives::<ItemsOf<Client>>(200, "All of them, without secrets."),
        )
        .post(CLIENTS, needs::MANAGE_ACCESS, create_client)
        .says(
            says("createClient", "Makes a client")
                .takes(bodies::NEW_CLIENT)
                .once()
                .note("Repeated with the same `Idempotency-Key`, it shows the client that was made, without its secret.")
                .gives::<Client>(201, "The client, and its secret, once.")
                .fails(&of_roles),
        )
        .patch(&client, needs::MANAGE_ACCESS, change_client)
        .says(
            says(
                "changeClient",
                "Renames, binds to roles, enables or disables a client",
            )
            .takes(bodies::CLIENT_CHANGE)
            .gives::<Client>(200, "The client.")
            .fails(&of_roles)
            .fails(&[ErrorCode::ResourceNotFound]),
        )
        .post(
            &format!("{client}/secret"),
            needs::MANAGE_ACCESS,
            rotate_secret,
        )
        .says(
            says(
                "rotateSecret",
                "Gives a client a new secret; the old one ends at once, or after a time of grace",
            )
            .takes(bodies::NEW_SECRET)
            .gives::<Client>(200, "The client, and its secret, once.")
            .fails(&[ErrorCode::ResourceNotFound]),
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
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let made = service
        .create_sandbox(&caller, once(&headers, &body))
        .await?;
    Ok((StatusCode::CREATED, Json(wire::sandbox(&made))).into_response())
}

async fn organisations(State(service): State<Arc<Service>>) -> Reply {
    let found = service.organisations().await?;
    Ok(reply::items(found.iter().map(wire::organisation).collect()))
}

async fn create_organisation(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let made = service
        .create_organisation(&caller, once(&headers, &body))
        .await?;
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
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let made = service
        .create_client(&caller, once(&headers, &body))
        .await?;
    Ok((StatusCode::CREATED, Json(wire::client_made(&made))).into_response())
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
    MaybeJson(body): MaybeJson,
) -> Reply {
    let rotated = service.rotate_secret(&caller, &id, body.as_ref()).await?;
    Ok(Json(wire::with_secret(&rotated)).into_response())
}
