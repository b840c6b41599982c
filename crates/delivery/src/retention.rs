//! Retention: takes deliveries out of landing zones when they have been there long enough.
//!
//! A delivery goes as a whole and in an order that leaves no reader in doubt: first the word that it expired appears
//! beside its manifest, then the manifest goes, then the documented one, then the files. Whatever interrupts this,
//! the next sweep begins the delivery anew, and what is gone already counts as removed.
//!
//! It works from recorded manifests and handles only. It lists nothing, and what somebody else put at a name of ours
//! is left alone.
//!
//! The one law: as long as a manifest stands without the word beside it, its files stand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offtake_core::manifest;
use offtake_model::Fault;
use offtake_ports::{Clock, Outdated, RetainedSink, RetentionLog, Withdrawn, Zones};
use tokio_util::sync::CancellationToken;

use crate::failpoint::failpoint;
use crate::pulse::millis;

/// Deliveries read at a time.
const PAGE: u32 = 100;

/// Longest pause between two sweeps.
const SWEEP_EVERY_MAX: Duration = Duration::from_hours(1);

/// What retention works with.
#[derive(Clone)]
pub struct RetentionDeps {
    /// Says whose time is over.
    pub log: Arc<dyn RetentionLog>,
    /// Where the files are.
    pub zones: Arc<dyn Zones>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The loop that sweeps landing zones.
#[derive(Clone)]
pub struct Retention {
    deps: RetentionDeps,
    keep: Duration,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Deliveries that were taken away.
    pub expired: u32,
    /// Deliveries that could not be; the next sweep tries again.
    pub failed: u32,
}

impl Retention {
    /// Keeps deliveries for `keep` after they succeeded.
    pub const fn new(deps: RetentionDeps, keep: Duration) -> Self {
        Self { deps, keep }
    }

    /// Sweeps at once and then every hour, until `stop` is cancelled.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                swept = self.sweep() => match swept {
                    Ok(Sweep { expired: 0, failed: 0 }) => {}
                    Ok(Sweep { expired, failed }) => tracing::info!(expired, failed, "landing zones swept"),
                    Err(fault) => tracing::warn!(%fault, "landing zones not swept"),
                },
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.deps.clock.sleep(SWEEP_EVERY_MAX.min(self.keep)) => {}
            }
        }
    }

    /// Takes away every delivery whose time is over.
    pub async fn sweep(&self) -> Result<Sweep, Fault> {
        let before = self.deps.clock.now().plus_millis(-millis(self.keep));
        let mut sweep = Sweep::default();
        let mut after = 0;
        loop {
            let page = self.deps.log.outdated(before, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(sweep);
            };
            after = last.number;
            for outdated in &page {
                match self.expire(outdated).await {
                    Ok(()) => sweep.expired += 1,
                    Err(fault) => {
                        sweep.failed += 1;
                        tracing::warn!(delivery.id = %outdated.delivery, %fault, "delivery not taken away");
                    }
                }
            }
        }
    }

    async fn expire(&self, outdated: &Outdated) -> Result<(), Fault> {
        let zone = self.deps.zones.zone(&outdated.tenant).await?;
        let plan = &outdated.plan;
        let word = manifest::expired(plan)?;
        zone.put(&manifest::expired_key(&plan.manifest_key), word.into())
            .await?;
        withdraw(&*zone, &plan.manifest_key, &outdated.manifest).await?;
        failpoint!("after-manifest-withdrawn");
        if let Some(key) = &plan.file_manifest_key {
            let frozen = manifest::parse(&outdated.manifest)?;
            let documented = manifest::file_manifest(plan, &frozen)?;
            withdraw(&*zone, key, &documented.into()).await?;
        }
        for handle in &outdated.files {
            zone.retract(handle).await?;
        }
        self.deps
            .log
            .expired(&outdated.tenant, outdated.delivery)
            .await
    }
}

async fn withdraw(zone: &dyn RetainedSink, key: &str, bytes: &Bytes) -> Result<(), Fault> {
    match zone.withdraw(key, bytes).await? {
        Withdrawn::Gone => {}
        Withdrawn::Foreign => {
            tracing::warn!(
                key,
                "left alone in the landing zone: it is not what offtake put there"
            );
        }
    }
    Ok(())
}
