//! A lease's pulse: renewed while its delivery moves, and a local guard that stops counting on it in time.
//!
//! The guard is a courtesy to whoever claims next. Safety comes from the journal's guards, never from here.
//!
//! The one law: a delivery that moves nothing does not keep its lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use offtake_core::delivery::DeliveryEvent;
use offtake_model::{Lease, Millis};
use offtake_ports::journal::Renewed;
use tokio::sync::mpsc;

use crate::service::Context;

/// Renewals within the span of one lease.
const BEATS_PER_TTL: u32 = 3;

/// The part of a lease's span before its end at which the local guard gives up, as a divisor.
const MARGIN_DIVISOR: u32 = 6;

/// What driver, tasks and heartbeat know together about one lease.
#[derive(Debug)]
pub(crate) struct Pulse {
    moved_at: AtomicI64,
    waits: AtomicUsize,
    trusted_until: AtomicI64,
}

/// A declared wait: as long as it lives, standing still counts as moving.
#[derive(Debug)]
pub(crate) struct DeclaredWait(Arc<Pulse>);

impl Pulse {
    pub(crate) fn new(now: Millis, ttl: Duration) -> Arc<Self> {
        Arc::new(Self {
            moved_at: AtomicI64::new(now.0),
            waits: AtomicUsize::new(0),
            trusted_until: AtomicI64::new(trust(now, ttl).0),
        })
    }

    /// Something moved.
    pub(crate) fn moved(&self, now: Millis) {
        self.moved_at.store(now.0, Ordering::Relaxed);
    }

    /// Declares a wait.
    pub(crate) fn wait(self: &Arc<Self>) -> DeclaredWait {
        self.waits.fetch_add(1, Ordering::Relaxed);
        DeclaredWait(Arc::clone(self))
    }

    /// Whether the lease can still be counted on.
    pub(crate) fn trusted(&self, now: Millis) -> bool {
        now.0 < self.trusted_until.load(Ordering::Relaxed)
    }

    fn stalled(&self, now: Millis, progress_max: Duration) -> bool {
        let idle = now.since(Millis(self.moved_at.load(Ordering::Relaxed)));
        self.waits.load(Ordering::Relaxed) == 0 && idle > millis(progress_max)
    }

    fn renewed(&self, sent: Millis, ttl: Duration) {
        self.trusted_until
            .store(trust(sent, ttl).0, Ordering::Relaxed);
    }
}

impl Drop for DeclaredWait {
    fn drop(&mut self) {
        self.0.waits.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Renews the lease until it is lost or the future is dropped; says so when somebody asked to cancel.
pub(crate) async fn beat(
    context: Arc<Context>,
    mut lease: Lease,
    pulse: Arc<Pulse>,
    heart: mpsc::Sender<DeliveryEvent>,
) {
    let ttl = context.settings.lease_ttl;
    let clock = &context.deps.clock;
    let mut cancelled = false;
    loop {
        clock.sleep(ttl / BEATS_PER_TTL).await;
        let sent = clock.now();
        if !pulse.trusted(sent) {
            tracing::warn!(delivery.id = %lease.delivery, "the lease was not renewed in time");
            let _ = heart.send(DeliveryEvent::Fenced).await;
            return;
        }
        if pulse.stalled(sent, context.settings.progress_max) {
            tracing::warn!(delivery.id = %lease.delivery, "nothing moves: the lease is not renewed");
            continue;
        }
        match context.deps.queue.renew(&lease, ttl).await {
            Ok(Renewed::Done {
                lease: renewed,
                cancel_requested,
            }) => {
                pulse.renewed(sent, ttl);
                lease = renewed;
                if cancel_requested && !cancelled {
                    cancelled = true;
                    let _ = heart.send(DeliveryEvent::CancelRequested).await;
                }
            }
            Ok(Renewed::Fenced) => {
                let _ = heart.send(DeliveryEvent::Fenced).await;
                return;
            }
            Err(fault) => {
                tracing::warn!(delivery.id = %lease.delivery, %fault, "lease not renewed");
            }
        }
    }
}

fn trust(sent: Millis, ttl: Duration) -> Millis {
    sent.plus_millis(millis(ttl.saturating_sub(ttl / MARGIN_DIVISOR)))
}

/// The duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
