//! The machine's patience: how long it waits after which fault, and when it gives up.
//!
//! Delays follow from counts alone, so that a replay of the same events takes the same decisions.
//!
//! The one law: every wait is bounded.

use std::time::Duration;

use offtake_model::DeliveryRecord;

/// Bounds of a delivery's patience and parallelism. `Policy::default()` is what production uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first wait; each following one is twice as long. Default 30 s.
    pub retry_first: Duration,
    /// The longest wait. Default 30 min.
    pub retry_max: Duration,
    /// How often a delivery is tried in all before a fault that may pass by itself ends it. Default 5.
    pub attempts_max: u32,
    /// How many claims in a row may end without a word and without progress, by a crash or a lost lease, before the
    /// delivery is given up. Default 10.
    pub claims_lost_max: u32,
    /// How long in all it waits for somebody to mend credentials. Default 24 h.
    pub credentials_grace: Duration,
    /// How long in all a delivery that can't turn back tries to reach its destination, before a person is
    /// asked. Default 24 h.
    pub stuck_grace: Duration,
    /// How often its files may be frozen anew because staged ones vanished. Default 32.
    pub freezes_max: u32,
    /// Tasks of one delivery that run at the same time. Default 4.
    pub tasks_parallel: usize,
    /// Calls of one delivery to its destination at the same time. Default 8.
    pub calls_parallel: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_secs(30),
            retry_max: Duration::from_mins(30),
            attempts_max: 5,
            claims_lost_max: 10,
            credentials_grace: Duration::from_hours(24),
            stuck_grace: Duration::from_hours(24),
            freezes_max: 32,
            tasks_parallel: 4,
            calls_parallel: 8,
        }
    }
}

impl Policy {
    /// The length of the wait that comes after `waits` others.
    fn delay(&self, waits: u32) -> Duration {
        let factor = 1_u32.checked_shl(waits).unwrap_or(u32::MAX);
        self.retry_first.saturating_mul(factor).min(self.retry_max)
    }

    /// The next wait within `grace`, or none when the waits so far have used it up.
    fn within(&self, grace: Duration, waits: u32) -> Option<Duration> {
        let mut spent = Duration::ZERO;
        for wait in 0..waits {
            spent = spent.saturating_add(self.delay(wait));
            if spent >= grace {
                return None;
            }
        }
        Some(self.delay(waits))
    }

    /// The wait after a fault that may pass by itself. Waits for credentials do not count against it.
    pub(super) fn wait(&self, record: &DeliveryRecord) -> Option<Duration> {
        let waits = record.attempt.saturating_sub(record.credential_waits);
        (waits.saturating_add(1) < self.attempts_max).then(|| self.delay(waits))
    }

    /// The wait for somebody to mend credentials. Other waits do not count against it.
    pub(super) fn wait_for_credentials(&self, record: &DeliveryRecord) -> Option<Duration> {
        self.within(self.credentials_grace, record.credential_waits)
    }

    /// Whether so many claims ended without a word that one more would end so too.
    pub(super) const fn worn_out(&self, record: &DeliveryRecord) -> bool {
        record.claims_lost >= self.claims_lost_max
    }

    /// The pause of a delivery that can't turn back.
    pub(super) fn pause(&self, pauses: u32) -> Option<Duration> {
        self.within(self.stuck_grace, pauses)
    }
}

/// The duration in whole milliseconds.
pub(super) const fn millis(duration: Duration) -> i64 {
    let millis = duration.as_millis();
    if millis > i64::MAX as u128 {
        return i64::MAX;
    }
    #[expect(clippy::cast_possible_truncation, reason = "compared one line above")]
    let millis = millis as i64;
    millis
}
