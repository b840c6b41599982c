//! The audit log. An extension.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use offtake_api_types::audit::AuditEntry;
use offtake_api_types::{ItemsOf, Link, Links};
use offtake_model::ErrorCode;
use offtake_service::{AuditParams, Service};

use crate::document::says::{query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::routes::needs;
use crate::table::Routes;
use crate::wire;

const AUDIT: &str = "/offtake/v1/audit";

/// Everything that the list can be asked with.
const PARAMETERS: [&str; 8] = [
    "limit",
    "continuationToken",
    "client",
    "sandbox",
    "collection",
    "id",
    "createdAfter",
    "createdBefore",
];

pub(super) fn routes() -> Routes {
    Routes::default()
        .get(AUDIT, needs::MANAGE_ACCESS, list)
        .says(
            says(
                "listAuditEntries",
                "Lists who changed what in the organisation, newest first",
            )
            .with(&[
                query("limit", "Entries on a page, 20 when absent.").number(1, 100),
                query(
                    "continuationToken",
                    "From `_links.next.href` of the page before.",
                ),
                query("client", "Of this client."),
                query("sandbox", "In this sandbox."),
                query("collection", "About objects of this collection."),
                query("id", "About this object."),
                query("createdAfter", "Epoch milliseconds."),
                query("createdBefore", "Epoch milliseconds."),
            ])
            .gives::<ItemsOf<AuditEntry>>(200, "A page.")
            .fails(&[ErrorCode::PageInvalid]),
        )
}

async fn list(State(service): State<Arc<Service>>, Who(caller): Who, query: Pairs) -> Reply {
    // A misspelt filter would show what nobody asked for.
    if let Some((name, _)) = query
        .pairs()
        .iter()
        .find(|(name, _)| !PARAMETERS.contains(&name.as_str()))
    {
        let known = PARAMETERS.join(", ");
        return Err(Refusal::new(
            ErrorCode::PageInvalid,
            format!("the audit log has no parameter [{name}]; it has {known}"),
        ));
    }
    let page = service.audit_entries(&caller, &params(&query)).await?;
    let next = page.next.as_deref().map(|token| Link {
        href: format!("{AUDIT}?{}", next_query(&query, token)),
    });
    Ok(Json(ItemsOf {
        items: page.items.iter().map(wire::audit::entry).collect(),
        links: Links { next },
    })
    .into_response())
}

fn params(query: &Pairs) -> AuditParams {
    AuditParams {
        limit: query.owned("limit"),
        token: query.owned("continuationToken"),
        client: query.owned("client"),
        sandbox: query.owned("sandbox"),
        collection: query.owned("collection"),
        object: query.owned("id"),
        since: query.owned("createdAfter"),
        until: query.owned("createdBefore"),
    }
}

/// The same question, continued.
fn next_query(query: &Pairs, token: &str) -> String {
    let same = query
        .pairs()
        .iter()
        .filter(|(name, _)| name != "continuationToken");
    let mut next = url::form_urlencoded::Serializer::new(String::new());
    next.extend_pairs(same)
        .append_pair("continuationToken", token);
    next.finish()
}
