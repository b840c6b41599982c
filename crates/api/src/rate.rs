//! How often each client may ask: a bucket of requests that fills again with time.
//!
//! The one law: what is remembered is bounded, whoever asks from however many places.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most buckets that are remembered.
const BUCKETS_MAX: usize = 10_000;

/// How often somebody may ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests a second, in the long run; no limit when 0.
    pub per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
}

/// One bucket for each key.
pub(crate) struct Buckets<K> {
    rate: Rate,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * f64::from(rate.per_second)).min(f64::from(rate.burst));
        self.at = now;
    }
}

impl<K: Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate: Rate {
                burst: rate.burst.max(1),
                ..rate
            },
            buckets: Mutex::default(),
        }
    }

    /// Takes one request out of the bucket; otherwise tells how long until there is one.
    pub(crate) fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        if rate.per_second == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            make_room(&mut buckets, rate, now);
        }
        let bucket = buckets.entry(key).or_insert_with(|| Bucket {
            left: f64::from(rate.burst),
            at: now,
        });
        bucket.fill(rate, now);
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - bucket.left) / f64::from(rate.per_second);
        Err(Duration::from_secs_f64(missing))
    }
}

/// A full bucket says no more than none. When none is full, forgetting all is the cheaper error.
fn make_room<K: Eq + Hash>(buckets: &mut HashMap<K, Bucket>, rate: Rate, now: Instant) {
    buckets.retain(|_, bucket| {
        bucket.fill(rate, now);
        bucket.left < f64::from(rate.burst)
    });
    if buckets.len() >= BUCKETS_MAX {
        buckets.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{BUCKETS_MAX, Buckets, Rate};

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let buckets = Buckets::new(RATE);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(buckets.take("a", start), Ok(()));
        }
        let wait = buckets.take("a", start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(
            buckets.take("b", start),
            Ok(()),
            "another's bucket is its own"
        );
        assert_eq!(buckets.take("a", start + wait), Ok(()));
        assert!(buckets.take("a", start + wait).is_err());
        let rested = start + Duration::from_mins(1);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", rested), Ok(()));
        }
        assert!(
            buckets.take("a", rested).is_err(),
            "a pause saves up a burst, no more"
        );
    }

    #[test]
    fn a_rate_of_nothing_limits_nothing() {
        let buckets = Buckets::new(Rate {
            per_second: 0,
            burst: 0,
        });
        let now = Instant::now();
        assert!((0..1000).all(|_| buckets.take("a", now).is_ok()));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let buckets = Buckets::new(RATE);
        let now = Instant::now();
        for key in 0..=BUCKETS_MAX {
            assert_eq!(buckets.take(key, now), Ok(()));
        }
        assert!(buckets.buckets.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
