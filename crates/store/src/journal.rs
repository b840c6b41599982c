//! The journal of deliveries: what was decided, and which staged files belong to it.
//!
//! The one law: a write that does not find its own lease and the state it expects changes nothing and answers
//! `Fenced`.

mod attempts;
mod planned;
pub(crate) mod record;
pub(crate) mod seen;
mod transitions;

use async_trait::async_trait;
use offtake_model::delivery::{Cursor, Leftover};
use offtake_model::{
    Attempt, AttemptId, DatasetId, DeliveryId, DeliveryRecord, ExportPlan, Fault, FlowId, Lease,
    Millis, SeenFolder, StageHandle, Transition, Winner,
};
use offtake_ports::{Applied, DeliveryJournal, Recorded};
use sqlx::sqlite::SqliteQueryResult;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::failure::Attempting;
use crate::store::{Store, commit};

#[async_trait]
impl DeliveryJournal for Store {
    async fn load(&self, lease: &Lease) -> Result<Option<DeliveryRecord>, Fault> {
        let mut tx = self.read().await?;
        record::load(&mut tx, lease).await
    }

    async fn cursor(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<Cursor>, Fault> {
        let mut tx = self.read().await?;
        record::cursor(&mut tx, flow, dataset).await
    }

    async fn plan(&self, delivery: DeliveryId) -> Result<Option<ExportPlan>, Fault> {
        let mut tx = self.read().await?;
        record::plan(&mut tx, delivery).await
    }

    async fn seen(&self, flow: FlowId, dataset: &DatasetId) -> Result<Option<SeenFolder>, Fault> {
        let mut tx = self.read().await?;
        seen::read(&mut tx, flow, dataset).await
    }

    async fn begin_attempt(&self, lease: &Lease, attempt: &Attempt) -> Result<Applied, Fault> {
        let mut tx = self.write().await?;
        let applied = attempts::begin(&mut tx, lease, attempt).await?;
        conclude(tx, applied).await
    }

    async fn save_handle(
        &self,
        lease: &Lease,
        attempt: AttemptId,
        handle: &StageHandle,
    ) -> Result<Applied, Fault> {
        let mut tx = self.write().await?;
        let applied = attempts::save_handle(&mut tx, lease, attempt, handle).await?;
        conclude(tx, applied).await
    }

    async fn record(&self, lease: &Lease, winner: &Winner) -> Result<Recorded, Fault> {
        let mut tx = self.write().await?;
        let recorded = attempts::record(&mut tx, lease, winner).await?;
        if recorded == Recorded::Won {
            progressed(&mut tx, lease).await?;
            commit(tx).await?;
        }
        Ok(recorded)
    }

    async fn discarded(&self, lease: &Lease, attempt: AttemptId) -> Result<Applied, Fault> {
        let mut tx = self.write().await?;
        let applied = attempts::discarded(&mut tx, lease, attempt).await?;
        conclude(tx, applied).await
    }

    async fn apply(&self, lease: &Lease, transition: &Transition) -> Result<Applied, Fault> {
        let now = self.now();
        let mut tx = self.write().await?;
        let applied = transitions::apply(&mut tx, lease, transition, now).await?;
        if applied == Applied::Done {
            progressed(&mut tx, lease).await?;
        }
        conclude(tx, applied).await
    }

    async fn leftovers(&self, before: Millis, limit: u32) -> Result<Vec<Leftover>, Fault> {
        let mut tx = self.read().await?;
        record::leftovers(&mut tx, before, limit).await
    }

    async fn swept(&self, delivery: DeliveryId, attempt: AttemptId) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        attempts::swept(&mut tx, delivery, attempt).await?;
        commit(tx).await
    }
}

/// Starts the count of claims that ended without progress anew.
async fn progressed(db: &mut SqliteConnection, lease: &Lease) -> Result<(), Fault> {
    sqlx::query("UPDATE delivery SET claims_lost = 0 WHERE id = ? AND claims_lost > 0")
        .bind(lease.delivery.to_string())
        .execute(db)
        .await
        .attempting(format_args!("note progress of delivery {}", lease.delivery))?;
    Ok(())
}

/// Commits what was done; a fenced write is rolled back whole.
async fn conclude(tx: Transaction<'static, Sqlite>, applied: Applied) -> Result<Applied, Fault> {
    if applied == Applied::Done {
        commit(tx).await?;
    }
    Ok(applied)
}

/// A guarded update changes its row or, when its guard fails, none.
fn guarded(result: &SqliteQueryResult) -> Applied {
    if result.rows_affected() == 0 {
        Applied::Fenced
    } else {
        Applied::Done
    }
}
