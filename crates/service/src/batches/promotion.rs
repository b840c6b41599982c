//! What happens to completed batches: one after the other they become rows of their dataset.
//!
//! Nothing is remembered in memory. A batch that was being promoted when the service ended is found again by its
//! state; the lake recognises a commit that was made before.
//!
//! The one law: a batch is `success` only after its commit, and its uploads go only after that is written down.

use offtake_model::batch::{Batch, BatchState, Promoted};
use offtake_model::{ErrorCode, Fault, Millis, ResourceId, ResourceKind, Retry, Revision};
use offtake_ports::Replaced;

use crate::entity;
use crate::service::Service;

/// Batches looked at for the next one to promote.
const WAITING_MAX: u32 = 100;

/// Tries before a failure that could pass ends a batch.
const ATTEMPTS_MAX: u32 = 10;

/// First pause after such a failure; doubled up to the longest.
const RETRY_FIRST_MS: i64 = 1_000;
const RETRY_LONGEST_MS: i64 = 300_000;

/// A batch that takes files and gets none for this long is given up.
const FORGOTTEN_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

impl Service {
    /// Promotes the batch that waits longest; false when none can be promoted now. While flows of a restored store are
    /// held, none is: a table that was restored with less must not grow over what was delivered of it.
    pub async fn promote_next(&self) -> Result<bool, Fault> {
        if self.held_count().await? > 0 {
            return Ok(false);
        }
        let now = self.clock.now();
        let waiting = self.batches.waiting(WAITING_MAX).await?;
        let due = |batch: &Batch| batch.details.not_before.is_none_or(|at| at <= now);
        match waiting.into_iter().find(due) {
            Some(batch) => self.promote(batch, now).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn promote(&self, mut batch: Batch, now: Millis) -> Result<(), Fault> {
        batch.state = BatchState::Staging;
        batch.details.attempts = batch.details.attempts.saturating_add(1);
        batch.details.not_before = None;
        let Some(mut batch) = self.keep(batch, now).await? else {
            return Ok(());
        };
        let outcome = self.promoted(&batch).await;
        let now = self.clock.now();
        match outcome {
            Ok(Promoted::Committed { version, metrics }) => {
                batch.details.version = Some(version);
                batch.details.metrics = metrics;
                self.end(batch, BatchState::Success, now).await
            }
            Ok(Promoted::Refused { metrics, bad_rows }) => {
                batch.details.fault = Some(Fault::new(
                    ErrorCode::BatchRowsInvalid,
                    format!(
                        "{} rows cannot be taken; nothing of the batch is in the dataset",
                        metrics.failed_rows
                    ),
                ));
                batch.details.metrics = metrics;
                batch.details.bad_rows = bad_rows;
                self.end(batch, BatchState::Failed, now).await
            }
            Err(fault) => {
                let again =
                    fault.retry() == Retry::Transient && batch.details.attempts < ATTEMPTS_MAX;
                batch.details.fault = Some(fault);
                if again {
                    batch.details.not_before = Some(Millis(now.0 + pause(batch.details.attempts)));
                    return self.keep(batch, now).await.map(drop);
                }
                self.end(batch, BatchState::Failed, now).await
            }
        }
    }

    async fn promoted(&self, batch: &Batch) -> Result<Promoted, Fault> {
        let id = ResourceId::from(batch.dataset.clone());
        let found = self
            .resources
            .get(&batch.tenant, ResourceKind::Dataset, &id)
            .await?
            .ok_or_else(|| {
                Fault::new(
                    ErrorCode::DatasetDeleted,
                    format!(
                        "dataset {} was deleted before its batch was promoted",
                        batch.dataset
                    ),
                )
            })?;
        let dataset = entity::dataset(found)?;
        self.intake.promote(&dataset.body.location, batch).await
    }

    async fn end(&self, mut batch: Batch, state: BatchState, now: Millis) -> Result<(), Fault> {
        batch.state = state;
        batch.details.ended_at = Some(now);
        if state == BatchState::Success {
            batch.details.fault = None;
        }
        match self.keep(batch, now).await? {
            Some(batch) => self.uploads.remove(&batch.tenant, &batch.id).await,
            None => Ok(()),
        }
    }

    /// Writes the batch down; none when somebody else changed it first.
    async fn keep(&self, mut batch: Batch, now: Millis) -> Result<Option<Batch>, Fault> {
        let expected = batch.revision;
        batch.audit.updated_at = now;
        match self.batches.replace(&batch, expected, None).await? {
            Replaced::Done => {
                batch.revision = Revision(expected.0 + 1);
                Ok(Some(batch))
            }
            Replaced::Conflict => Ok(None),
        }
    }

    /// Gives up batches that nobody went on with, and removes uploads that no open batch needs.
    pub async fn tidy_uploads(&self) -> Result<(), Fault> {
        let now = self.clock.now();
        let before = Millis(now.0 - FORGOTTEN_MS);
        for batch in self.batches.stale(before, WAITING_MAX).await? {
            self.end(batch, BatchState::Aborted, now).await?;
        }
        for (tenant, id) in self.uploads.batches().await? {
            let open = match self.batches.get(&tenant, &id).await? {
                Some(batch) => matches!(
                    batch.state,
                    BatchState::Loading | BatchState::Loaded | BatchState::Staging
                ),
                None => false,
            };
            if !open {
                self.uploads.remove(&tenant, &id).await?;
            }
        }
        Ok(())
    }
}

fn pause(attempts: u32) -> i64 {
    let doubled = RETRY_FIRST_MS
        .checked_shl(attempts.min(20))
        .unwrap_or(RETRY_LONGEST_MS);
    doubled.min(RETRY_LONGEST_MS)
}
