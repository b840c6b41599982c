//! What became of runs: committed state only.

use async_trait::async_trait;
use offtake_model::run::RunView;
use offtake_model::{Fault, FlowId, Millis, RunId, Tenant};

use crate::resources::{Page, PageRequest, Span};

/// Reads runs. A run's state and metrics are derived from its deliveries.
#[async_trait]
pub trait RunLog: Send + Sync {
    /// The run, unless it is missing or another tenant's.
    async fn get(&self, tenant: &Tenant, run: RunId) -> Result<Option<RunView>, Fault>;

    /// A page of runs, newest first. A page with fewer items than asked for may still name a next one.
    async fn list(
        &self,
        tenant: &Tenant,
        query: &RunQuery,
        page: &PageRequest,
    ) -> Result<Page<RunView>, Fault>;

    /// How many runs match.
    async fn count(&self, tenant: &Tenant, query: &RunQuery) -> Result<u64, Fault>;

    /// Removes ended runs that began before that instant, at most `limit` of them, oldest first; says how many. Stay do
    /// the newest run of a flow that exists, and runs with files that are still to be cleared away. Delivered files and
    /// manifests are not touched, nor what the flow's position is.
    async fn purge(&self, before: Millis, limit: u32) -> Result<u64, Fault>;

    /// The newest run of each flow that has one.
    async fn latest(&self, tenant: &Tenant, flows: &[FlowId]) -> Result<Vec<RunView>, Fault>;
}

/// Which runs; what is absent narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Of this flow only.
    pub flow: Option<FlowId>,
    /// In this documented status.
    pub status: Option<String>,
    /// Of this flow spec.
    pub spec: Option<String>,
    /// Made then.
    pub created: Span,
    /// Whose first delivery began then.
    pub started: Span,
}

impl RunQuery {
    /// Every run of a flow.
    pub fn of(flow: FlowId) -> Self {
        Self {
            flow: Some(flow),
            ..Self::default()
        }
    }
}
