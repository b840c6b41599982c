//! What is taken away when its time is over, what is not, and what a sweep that was stopped midway leaves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_delivery::{Retention, RetentionDeps, Sweep};
use offtake_model::{
    AttemptTag, DeliveryId, DeliveryState, ErrorCode, Fault, Millis, StageHandle, StageToken,
    Tenant,
};
use offtake_ports::testing::memory_sink::MemorySink;
use offtake_ports::{
    Discarded, Outdated, Published, RetainedSink, RetentionLog, Seen, StagedSink, StagedUpload,
    Withdrawn, Zones,
};

use crate::scenario::{World, tenant};

const KEEP: Duration = Duration::from_hours(24 * 7);

/// The world's deliveries, and which of them were noted as taken away.
struct Log {
    world: Arc<World>,
    expired: Mutex<BTreeSet<DeliveryId>>,
}

#[async_trait]
impl RetentionLog for Log {
    async fn outdated(
        &self,
        before: Millis,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Outdated>, Fault> {
        let expired = self.expired.lock().unwrap().clone();
        let inner = self.world.store.inner();
        let rows = inner.rows.values().zip(1_i64..);
        let old = rows.filter(|(row, number)| {
            row.record.state == DeliveryState::Succeeded
                && row.ended_at.is_some_and(|ended| ended < before)
                && *number > after
                && !expired.contains(&row.record.id)
        });
        let outdated = old.map(|(row, number)| Outdated {
            number,
            delivery: row.record.id,
            tenant: tenant(),
            plan: row.record.plan.clone().unwrap(),
            manifest: row.record.manifest.clone().unwrap().into(),
            files: row
                .record
                .winners
                .iter()
                .map(|winner| winner.file.token.handle.clone())
                .collect(),
        });
        Ok(outdated.take(usize::try_from(limit).unwrap()).collect())
    }

    async fn expired(&self, _tenant: &Tenant, delivery: DeliveryId) -> Result<(), Fault> {
        self.expired.lock().unwrap().insert(delivery);
        Ok(())
    }
}

/// The world's landing zone, which stops answering after some changes.
#[derive(Clone)]
struct Zone {
    sink: MemorySink,
    changes_left: Arc<AtomicUsize>,
}

impl Zone {
    fn change(&self) -> Result<(), Fault> {
        let taken = self
            .changes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        taken
            .map(drop)
            .map_err(|_| Fault::new(ErrorCode::DestinationUnreachable, "the zone is gone"))
    }
}

#[async_trait]
impl Zones for Zone {
    async fn zone(&self, _tenant: &Tenant) -> Result<Arc<dyn RetainedSink>, Fault> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl RetainedSink for Zone {
    async fn withdraw(&self, key: &str, bytes: &Bytes) -> Result<Withdrawn, Fault> {
        self.change()?;
        self.sink.withdraw(key, bytes).await
    }
}

#[async_trait]
impl StagedSink for Zone {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        self.sink.begin(key, tag).await
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        self.sink.publish(token).await
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        self.sink.discard(handle).await
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        self.change()?;
        self.sink.retract(handle).await
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        self.sink.look(token).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        self.change()?;
        self.sink.put(key, bytes).await
    }

    async fn probe(&self) -> Result<(), Fault> {
        self.sink.probe().await
    }
}

/// A world with one delivery of two files, as old as it may become.
async fn delivered() -> Arc<World> {
    let world = World::new(2).await;
    let process = world.start();
    world.reaches(DeliveryState::Succeeded).await;
    process.kill().await;
    Arc::new(world)
}

fn retention(world: &Arc<World>, changes: usize) -> Retention {
    let zone = Zone {
        sink: world.place.sink(&world.sink()),
        changes_left: Arc::new(AtomicUsize::new(changes)),
    };
    let log = Log {
        world: Arc::clone(world),
        expired: Mutex::default(),
    };
    let deps = RetentionDeps {
        log: Arc::new(log),
        zones: Arc::new(zone),
        clock: Arc::new(world.clock.clone()),
    };
    Retention::new(deps, KEEP)
}

fn keys(world: &World) -> Vec<String> {
    world.place.keys(&world.sink())
}

#[tokio::test]
async fn a_delivery_goes_when_its_time_is_over_and_only_the_word_stays() {
    let world = delivered().await;
    let before = keys(&world);
    let retention = retention(&world, usize::MAX);
    world.clock.advance(KEEP);
    assert_eq!(retention.sweep().await, Ok(Sweep::default()));
    assert_eq!(keys(&world), before);

    world.clock.advance(Duration::from_millis(1));
    let one = Sweep {
        expired: 1,
        failed: 0,
    };
    assert_eq!(retention.sweep().await, Ok(one));
    let manifest = before
        .iter()
        .find(|key| key.ends_with(".manifest"))
        .unwrap();
    let word = manifest.replace(".manifest", ".expired");
    assert_eq!(keys(&world), [word]);
    assert_eq!(retention.sweep().await, Ok(Sweep::default()));
}

#[tokio::test]
async fn what_others_put_at_names_of_ours_stays() {
    let world = delivered().await;
    let before = keys(&world);
    for key in &before {
        world.place.plant(&world.sink(), key, b"somebody else's");
    }
    world.place.plant(&world.sink(), "out/foreign", b"x");
    world.clock.advance(KEEP + Duration::from_millis(1));
    retention(&world, usize::MAX).sweep().await.unwrap();
    for key in &before {
        let bytes = world.place.read(&world.sink(), key).unwrap();
        assert_eq!(bytes, "somebody else's", "{key}");
    }
    assert!(keys(&world).contains(&"out/foreign".to_owned()));
}

#[tokio::test]
async fn a_sweep_that_was_stopped_anywhere_is_finished_by_the_next_and_no_manifest_lies() {
    for changes in 0.. {
        let world = delivered().await;
        let before = keys(&world);
        world.clock.advance(KEEP + Duration::from_millis(1));
        let swept = retention(&world, changes).sweep().await.unwrap();

        let left = keys(&world);
        let manifest = |key: &&String| key.ends_with(".manifest");
        let word = |key: &String| key.ends_with(".expired");
        if left.iter().any(|key| manifest(&key)) && !left.iter().any(word) {
            assert_eq!(left, before, "{changes}: a manifest without all its files");
        }
        if swept.expired == 1 {
            assert!(changes >= 5, "word, two manifests and two files");
            return;
        }
        assert_eq!((swept.expired, swept.failed), (0, 1));
        let rest = retention(&world, usize::MAX).sweep().await.unwrap();
        assert_eq!((rest.expired, rest.failed), (1, 0), "{changes}");
        assert!(
            keys(&world).iter().all(word),
            "{changes}: {:?}",
            keys(&world)
        );
    }
}
