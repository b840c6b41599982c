//! Promotes batches, one after the other, for as long as the service runs.
//!
//! Decides nothing: which batch is next and what becomes of it is the service's business.
//! The one law: a promotion under way is not interrupted by a stop; what a kill interrupts is resumed on the next start.

use std::sync::Arc;
use std::time::Duration;

use offtake_service::Service;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Longest time between two looks at what waits.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks between two removals of forgotten uploads.
const LOOKS_PER_TIDYING: u32 = 1_800;

/// Wakes the promoter.
#[derive(Clone, Default)]
pub(crate) struct Promotions(Arc<Notify>);

impl Promotions {
    /// Says that something may be due.
    pub(crate) fn nudge(&self) {
        self.0.notify_one();
    }
}

/// The loop.
pub(crate) struct Promoter {
    service: Arc<Service>,
    wake: Promotions,
}

impl Promoter {
    pub(crate) fn new(service: Arc<Service>, wake: Promotions) -> Self {
        Self { service, wake }
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut looks = 0_u32;
        while !stop.is_cancelled() {
            if looks.is_multiple_of(LOOKS_PER_TIDYING)
                && let Err(fault) = self.service.tidy_uploads().await
            {
                warn!(code = %fault.code, "forgotten uploads were not removed: {}", fault.message);
            }
            looks = looks.wrapping_add(1);
            match self.service.promote_next().await {
                Ok(true) => {
                    debug!("a batch was worked on");
                    continue;
                }
                Ok(false) => {}
                Err(fault) => {
                    warn!(code = %fault.code, "batches could not be promoted: {}", fault.message);
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.0.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}
