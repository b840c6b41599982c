//! Flows that wait since the store was restored, and letting them go on. An extension.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use metrics::gauge;
use offtake_api_types::ItemsOf;
use offtake_api_types::recovery::{HeldFlow, Reconciled};
use offtake_model::{ErrorCode, Fault};
use offtake_service::{ReconcileWish, Service};

use crate::document::says::{query, says};
use crate::gate::Who;
use crate::query::Pairs;
use crate::reply::{self, Reply};
use crate::routes::needs;
use crate::table::Routes;
use crate::wire::recovery as wire;

const HELD: &str = "/offtake/v1/held-flows";

pub(super) fn routes() -> Routes {
    Routes::default()
        .get(HELD, needs::MANAGE_SERVER, held)
        .says(
            says(
                "listHeldFlows",
                "Lists the flows that wait since the store was restored",
            )
            .gives::<ItemsOf<HeldFlow>>(200, "All of them, of every organisation."),
        )
        .post(
            &format!("{HELD}/{{id}}/reconcile"),
            needs::MANAGE_SERVER,
            reconcile,
        )
        .says(
            says(
                "reconcileFlow",
                "Compares a held flow with its destination and lets it go on, or says why not",
            )
            .with(&[
                query("dryRun", "Changes nothing.").words(&["true", "false"]),
                query(
                    "accept",
                    "Takes the backup's word where manifests are missing: rows may come twice.",
                )
                .words(&["true", "false"]),
            ])
            .gives::<Reconciled>(200, "What was found, and whether it goes on.")
            .fails(&[ErrorCode::ResourceNotFound, ErrorCode::FieldInvalid]),
        )
}

async fn held(State(service): State<Arc<Service>>) -> Reply {
    let held = service.held_flows().await?;
    show(held.len());
    Ok(reply::items(held.into_iter().map(wire::held).collect()))
}

async fn reconcile(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    asked: Pairs,
) -> Reply {
    let wish = ReconcileWish {
        dry_run: flag(&asked, "dryRun")?,
        accept: flag(&asked, "accept")?,
    };
    let verdict = service.reconcile(&caller, &id, wish).await?;
    tracing::info!(
        flow.id = %verdict.flow,
        client.id = %caller.client,
        released = verdict.released,
        dry_run = wish.dry_run,
        accept = wish.accept,
        "held flow reconciled"
    );
    show(service.held_count().await?);
    Ok(Json(wire::reconciled(&verdict, wish.dry_run)).into_response())
}

/// Shows in the metrics how many flows are held.
pub(super) fn show(held: usize) {
    gauge!("offtake_flows_held").set(u32::try_from(held).unwrap_or(u32::MAX));
}

fn flag(asked: &Pairs, name: &str) -> Result<bool, Fault> {
    match asked.first(name) {
        None | Some("false") => Ok(false),
        Some("" | "true") => Ok(true),
        Some(_) => Err(Fault::new(
            ErrorCode::FieldInvalid,
            format!("query parameter {name} must be true or false"),
        )),
    }
}
