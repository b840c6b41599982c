use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use offtake_model::{Actor, Millis, OrgId, SandboxName, Tenant};
use offtake_ports::testing::ManualClock;
use offtake_ports::testing::journal::{Adapters, JournalBed};
use offtake_store::Store;
use tempfile::TempDir;

pub(crate) const START: Millis = Millis(1_700_000_000_000);

/// A directory for a store.
pub(crate) struct Bed {
    dir: TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn store(&self) -> Store {
        let clock = Arc::new(ManualClock::new(START));
        Store::open(self.path(), clock).await.unwrap()
    }
}

#[async_trait]
impl JournalBed for Bed {
    async fn open(&self, clock: Arc<ManualClock>) -> Adapters {
        let store = Store::open(self.path(), clock).await.unwrap();
        Adapters {
            queue: Arc::new(store.clone()),
            journal: Arc::new(store.clone()),
            resources: Arc::new(store.clone()),
            runs: Arc::new(store),
        }
    }
}

pub(crate) fn actor() -> Actor {
    Actor::service(tenant("prod"), "test")
}

pub(crate) fn tenant(sandbox: &str) -> Tenant {
    Tenant {
        org: OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned()),
        sandbox: SandboxName(sandbox.to_owned()),
    }
}
