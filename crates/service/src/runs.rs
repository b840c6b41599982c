//! Runs: read with what became of them (contract, 4.11 and 8). Starting them is in [`start`], repeating them in
//! [`again`], exporting on demand in [`adhoc`].

use std::collections::HashMap;

use offtake_core::run_state::{self, RunStatus};
use offtake_model::resource::Flow;
use offtake_model::run::{DeliveryView, RunView};
use offtake_model::{Fault, FlowId, Millis, RunId, RunMetrics};
use offtake_ports::{Page, PageRequest, RunQuery};
use serde::Serialize;

use crate::entity::Entity;
use crate::etag;
use crate::identity::Caller;
use crate::listing::{Listed, Listing, Placed};
use crate::service::{Service, not_found};

mod adhoc;
mod again;
mod start;

pub use adhoc::AdhocExport;
pub use again::RunAction;

/// A run with its state and totals.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetails {
    /// The run and its deliveries.
    pub view: RunView,
    /// `waiting`, `processing`, `success` or `failed`.
    pub status: &'static str,
    /// Sums over its deliveries.
    pub metrics: RunMetrics,
    /// Rows read by deliveries that ended without success.
    pub failed_rows: u64,
    /// When the first delivery started.
    pub started_at: Option<Millis>,
    /// When the last delivery ended, once all have.
    pub completed_at: Option<Millis>,
    /// When anything of it last changed.
    pub updated_at: Millis,
    /// Its etag, quotes included.
    pub etag: String,
}

impl Placed for RunDetails {
    fn place(&self) -> (i64, String) {
        let run = &self.view.run;
        (run.created_at.0, run.id.to_string())
    }
}

impl RunDetails {
    /// The status word of one of its deliveries.
    pub fn status_of(&self, delivery: &DeliveryView) -> &'static str {
        run_state::status(std::slice::from_ref(delivery)).name()
    }
}

impl Service {
    /// The run of that id.
    pub async fn run(&self, caller: &Caller, id: &str) -> Result<RunDetails, Fault> {
        let missing = || not_found("runs", id);
        let run = id.parse::<RunId>().map_err(|_| missing())?;
        let view = self.runs.get(&caller.tenant, run).await?;
        view.map(details).ok_or_else(missing)
    }

    /// A list of runs.
    pub async fn list_runs<T: Serialize>(
        &self,
        caller: &Caller,
        listing: &Listing,
        render: impl Fn(&RunDetails) -> T,
    ) -> Result<Listed<T>, Fault> {
        let query = listing.runs();
        if listing.plain_count() {
            let count = self.runs.count(&caller.tenant, &query).await?;
            return Ok(Listed::Count(count));
        }
        let fetch = |request| self.runs_page(caller, query.clone(), request);
        listing.answer(fetch, render).await
    }

    /// The newest run of each flow that has one, by the flow's id.
    pub(crate) async fn newest_runs(
        &self,
        caller: &Caller,
        flows: &[Entity<Flow>],
    ) -> Result<HashMap<String, RunDetails>, Fault> {
        let ids: Vec<FlowId> = flows.iter().filter_map(|it| it.id.parse().ok()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let views = self.runs.latest(&caller.tenant, &ids).await?;
        let named = views
            .into_iter()
            .map(|view| (view.run.flow.to_string(), details(view)));
        Ok(named.collect())
    }

    async fn runs_page(
        &self,
        caller: &Caller,
        query: RunQuery,
        request: PageRequest,
    ) -> Result<Page<RunDetails>, Fault> {
        let page = self.runs.list(&caller.tenant, &query, &request).await?;
        Ok(Page {
            items: page.items.into_iter().map(details).collect(),
            next: page.next,
        })
    }
}

fn details(view: RunView) -> RunDetails {
    let deliveries = &view.deliveries;
    let changes = deliveries.iter().map(|delivery| delivery.updated_at);
    let updated_at = changes
        .max()
        .map_or(view.run.created_at, |at| at.max(view.run.created_at));
    let lost = deliveries
        .iter()
        .filter(|it| run_state::status(std::slice::from_ref(it)) == RunStatus::Failed);
    let millisecond = updated_at.0.rem_euclid(1000).unsigned_abs();
    RunDetails {
        status: run_state::status(deliveries).name(),
        metrics: run_state::totals(deliveries),
        failed_rows: lost
            .map(|it| it.metrics.input_rows.saturating_sub(it.metrics.output_rows))
            .sum(),
        started_at: run_state::started_at(deliveries),
        completed_at: run_state::completed_at(deliveries),
        updated_at,
        etag: etag::shape(millisecond, updated_at),
        view,
    }
}
