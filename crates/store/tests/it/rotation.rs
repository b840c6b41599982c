//! A new key while the old one is in use.

use std::sync::Arc;
use std::time::Duration;

use offtake_model::resource::{
    Audit, Auth, Connection, ConnectionState, Object, SealedSecret, SpecRef,
};
use offtake_model::{Resource, ResourceBody, ResourceId, ResourceKind, Revision};
use offtake_ports::testing::ManualClock;
use offtake_ports::{Keys, ResourceStore, Secrets};
use offtake_store::{KeyFileSecrets, Store, StoredKeys};
use secrecy::{ExposeSecret, SecretString};

use crate::bed::{Bed, START, actor, tenant};

const DAY: Duration = Duration::from_hours(24);

fn place(id: &str) -> String {
    format!("connections/{id}/auth")
}

struct World {
    bed: Bed,
    clock: Arc<ManualClock>,
    store: Store,
    secrets: KeyFileSecrets,
    keys: StoredKeys,
}

impl World {
    async fn new() -> Self {
        Self::over(Bed::new(), Arc::new(ManualClock::new(START))).await
    }

    async fn over(bed: Bed, clock: Arc<ManualClock>) -> Self {
        let store = Store::open(bed.path(), Arc::<ManualClock>::clone(&clock))
            .await
            .unwrap();
        let secrets = KeyFileSecrets::open(bed.path()).unwrap();
        Self {
            keys: StoredKeys::new(store.clone(), secrets.clone(), place),
            bed,
            clock,
            store,
            secrets,
        }
    }

    /// Ends and begins again, with nothing remembered in memory.
    async fn restarted(self) -> Self {
        self.store.close().await;
        let Self {
            bed,
            clock,
            store,
            secrets,
            keys,
        } = self;
        drop((store, secrets, keys));
        Self::over(bed, clock).await
    }

    async fn add(&self, id: &str) {
        let plain = SecretString::from(format!("canary of {id}"));
        let sealed = self
            .secrets
            .seal(&tenant("prod"), &place(id), &plain)
            .await
            .unwrap();
        let resource = Resource {
            id: ResourceId(id.to_owned()),
            tenant: tenant("prod"),
            revision: Revision(1),
            audit: Audit {
                created_at: START,
                updated_at: START,
                created_by: "c".to_owned(),
                updated_by: "c".to_owned(),
                created_client: "c".to_owned(),
                updated_client: "c".to_owned(),
            },
            body: ResourceBody::Connection(Connection {
                name: id.to_owned(),
                description: None,
                spec: SpecRef {
                    id: "s".to_owned(),
                    version: "1.0".to_owned(),
                },
                auth: Some(Auth {
                    spec_name: "a".to_owned(),
                    shown: Object::new(),
                    sealed: Some(sealed),
                    authorized_date: "2026-01-01".to_owned(),
                }),
                state: ConnectionState::Enabled,
            }),
        };
        self.store.insert(&resource, &actor()).await.unwrap();
    }

    async fn sealed(&self, id: &str) -> SealedSecret {
        let id = ResourceId(id.to_owned());
        let found = self
            .store
            .get(&tenant("prod"), ResourceKind::Connection, &id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.revision, Revision(1), "sealing anew is no edit");
        let ResourceBody::Connection(connection) = found.body else {
            panic!("not a connection");
        };
        connection.auth.unwrap().sealed.unwrap()
    }

    async fn opens(&self, id: &str) -> bool {
        let sealed = self.sealed(id).await;
        let opened = self
            .secrets
            .reveal(&tenant("prod"), &place(id), &sealed)
            .await;
        opened.is_ok_and(|plain| plain.expose_secret() == format!("canary of {id}"))
    }

    /// Secrets by key, the current one's first.
    async fn counts(&self) -> Vec<u64> {
        self.keys
            .list()
            .await
            .unwrap()
            .iter()
            .map(|key| key.secrets)
            .collect()
    }
}

#[tokio::test]
async fn everything_is_sealed_anew_and_the_old_key_goes_when_its_time_is_over() {
    let world = World::new().await;
    for number in 0..45 {
        world.add(&format!("c{number}")).await;
    }
    let before = world.sealed("c0").await;
    let old = world.keys.list().await.unwrap()[0].id.clone();
    let new = world.keys.rotate().await.unwrap();
    assert_ne!(old, new);
    assert_eq!(world.counts().await, [0, 45]);
    assert!(world.opens("c0").await, "the old key opens what it sealed");
    assert_eq!(world.keys.reseal().await, Ok(45));
    assert_eq!(world.counts().await, [45, 0]);
    assert_ne!(world.sealed("c0").await, before);
    assert_eq!(world.keys.reseal().await, Ok(0));

    assert_eq!(world.keys.retire(DAY).await, Ok(Vec::new()), "not yet");
    world.clock.advance(DAY + Duration::from_secs(1));
    assert_eq!(world.keys.retire(DAY).await, Ok(vec![old]));
    let world = world.restarted().await;
    assert_eq!(world.counts().await, [45]);
    for number in 0..45 {
        assert!(world.opens(&format!("c{number}")).await);
    }
    let stolen = world
        .secrets
        .reveal(&tenant("prod"), &place("c0"), &before)
        .await;
    assert!(stolen.is_err(), "what the old key sealed is lost with it");
}

#[tokio::test]
async fn a_rotation_cut_off_between_any_two_steps_loses_nothing() {
    let world = World::new().await;
    world.add("one").await;
    world.keys.rotate().await.unwrap();
    // Cut off before anything was sealed anew.
    let world = world.restarted().await;
    assert!(world.opens("one").await);
    world.add("two").await;
    assert_eq!(
        world.counts().await,
        [1, 1],
        "what is new is sealed with the new key"
    );
    // Another one, on top of the unfinished one.
    world.keys.rotate().await.unwrap();
    let world = world.restarted().await;
    assert!(world.opens("one").await && world.opens("two").await);
    // A key with secrets left is not removed without them being sealed anew.
    assert_eq!(world.keys.retire(Duration::ZERO).await.unwrap().len(), 2);
    let world = world.restarted().await;
    assert!(world.opens("one").await && world.opens("two").await);
    assert_eq!(world.counts().await, [2]);
}

#[tokio::test]
async fn a_second_name_without_a_new_key_is_no_former_key() {
    let world = World::new().await;
    world.add("one").await;
    let id = world.keys.list().await.unwrap()[0].id.clone();
    let key = world.bed.path().join("offtake.key");
    // Where a rotation stands when the power goes before the new key is there.
    std::fs::hard_link(
        &key,
        world.bed.path().join(format!("offtake.key.former.{id}")),
    )
    .unwrap();
    let world = world.restarted().await;
    assert_eq!(world.counts().await, [1]);
    world.keys.rotate().await.unwrap();
    assert_eq!(world.counts().await, [0, 1]);
    assert!(world.opens("one").await);
}

#[tokio::test]
async fn whoever_holds_the_old_keys_learns_of_a_new_one() {
    let world = World::new().await;
    let worker = KeyFileSecrets::open(world.bed.path()).unwrap();
    world.keys.rotate().await.unwrap();
    world.add("one").await;
    let sealed = world.sealed("one").await;
    let opened = worker
        .reveal(&tenant("prod"), &place("one"), &sealed)
        .await
        .unwrap();
    assert_eq!(opened.expose_secret(), "canary of one");
}

#[tokio::test]
async fn what_is_derived_for_tokens_outlives_the_rotation_until_the_key_is_retired() {
    let world = World::new().await;
    let bytes = |world: &World| -> Vec<[u8; 32]> {
        let keys = world.keys.derive("tokens");
        keys.iter().map(|key| *key.expose_secret()).collect()
    };
    let before = bytes(&world);
    world.keys.rotate().await.unwrap();
    let during = bytes(&world);
    assert_eq!((during.len(), during[1]), (2, before[0]));
    world.keys.retire(Duration::ZERO).await.unwrap();
    assert_eq!(bytes(&world), [during[0]]);
}
