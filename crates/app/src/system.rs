//! The real clock and the real source of randomness.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use offtake_model::Millis;
use offtake_ports::{Clock, Ids};

/// The system's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Millis {
        // A clock before 1970 reads as 1970: instants are for people and schedules, never for safety.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The system's randomness.
#[derive(Debug)]
pub(crate) struct SystemIds;

impl Ids for SystemIds {
    fn bytes16(&self) -> [u8; 16] {
        uuid::Uuid::new_v4().into_bytes()
    }
}
