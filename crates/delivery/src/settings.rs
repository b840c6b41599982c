//! What an operator can set about deliveries. Data only; parts are injected as [`Deps`](crate::Deps).

use std::time::Duration;

use offtake_core::delivery::Policy;
use offtake_core::plan::Limits;

/// Settings of the delivery service. `Settings::default()` is what production uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a lease lasts without renewal. It is renewed three times in this span. Default 60 s.
    pub lease_ttl: Duration,
    /// A lease is no longer renewed when its delivery moved nothing for this long. Default 10 min.
    pub progress_max: Duration,
    /// How often the schedule and the queue are looked at without a nudge. Default 1 s.
    pub tick: Duration,
    /// Deliveries under way at the same time. Default 4.
    pub parallel: usize,
    /// How long deliveries may go on after shutdown was asked for. Default 25 s.
    pub drain: Duration,
    /// How often leftovers are looked for. Default 1 min.
    pub janitor_every: Duration,
    /// How long an ended delivery's leftovers are kept. Default 12 min: twice the lease and ten minutes.
    pub leftover_grace: Duration,
    /// The machine's patience: waits, attempts and windows.
    pub policy: Policy,
    /// How large the planned files become.
    pub plan: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_mins(1),
            progress_max: Duration::from_mins(10),
            tick: Duration::from_secs(1),
            parallel: 4,
            drain: Duration::from_secs(25),
            janitor_every: Duration::from_mins(1),
            leftover_grace: Duration::from_mins(12),
            policy: Policy::default(),
            plan: Limits::default(),
        }
    }
}
