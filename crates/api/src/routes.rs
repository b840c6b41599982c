//! Handlers: extract, call, wrap. One module per resource, each with its own table of paths.

use http::HeaderMap;
use http::header::IF_MATCH;
use offtake_api_types::Created;
use offtake_model::{ErrorCode, ResourceKind};
use offtake_service::{Caller, Once, Service, Start};
use serde_json::Value;

use crate::document::says::{Parameter, Says, header, query, says};
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::table::Routes;

mod access;
mod audit;
mod blobs;
mod catalog;
mod connections;
mod export;
mod flows;
mod health;
mod import;
mod keys;
mod landing_zone;
mod recovery;
mod reference;
mod runs;
mod sources;
mod specs;
mod targets;
mod token;

/// Operations that need a recognised caller.
pub(crate) fn of_callers() -> Routes {
    Routes::default()
        .merge(specs::routes())
        .merge(connections::routes())
        .merge(sources::routes())
        .merge(targets::routes())
        .merge(flows::routes())
        .merge(runs::routes())
        .merge(catalog::routes())
        .merge(import::routes())
        .merge(export::routes())
        .merge(landing_zone::routes())
        .merge(access::routes())
        .merge(audit::routes())
        .merge(recovery::routes())
        .merge(keys::routes())
}

/// Operations for everybody, or for whoever shows a signature.
pub(crate) fn of_anybody() -> Routes {
    Routes::default()
        .merge(token::routes())
        .merge(health::routes())
        .merge(reference::routes())
        .merge(blobs::routes())
}

/// What the operations of a kind need (contract, 11).
mod needs {
    use offtake_model::Permission as P;

    use crate::table::Needs;

    /// Reading connections, flows, runs and specs.
    pub(super) const VIEW: Needs = Needs::AnyOf(&[P::ViewDestinations]);
    /// Making a base connection: either permission lets one connect a destination for datasets.
    pub(super) const CONNECT: Needs =
        Needs::AnyOf(&[P::ManageDestinations, P::ManageDatasetDestinations]);
    /// Changing and deleting base connections.
    pub(super) const MANAGE: Needs = Needs::AnyOf(&[P::ManageDestinations]);
    /// Making, changing, running and deleting exports.
    pub(super) const EXPORT: Needs = Needs::AnyOf(&[P::ManageDatasetDestinations]);
    /// Reading datasets.
    pub(super) const VIEW_DATASETS: Needs = Needs::AnyOf(&[P::ViewDatasets]);
    /// Making, changing and deleting datasets.
    pub(super) const MANAGE_DATASETS: Needs = Needs::AnyOf(&[P::ManageDatasets]);
    /// Reading sandboxes.
    pub(super) const VIEW_SANDBOXES: Needs = Needs::AnyOf(&[P::ViewSandboxes]);
    /// Making sandboxes and clients, reading the audit log.
    pub(super) const MANAGE_ACCESS: Needs = Needs::AnyOf(&[P::ManageAccess]);
    /// Reading an organisation, one's own or any.
    pub(super) const VIEW_ORGANISATION: Needs = Needs::AnyOf(&[P::ManageAccess, P::ManageServer]);
    /// Making and changing organisations, letting the flows of a restored store go on.
    pub(super) const MANAGE_SERVER: Needs = Needs::AnyOf(&[P::ManageServer]);
}

/// A path below the Flow Service's prefix.
fn flow_service(path: &str) -> String {
    format!("{}{path}", crate::FLOW_SERVICE)
}

/// The key by which the client may repeat the request, when it sends one.
fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("idempotency-key");
    key.map(|value| value.to_str().unwrap_or_default())
}

/// What makes something once.
fn once<'a>(headers: &'a HeaderMap, body: &'a Value) -> Once<'a> {
    Once {
        key: idempotency_key(headers),
        body,
    }
}

/// The query parameter that makes a draft.
const MODE: Parameter = query("mode", "`draft` makes a draft.").words(&["draft"]);

/// `mode=draft` makes a draft; whatever else `mode` says is ignored.
fn start(query: &Pairs) -> Start {
    let modes = query.all("mode");
    if modes.iter().any(|mode| mode.eq_ignore_ascii_case("draft")) {
        Start::Draft
    } else {
        Start::Enabled
    }
}

/// How publishing a connection's draft is described.
fn says_publish(id: &'static str, summary: &'static str) -> Says {
    says(id, summary)
        .with(&[
            query("op", "What to do, in either case.")
                .words(&["publish"])
                .required(),
            header("If-Match", "Only at this version."),
        ])
        .gives::<Created>(200, "Done.")
        .fails(&[ErrorCode::ResourceNotFound, ErrorCode::VersionConflict])
        .fails(&[
            ErrorCode::QueryParameterMissing,
            ErrorCode::ActionUnknown,
            ErrorCode::ActionNotAllowed,
        ])
}

/// Acts on a connection of that kind.
async fn act_on(
    service: &Service,
    caller: &Caller,
    kind: ResourceKind,
    id: &str,
    (query, headers): (&Pairs, &HeaderMap),
) -> Reply {
    let (op, if_match) = (query.first("op"), if_match(headers));
    let changed = service
        .act_on_connection(caller, kind, id, op, if_match)
        .await?;
    Ok(reply::changed(changed))
}

/// The version of the entity that the caller has seen, when it says so.
fn if_match(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(IF_MATCH)
        .map(|value| value.to_str().unwrap_or_default())
}
