//! A world with one flow over one dataset, and processes that can be started and killed in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offtake_delivery::{DeliveryService, Deps, Settings};
use offtake_model::resource::{
    Audit, Connection, ConnectionState, Dataset, DatasetEntry, Flow, FlowState, LastOperation,
    SourceConnection, SpecRef, TableFormat, TargetConnection,
};
use offtake_model::{
    Actor, ConnectionId, DatasetId, DeliveryRecord, DeliveryState, ExportMode, FlowId, Manifest,
    Millis, OrgId, Resource, ResourceBody, ResourceId, Revision, SandboxName, Schedule, SinkRef,
    SourceRef, Tenant, TimeUnit,
};
use offtake_ports::testing::{FaultySinks, ManualClock, MemorySinks};
use offtake_ports::{Clock, Ids, ResourceStore};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::engine::LineEngine;
use crate::lake::OneTable;
use crate::store::{MemoryStore, Row};

pub(crate) const START: Millis = Millis(1_790_000_000_000);
const ZONE: &str = "10440537-2a7b-4583-ac39-ed38d4b848e8";
const HOURS: u32 = 3;
/// Turns of the runtime after which nothing can go on without time.
const TURNS: usize = 60;
/// Moves of the clock after which a test has failed.
const MOVES_MAX: usize = 5_000;

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: MemoryStore,
    pub(crate) lake: Arc<OneTable>,
    pub(crate) place: MemorySinks,
    pub(crate) sinks: FaultySinks,
    pub(crate) engine: LineEngine,
    ids: Arc<Counting>,
}

/// A running service. Dropping it kills it.
pub(crate) struct Process {
    pub(crate) service: DeliveryService,
    stop: CancellationToken,
    main: JoinHandle<()>,
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Ids for Counting {
    fn bytes16(&self) -> [u8; 16] {
        let next = u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1;
        next.to_be_bytes()
    }
}

pub(crate) fn tenant() -> Tenant {
    Tenant {
        org: OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned()),
        sandbox: SandboxName("prod".to_owned()),
    }
}

pub(crate) fn flow() -> FlowId {
    FlowId(Uuid::from_u128(1))
}

pub(crate) fn dataset() -> DatasetId {
    DatasetId("5f3c3cedb2805c194ff0b69a".to_owned())
}

impl World {
    /// A flow every three hours from [`START`] over a table of `files` data files.
    pub(crate) async fn new(files: u64) -> Self {
        let clock = ManualClock::new(START);
        let place = MemorySinks::new();
        let sinks = FaultySinks::new(Arc::new(place.clone()));
        let world = Self {
            store: MemoryStore::new(clock.clone()),
            clock,
            lake: Arc::new(OneTable::default()),
            place,
            engine: LineEngine::new(Arc::new(sinks.clone())),
            sinks,
            ids: Arc::default(),
        };
        world.lake.append(files);
        for resource in resources() {
            world
                .store
                .insert(&resource, &Actor::service(tenant(), "test"))
                .await
                .unwrap();
        }
        world
    }

    /// Starts a process in this world.
    pub(crate) fn start(&self) -> Process {
        let service = DeliveryService::new(
            Deps {
                queue: Arc::new(self.store.clone()),
                journal: Arc::new(self.store.clone()),
                resources: Arc::new(self.store.clone()),
                lake: Arc::<OneTable>::clone(&self.lake),
                sinks: Arc::new(self.sinks.clone()),
                engine: Arc::new(self.engine.clone()),
                clock: Arc::new(self.clock.clone()),
                ids: Arc::<Counting>::clone(&self.ids),
            },
            Settings {
                leftover_grace: Duration::from_mins(12),
                ..Settings::default()
            },
        );
        let stop = CancellationToken::new();
        let (running, token) = (service.clone(), stop.clone());
        let main = tokio::spawn(async move { running.run(token).await });
        Process {
            service,
            stop,
            main,
        }
    }

    /// Lets everything happen that needs no time.
    pub(crate) async fn settle(&self) {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }

    /// Moves time on, from sleeper to sleeper, until the condition holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..MOVES_MAX {
            self.settle().await;
            if holds(self) {
                return;
            }
            if let Some(next) = self.clock.next_wake() {
                self.clock.set(next);
            }
        }
        panic!("never happened: {what}; deliveries: {:?}", self.states());
    }

    /// Moves time on by `duration`, stopping at every sleeper.
    pub(crate) async fn pass(&self, duration: Duration) {
        let end = self
            .clock
            .now()
            .plus_millis(i64::try_from(duration.as_millis()).unwrap());
        self.settle().await;
        while let Some(next) = self.clock.next_wake().filter(|next| *next <= end) {
            self.clock.set(next);
            self.settle().await;
        }
        self.clock.set(end);
        self.settle().await;
    }

    pub(crate) fn states(&self) -> Vec<DeliveryState> {
        self.store
            .inner()
            .rows
            .values()
            .map(|row| row.record.state)
            .collect()
    }

    /// Something of the only delivery's row.
    pub(crate) fn row<T>(&self, read: impl FnOnce(&Row) -> T) -> T {
        let inner = self.store.inner();
        assert_eq!(inner.rows.len(), 1);
        read(inner.rows.values().next().unwrap())
    }

    pub(crate) fn record(&self) -> DeliveryRecord {
        self.row(|row| row.record.clone())
    }

    /// Waits for the only delivery to reach the state.
    pub(crate) async fn reaches(&self, state: DeliveryState) {
        let there = |world: &Self| world.states() == [state];
        self.until(state.name(), there).await;
    }

    pub(crate) fn sink(&self) -> SinkRef {
        self.store
            .inner()
            .rows
            .values()
            .next()
            .unwrap()
            .record
            .run
            .spec
            .sink
            .clone()
    }

    /// Keys a reader sees, without manifests.
    pub(crate) fn files(&self) -> Vec<String> {
        let keys = self.place.keys(&self.sink());
        keys.into_iter()
            .filter(|key| key.contains("part-"))
            .collect()
    }

    pub(crate) fn manifests(&self) -> Vec<Manifest> {
        let sink = self.sink();
        let keys = self
            .place
            .keys(&sink)
            .into_iter()
            .filter(|key| key.ends_with(".manifest"));
        let mut all: Vec<Manifest> = keys
            .map(|key| serde_json::from_slice(&self.place.read(&sink, &key).unwrap()).unwrap())
            .collect();
        all.sort_by_key(|manifest| manifest.seq);
        all
    }

    /// Asserts that readers of manifests get each source file up to `files` exactly once, in a chain of deliveries.
    #[track_caller]
    pub(crate) fn exactly_once(&self, files: u64) {
        let sink = self.sink();
        let mut lines: Vec<String> = Vec::new();
        for (seq, manifest) in (1_u64..).zip(self.manifests()) {
            assert_eq!(manifest.seq, seq);
            for file in &manifest.files {
                let bytes = self
                    .place
                    .read(&sink, &file.key)
                    .expect("a listed file is missing");
                assert_eq!(bytes.len() as u64, file.size);
                lines.extend(
                    String::from_utf8(bytes.to_vec())
                        .unwrap()
                        .lines()
                        .map(str::to_owned),
                );
            }
        }
        let mut expected: Vec<String> = (0..files).map(|n| format!("orders/{n}.parquet")).collect();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected);
    }
}

impl Process {
    /// Asks it to stop and does not wait.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    pub(crate) fn ended(&self) -> bool {
        self.main.is_finished()
    }

    /// Kills it between two steps.
    pub(crate) async fn kill(self) {
        self.main.abort();
        drop(self);
        tokio::task::yield_now().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.main.abort();
    }
}

#[expect(clippy::too_many_lines, reason = "one flow, written out")]
fn resources() -> [Resource; 5] {
    let [source, target, base] = [2, 3, 4].map(|id| ResourceId(Uuid::from_u128(id).to_string()));
    let spec = |id: &str| SpecRef {
        id: id.to_owned(),
        version: "1.0".to_owned(),
    };
    let flow_body = Flow {
        name: "orders".to_owned(),
        description: None,
        spec: spec("cd2fc47e-e838-4f38-a581-8fff2f99b63a"),
        source_connection_ids: vec![source.clone()],
        target_connection_ids: vec![target.clone()],
        schedule: Schedule {
            export_mode: ExportMode::FirstFullThenIncremental,
            interval: HOURS,
            time_unit: TimeUnit::Hour,
            start: START,
            end: None,
        },
        schedule_params: object(&json!({})),
        transformations: json!([]),
        state: FlowState::Enabled,
        generation: 1,
        enabled_at: Some(START),
        next_due_at: Some(START),
        last_operation: LastOperation {
            operation: "create".to_owned(),
            at: START,
            ops: json!([]),
        },
    };
    let source_body = SourceConnection {
        name: "s".to_owned(),
        description: None,
        spec: spec("23598e46-f560-407b-88d5-ea6207e49db0"),
        datasets: vec![DatasetEntry {
            id: dataset(),
            name: "orders".to_owned(),
        }],
        data: None,
        base_connection_id: None,
        state: ConnectionState::Enabled,
    };
    let target_body = TargetConnection {
        name: "t".to_owned(),
        description: None,
        base_connection_id: ConnectionId(Uuid::from_u128(4)),
        spec: spec(ZONE),
        params: object(&json!({
            "path": "out", "datasetFileType": "JSON", "compression": "NONE", "includeFileManifest": true,
        })),
        state: ConnectionState::Enabled,
    };
    let connection = Connection {
        name: "b".to_owned(),
        description: None,
        spec: spec(ZONE),
        auth: None,
        state: ConnectionState::Enabled,
    };
    let data = Dataset {
        name: "orders".to_owned(),
        location: SourceRef {
            root: "lake".to_owned(),
            path: "orders".to_owned(),
        },
        format: TableFormat::Delta,
        extra: object(&json!({})),
    };
    [
        resource(flow().into(), ResourceBody::Flow(Box::new(flow_body))),
        resource(source, ResourceBody::Source(source_body)),
        resource(target, ResourceBody::Target(target_body)),
        resource(base, ResourceBody::Connection(connection)),
        resource(dataset().into(), ResourceBody::Dataset(data)),
    ]
}

fn object(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn resource(id: ResourceId, body: ResourceBody) -> Resource {
    Resource {
        id,
        tenant: tenant(),
        revision: Revision(1),
        audit: Audit {
            created_at: START,
            updated_at: START,
            created_by: String::new(),
            updated_by: String::new(),
            created_client: String::new(),
            updated_client: String::new(),
        },
        body,
    }
}
