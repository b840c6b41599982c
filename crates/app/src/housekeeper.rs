//! Cuts back what grows with time, for as long as the service runs.
//!
//! Decides nothing but when: how long things are kept stands in the configuration, what may go is the store's
//! business.
//! The one law: a step is small, so that nobody waits for housekeeping.

use std::sync::Arc;
use std::time::Duration;

use offtake_model::{Fault, Millis};
use offtake_ports::{AuditLog, Clock, Keys, RunLog};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::RetentionConfig;

/// Time between two rounds.
const ROUND_EVERY: Duration = Duration::from_mins(10);

/// Rows removed in one transaction.
const STEP_ROWS: u32 = 500;

/// Steps of one round; what is left over waits for the next.
const STEPS_MAX: u32 = 2_000;

/// How long a former key is kept: tokens that were signed with it live a day, and workers may still hold it.
const FORMER_KEYS_FOR: Duration = Duration::from_hours(25);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The loop.
pub(crate) struct Housekeeper {
    audit: Arc<dyn AuditLog>,
    keys: Arc<dyn Keys>,
    runs: Arc<dyn RunLog>,
    clock: Arc<dyn Clock>,
    retention: RetentionConfig,
}

impl Housekeeper {
    pub(crate) fn new(
        audit: Arc<dyn AuditLog>,
        keys: Arc<dyn Keys>,
        runs: Arc<dyn RunLog>,
        clock: Arc<dyn Clock>,
        retention: &RetentionConfig,
    ) -> Self {
        Self {
            audit,
            keys,
            runs,
            clock,
            retention: retention.clone(),
        }
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(fault) = self.purge_audit(&stop).await {
                warn!(code = %fault.code, "the audit log was not cut back: {}", fault.message);
            }
            if let Err(fault) = self.purge_runs(&stop).await {
                warn!(code = %fault.code, "old runs were not forgotten: {}", fault.message);
            }
            if let Err(fault) = self.tend_keys().await {
                warn!(code = %fault.code, "former keys were not tended: {}", fault.message);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(ROUND_EVERY) => {}
            }
        }
    }

    /// Goes on with a rotation that was cut off, and retires keys whose last tokens have expired.
    async fn tend_keys(&self) -> Result<(), Fault> {
        let resealed = self.keys.reseal().await?;
        if resealed > 0 {
            info!(secrets = resealed, "sealed secrets of a former key anew");
        }
        self.keys.retire(FORMER_KEYS_FOR).await.map(drop)
    }

    async fn purge_audit(&self, stop: &CancellationToken) -> Result<(), Fault> {
        let Some(before) = self.days_ago(self.retention.audit_days) else {
            return Ok(());
        };
        let purge = || self.audit.purge(before, STEP_ROWS);
        let removed = in_steps(stop, purge).await?;
        if removed > 0 {
            info!(entries = removed, "cut back the audit log");
        }
        Ok(())
    }

    async fn purge_runs(&self, stop: &CancellationToken) -> Result<(), Fault> {
        let Some(before) = self.days_ago(self.retention.run_days) else {
            return Ok(());
        };
        let purge = || self.runs.purge(before, STEP_ROWS);
        let removed = in_steps(stop, purge).await?;
        if removed > 0 {
            info!(runs = removed, "forgot old runs");
        }
        Ok(())
    }

    /// None when things are kept for ever.
    fn days_ago(&self, days: u32) -> Option<Millis> {
        let age = i64::from(days).saturating_mul(DAY_MS);
        (days > 0).then(|| self.clock.now().plus_millis(-age))
    }
}

async fn in_steps<F>(stop: &CancellationToken, step: impl Fn() -> F) -> Result<u64, Fault>
where
    F: Future<Output = Result<u64, Fault>>,
{
    let mut removed = 0;
    for _ in 0..STEPS_MAX {
        let rows = step().await?;
        removed += rows;
        if rows < u64::from(STEP_ROWS) || stop.is_cancelled() {
            break;
        }
    }
    Ok(removed)
}
