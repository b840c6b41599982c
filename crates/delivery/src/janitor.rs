//! The janitor: discards what ended deliveries left staged.
//!
//! It works from recorded handles only. It lists nothing, deletes nothing visible and touches no delivery that
//! has not ended.
//!
//! The one law: what is not in the journal is not ours.

use offtake_model::delivery::Leftover;
use offtake_model::{Attempt, Fault};
use offtake_ports::sink::StagedSink;
use tokio_util::sync::CancellationToken;

use crate::pulse::millis;
use crate::service::{Context, sleep};

/// Deliveries looked at in one round.
const LEFTOVERS_PER_ROUND: u32 = 100;

/// Sweeps until the service is to stop.
pub(crate) async fn run(context: &Context, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            swept = sweep(context) => if let Err(fault) = swept {
                tracing::warn!(%fault, "leftovers not swept");
            },
        }
        if !sleep(context, stop, context.settings.janitor_every).await {
            return;
        }
    }
}

async fn sweep(context: &Context) -> Result<(), Fault> {
    let grace = millis(context.settings.leftover_grace);
    let before = context.deps.clock.now().plus_millis(-grace);
    let leftovers = context
        .deps
        .journal
        .leftovers(before, LEFTOVERS_PER_ROUND)
        .await?;
    for leftover in leftovers {
        if let Err(fault) = sweep_delivery(context, &leftover).await {
            tracing::warn!(delivery.id = %leftover.delivery, %fault, "leftovers of a delivery not swept");
        }
    }
    Ok(())
}

async fn sweep_delivery(context: &Context, leftover: &Leftover) -> Result<(), Fault> {
    let sink = context.deps.sinks.open(&leftover.sink).await?;
    for attempt in &leftover.attempts {
        discard(&*sink, attempt).await?;
        context
            .deps
            .journal
            .swept(leftover.delivery, attempt.id)
            .await?;
    }
    Ok(())
}

/// An attempt without a handle never got as far as an upload that we could name.
async fn discard(sink: &dyn StagedSink, attempt: &Attempt) -> Result<(), Fault> {
    if let Some(handle) = &attempt.handle {
        let _either = sink.discard(handle).await?;
    }
    Ok(())
}
