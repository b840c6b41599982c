//! A clock that stands still until a test moves it.
//!
//! It doesn't follow real time in any way.
//!
//! The one law: a sleeper wakes when, and only when, the clock was moved to its instant or past it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use offtake_model::Millis;

use crate::system::Clock;

/// A hand-moved clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    face: Arc<Mutex<Face>>,
}

#[derive(Debug)]
struct Face {
    now: Millis,
    next_sleeper: u64,
    sleepers: BTreeMap<(Millis, u64), Option<Waker>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Millis) -> Self {
        Self {
            face: Arc::new(Mutex::new(Face {
                now,
                next_sleeper: 0,
                sleepers: BTreeMap::new(),
            })),
        }
    }

    /// Moves it forward.
    pub fn advance(&self, duration: Duration) {
        let now = self.face().now;
        self.set(later(now, duration));
    }

    /// Sets it, also backwards; wakes the sleepers whose instant has come.
    pub fn set(&self, now: Millis) {
        let due: Vec<Waker> = {
            let mut face = self.face();
            face.now = now;
            face.sleepers
                .range_mut(..=(now, u64::MAX))
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        for waker in due {
            waker.wake();
        }
    }

    /// The instant the earliest sleeper waits for.
    pub fn next_wake(&self) -> Option<Millis> {
        let face = self.face();
        let now = face.now;
        face.sleepers.keys().map(|(at, _)| *at).find(|at| *at > now)
    }

    fn face(&self) -> MutexGuard<'_, Face> {
        self.face.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.face().now
    }

    async fn sleep(&self, duration: Duration) {
        let sleep = {
            let mut face = self.face();
            let id = face.next_sleeper;
            face.next_sleeper += 1;
            let at = later(face.now, duration);
            face.sleepers.insert((at, id), None);
            Sleep {
                clock: self.clone(),
                entry: (at, id),
            }
        };
        sleep.await;
    }
}

struct Sleep {
    clock: ManualClock,
    entry: (Millis, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut face = self.clock.face();
        if face.now >= self.entry.0 {
            return Poll::Ready(());
        }
        face.sleepers
            .insert(self.entry, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.face().sleepers.remove(&self.entry);
    }
}

fn later(now: Millis, duration: Duration) -> Millis {
    now.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use offtake_model::Millis;

    use super::ManualClock;
    use crate::system::Clock;

    #[test]
    fn a_sleeper_wakes_when_its_instant_has_come_and_not_before() {
        let clock = ManualClock::new(Millis(1_000));
        let mut sleep = clock.sleep(Duration::from_secs(2));
        assert!((&mut sleep).now_or_never().is_none());
        assert_eq!(clock.next_wake(), Some(Millis(3_000)));
        clock.advance(Duration::from_millis(1_999));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_millis(1));
        assert!((&mut sleep).now_or_never().is_some());
        assert_eq!(clock.next_wake(), None);
    }
}
