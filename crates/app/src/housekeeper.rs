//! Cuts back what grows with time, for as long as the service runs.
//!
//! Decides nothing but when: how long things are kept stands in the configuration, what may go is the store's
//! business.
//! The one law: a step is small, so that nobody waits for housekeeping.

use std::sync::Arc;
use std::time::Duration;

use offtake_model::Fault;
use offtake_ports::{AuditLog, Clock};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::RetentionConfig;

/// Time between two rounds.
const ROUND_EVERY: Duration = Duration::from_secs(600);

/// Rows removed in one transaction.
const STEP_ROWS: u32 = 500;

/// Steps of one round; what is left over waits for the next.
const STEPS_MAX: u32 = 2_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The loop.
pub(crate) struct Housekeeper {
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    audit_days: u32,
}

impl Housekeeper {
    pub(crate) fn new(
        audit: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
        retention: &RetentionConfig,
    ) -> Self {
        Self {
            audit,
            clock,
            audit_days: retention.audit_days,
        }
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(fault) = self.purge_audit(&stop).await {
                warn!(code = %fault.code, "the audit log was not cut back: {}", fault.message);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(ROUND_EVERY) => {}
            }
        }
    }

    async fn purge_audit(&self, stop: &CancellationToken) -> Result<(), Fault> {
        if self.audit_days == 0 {
            return Ok(());
        }
        let before = self
            .clock
            .now()
            .plus_millis(-i64::from(self.audit_days).saturating_mul(DAY_MS));
        let mut removed = 0;
        for _ in 0..STEPS_MAX {
            let step = self.audit.purge(before, STEP_ROWS).await?;
            removed += step;
            if step < u64::from(STEP_ROWS) || stop.is_cancelled() {
                break;
            }
        }
        if removed > 0 {
            info!(
                entries = removed,
                days = self.audit_days,
                "cut back the audit log"
            );
        }
        Ok(())
    }
}
