//! What a person settles: flows of a restored store that are to catch up with their destinations, and deliveries that
//! were quarantined.

use async_trait::async_trait;
use offtake_model::{
    Actor, CatchUp, DatasetId, ExportSpec, Fault, FlowId, HeldFlow, KnownFlow, Resolution, RunId,
    SeenFolder, Tenant,
};

/// Flows of a restored store are held: none of their deliveries is claimed until the flow is released. A store that
/// was never restored holds none.
#[async_trait]
pub trait RecoveryStore: Send + Sync {
    /// The flows that are held, of all tenants, in the order of their ids.
    async fn held(&self) -> Result<Vec<HeldFlow>, Fault>;

    /// What is known of the flow's deliveries.
    async fn known(&self, flow: &HeldFlow) -> Result<KnownFlow, Fault>;

    /// What the flow has delivered of a dataset that is a Parquet folder.
    async fn seen(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<SeenFolder>, Fault>;

    /// Keeps the reason why the flow could not be released.
    async fn refuse(&self, flow: FlowId, why: &Fault) -> Result<(), Fault>;

    /// In one transaction: writes down the deliveries found, moves the cursors, aborts what was superseded and ends
    /// the hold. Runs that the store does not know get `spec`. False, with nothing changed, when the flow is not held
    /// any more.
    ///
    /// # Errors
    /// `QUARANTINED` when a cursor does not stand where the step expects it; nothing is changed.
    async fn catch_up(
        &self,
        flow: &HeldFlow,
        spec: &ExportSpec,
        steps: &[CatchUp],
        by: &Actor,
    ) -> Result<bool, Fault>;

    /// Takes the quarantined deliveries of a run, or only the one of that dataset, out of quarantine. Answers how many
    /// there were; others are left alone.
    async fn resolve(
        &self,
        tenant: &Tenant,
        run: RunId,
        dataset: Option<&DatasetId>,
        resolution: Resolution,
        by: &Actor,
    ) -> Result<u64, Fault>;
}
