//! How long a call is repeated when a store is busy or silent: full jitter, a bounded count and a bounded time.
//!
//! The door itself repeats nothing; whoever knows what may be repeated asks here.
//!
//! The one law: waiting ends.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// Bounds of repeating one call.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// How often a call is made at most.
    pub calls_max: u32,
    /// The first pause is at most this long, each further one at most twice the one before.
    pub pause_first: Duration,
    /// No pause is longer, also when the store asks for it.
    pub pause_max: Duration,
    /// No pause begins that would end later than this after the first call.
    pub total_max: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            calls_max: 7,
            pause_first: Duration::from_millis(200),
            pause_max: Duration::from_secs(20),
            total_max: Duration::from_mins(1),
        }
    }
}

/// What is left of them for one call.
#[derive(Debug)]
pub struct RetriesLeft {
    bounds: Retries,
    calls: u32,
    until: Instant,
}

impl Retries {
    /// Begins a call: it is being made for the first time.
    pub fn begin(self) -> RetriesLeft {
        RetriesLeft {
            bounds: self,
            calls: 1,
            until: Instant::now() + self.total_max,
        }
    }
}

impl RetriesLeft {
    /// Waits before the next call. `false` when there is none.
    pub async fn pause(&mut self, asked: Option<Duration>) -> bool {
        if self.calls >= self.bounds.calls_max {
            return false;
        }
        let doubled = 1_u32.checked_shl(self.calls - 1).unwrap_or(u32::MAX);
        let most = self.bounds.pause_first.saturating_mul(doubled);
        let pause = most.min(self.bounds.pause_max).mul_f64(fraction());
        let pause = pause.max(asked.unwrap_or_default().min(self.bounds.pause_max));
        if Instant::now() + pause > self.until {
            return false;
        }
        self.calls += 1;
        tokio::time::sleep(pause).await;
        true
    }
}

/// A random number from 0 to 1.
fn fraction() -> f64 {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    // The version stands in the low half of these bits.
    let bits = u32::try_from(high >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Retries;

    #[tokio::test]
    async fn calls_are_counted() {
        let retries = Retries {
            calls_max: 3,
            pause_first: Duration::from_nanos(1),
            ..Retries::default()
        };
        let mut left = retries.begin();
        assert!(left.pause(None).await);
        assert!(left.pause(None).await);
        assert!(!left.pause(None).await);
    }

    #[tokio::test]
    async fn a_pause_that_ends_too_late_is_not_begun() {
        let retries = Retries {
            total_max: Duration::from_secs(5),
            ..Retries::default()
        };
        let mut left = retries.begin();
        assert!(!left.pause(Some(Duration::from_secs(10))).await);
    }
}
