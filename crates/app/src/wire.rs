//! The composition root: which adapter stands behind which port.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use offtake_api::Router;
use offtake_core::delivery::Policy;
use offtake_delivery::{DeliveryService, Retention};
use offtake_engine::{InProcessEngine, Limits, TaskRunner, WorkerCommand, WorkerEngine};
use offtake_lake::{LakeRoot, Lakes, LocalIntake, UploadFolder};
use offtake_model::{ErrorCode, Fault, SandboxName, Tenant};
use offtake_ports::{
    Clock, Credentials, DeliveryQueue, Engine, IdentityStore, Ids, KeySetSource, Keys, Secrets,
};
use offtake_service::{OidcSettings, Service, StoredCredentials, secrets_place};
use offtake_storage::{HttpKeySet, Network, Retries};
use offtake_store::{KeyFileSecrets, Store, StoredKeys};
use secrecy::ExposeSecret;

use crate::config::Config;
use crate::housekeeper::Housekeeper;
use crate::promoter::{Promoter, Promotions};
use crate::sinks::SinkRouter;
use crate::system::{SystemClock, SystemIds};
use crate::zone::Zone;

/// Name of the lake root that always exists.
pub(crate) const DEFAULT_ROOT: &str = "default";

/// Where everything is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The data directory.
    pub(crate) data_dir: PathBuf,
    /// The configuration file, when one was named.
    pub(crate) config: Option<PathBuf>,
}

/// The client made on first start, with its secret in the clear for the only time.
pub(crate) struct FirstClient {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) org: String,
    pub(crate) sandbox: String,
}

impl From<offtake_service::FirstClient> for FirstClient {
    fn from(first: offtake_service::FirstClient) -> Self {
        Self {
            id: first.client.0,
            secret: first.secret.expose_secret().to_owned(),
            org: first.org.0,
            sandbox: first.sandbox.0,
        }
    }
}

/// Everything that runs in a service.
pub(crate) struct Wired {
    /// The HTTP surface.
    pub(crate) router: Router,
    /// The delivery loop.
    pub(crate) deliveries: DeliveryService,
    /// The loop that promotes batches.
    pub(crate) promoter: Promoter,
    /// The loop that cuts back what grows.
    pub(crate) housekeeper: Housekeeper,
    /// The loop that takes files out of landing zones, when they don't stay for ever.
    pub(crate) retention: Option<Retention>,
    /// The landing zone's folder of the first organisation's default sandbox, when it lies on this machine.
    pub(crate) landing_zone: Option<PathBuf>,
    /// The client made just now, when this was the first start.
    pub(crate) first_client: Option<FirstClient>,
    /// The metadata, to be closed last.
    pub(crate) store: Store,
}

/// Opens the store and puts the service together.
#[expect(
    clippy::too_many_lines,
    reason = "each part is plugged into the next; functions between them would only pass everything along"
)]
pub(crate) async fn build(place: &Place, config: &Config) -> Result<Wired> {
    make_private_dir(&place.data_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let store = Store::open(&place.data_dir, Arc::clone(&clock))
        .await
        .map_err(told)?;
    let keys = KeyFileSecrets::open(&place.data_dir).map_err(told)?;
    let secrets: Arc<dyn Secrets> = Arc::new(keys.clone());
    let keys = StoredKeys::new(store.clone(), keys, secrets_place);
    let keys: Arc<dyn Keys> = Arc::new(keys);
    let network = Network::new(config.network.settings()?).map_err(told)?;
    let lake = lake(place, config, &network)?;
    let zone_with = |retries| {
        let clock = Arc::clone(&clock);
        Zone::open(place, config, &network, retries, clock)
    };
    let zone = zone_with(Retries::default())?;
    let landing_zone = zone_with(impatience())?.for_receivers(config, &store);
    let retention = zone.retention(&config.landing_zone, &store, Arc::clone(&clock));
    let stored = StoredCredentials::new(Arc::new(store.clone()), Arc::clone(&secrets));
    let stored: Arc<dyn Credentials> = Arc::new(stored);
    let sinks_with = |retries| {
        let stored = Arc::clone(&stored);
        let zone = zone_with(retries)?;
        SinkRouter::of_all(place, config, &network, &zone, stored, retries).map(Arc::new)
    };
    let sinks = sinks_with(Retries::default())?;

    store.void_leases().await.map_err(told)?;
    let deps = offtake_delivery::Deps {
        queue: Arc::new(store.clone()),
        journal: Arc::new(store.clone()),
        resources: Arc::new(store.clone()),
        lake: Arc::new(lake.clone()),
        sinks: Arc::<SinkRouter>::clone(&sinks),
        engine: engine(place, config, &lake, &sinks)?,
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    };
    let deliveries = DeliveryService::new(deps, settings(config));
    let uploads = UploadFolder::new(std::path::absolute(place.data_dir.join("uploads"))?);
    let promotions = Promotions::default();
    let (nudged, woken) = (deliveries.clone(), promotions.clone());
    let trials = sinks_with(impatience())?;
    let service = Service::new(offtake_service::Deps {
        resources: Arc::new(store.clone()),
        identity: Arc::new(store.clone()),
        audit: Arc::new(store.clone()),
        keys: Arc::new(store.clone()),
        runs: Arc::new(store.clone()),
        queue: Arc::new(store.clone()),
        key_ring: Arc::clone(&keys),
        oidc: oidc(config, &network)?,
        secrets,
        catalog: Arc::new(lake.clone()),
        intake: Arc::new(LocalIntake::new(managed(place)?, &lake, uploads.clone())),
        uploads: Arc::new(uploads),
        batches: Arc::new(store.clone()),
        sources: Arc::new(lake.clone()),
        lake: Arc::new(lake.clone()),
        recovery: Arc::new(store.clone()),
        archive: Arc::<SinkRouter>::clone(&sinks),
        roots: Arc::new(lake),
        destinations: sinks.kinds(),
        explorer: Arc::<SinkRouter>::clone(&trials),
        sinks: trials,
        landing_zone,
        clock: Arc::clone(&clock),
        ids,
        nudge: Arc::new(move || nudged.nudge()),
        nudge_promoter: Arc::new(move || woken.nudge()),
    });
    let first_client = first_client(&service).await?;
    let first_zone = zone.folder(&first_tenant(&store).await?);
    let zones = config.landing_zone.folder(place)?;
    let metrics = crate::metrics::install(&place.data_dir, zones)?;
    let service = Arc::new(service);
    Ok(Wired {
        router: router(&service, config, metrics)?,
        deliveries,
        promoter: Promoter::new(service, promotions),
        housekeeper: Housekeeper::new(
            Arc::new(store.clone()),
            keys,
            Arc::new(store.clone()),
            clock,
            &config.retention,
        ),
        retention,
        landing_zone: first_zone,
        first_client,
        store,
    })
}

fn router(
    service: &Arc<Service>,
    config: &Config,
    metrics: offtake_api::RenderMetrics,
) -> Result<Router> {
    let settings = offtake_api::ApiSettings {
        metrics: Some(metrics),
        trusted: config.server.trusted()?,
        requests_max: config.limits.requests_at_once.max(1),
        rate: offtake_api::Rate {
            per_second: config.limits.requests_per_second,
            burst: config.limits.burst,
        },
        answer_timeout: Duration::from_secs(config.limits.request_timeout_secs.max(1)),
    };
    Ok(offtake_api::router(Arc::clone(service), &settings))
}

/// The issuer outside, and where its keys are.
pub(crate) fn oidc(
    config: &Config,
    network: &Network,
) -> Result<Option<(OidcSettings, Arc<dyn KeySetSource>)>> {
    let Some(oidc) = &config.oidc else {
        return Ok(None);
    };
    let source = HttpKeySet::new(network, &oidc.jwks_url).map_err(told)?;
    Ok(Some((oidc.settings()?, Arc::new(source))))
}

/// Where managed datasets lie.
fn managed(place: &Place) -> Result<PathBuf> {
    Ok(std::path::absolute(place.data_dir.join("managed"))?)
}

async fn first_client(service: &Service) -> Result<Option<FirstClient>> {
    let first = service.bootstrap().await.map_err(told)?;
    Ok(first.map(FirstClient::from))
}

/// The runner of a worker process's file tasks. The service that started it holds the data directory's lock.
pub(crate) fn worker_runner(place: &Place, config: &Config) -> Result<Arc<TaskRunner>> {
    let store = Store::read_only(&place.data_dir, Arc::new(SystemClock));
    let keys = KeyFileSecrets::open(&place.data_dir).map_err(told)?;
    let stored = StoredCredentials::new(Arc::new(store), Arc::new(keys));
    let network = Network::new(config.network.settings()?).map_err(told)?;
    let retries = Retries::default();
    let clock = Arc::new(SystemClock);
    let zone = Zone::open(place, config, &network, retries, clock)?;
    let stored = Arc::new(stored);
    let sinks = SinkRouter::of_all(place, config, &network, &zone, stored, retries)?;
    let lake = lake(place, config, &network)?;
    Ok(task_runner(&lake, Arc::new(sinks)))
}

fn task_runner(lake: &Lakes, sinks: Arc<SinkRouter>) -> Arc<TaskRunner> {
    let lake = Arc::new(lake.clone());
    Arc::new(TaskRunner::new(
        Arc::clone(&lake) as _,
        lake,
        sinks,
        Limits::default(),
    ))
}

fn engine(
    place: &Place,
    config: &Config,
    lake: &Lakes,
    sinks: &Arc<SinkRouter>,
) -> Result<Arc<dyn Engine>> {
    let slots = config.worker.slots.max(1);
    if config.worker.in_process {
        let runner = task_runner(lake, Arc::clone(sinks));
        return Ok(Arc::new(InProcessEngine::new(runner, slots)));
    }
    let mut args = vec!["--data-dir".into(), place.data_dir.clone().into_os_string()];
    if let Some(path) = &place.config {
        args.extend(["--config".into(), path.clone().into_os_string()]);
    }
    args.extend([
        "worker".into(),
        "--memory-max-mib".into(),
        config.worker.memory_max_mib.to_string().into(),
    ]);
    let program =
        std::env::current_exe().context("finding our own program, which worker processes run")?;
    Ok(Arc::new(WorkerEngine::new(
        WorkerCommand { program, args },
        slots,
    )))
}

fn lake(place: &Place, config: &Config, network: &Network) -> Result<Lakes> {
    let mut roots = Vec::new();
    if !config.lake.roots.contains_key(DEFAULT_ROOT) {
        let path = std::path::absolute(place.data_dir.join("lake"))?;
        std::fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        roots.push(LakeRoot::folder(DEFAULT_ROOT, path));
    }
    let managed = managed(place)?;
    std::fs::create_dir_all(&managed).with_context(|| format!("creating {}", managed.display()))?;
    roots.push(LocalIntake::root(managed));
    for (name, root) in &config.lake.roots {
        roots.push(root.open(name, network)?);
    }
    Lakes::new(roots).map_err(told)
}

/// Somebody waits for the answer of a trial: a store that is busy or silent fails it soon.
fn impatience() -> Retries {
    Retries {
        calls_max: 2,
        total_max: Duration::from_secs(5),
        ..Retries::default()
    }
}

fn settings(config: &Config) -> offtake_delivery::Settings {
    let defaults = offtake_delivery::Settings::default();
    let delivery = &config.delivery;
    let lease_ttl = Duration::from_secs(delivery.lease_secs.max(1));
    offtake_delivery::Settings {
        lease_ttl,
        parallel: delivery.concurrency.max(1),
        leftover_grace: Duration::from_secs(delivery.leftover_grace_secs),
        janitor_every: Duration::from_secs(delivery.leftover_grace_secs.clamp(1, 60)),
        policy: Policy {
            retry_first: Duration::from_secs(delivery.retry_secs.max(1)),
            ..defaults.policy.clone()
        },
        ..defaults
    }
}

async fn first_tenant(store: &Store) -> Result<Tenant> {
    let organisations = store.organisations().await.map_err(told)?;
    let first = organisations
        .into_iter()
        .next()
        .context("the store has no organisation")?;
    Ok(Tenant {
        org: first.id,
        sandbox: SandboxName("prod".to_owned()),
    })
}

/// A fault as a person at a terminal should read it: what happened, why, and what to do.
pub(crate) fn told(fault: Fault) -> anyhow::Error {
    Told(fault).into()
}

/// See [`told`].
#[derive(Debug)]
pub(crate) struct Told(Fault);

impl Told {
    /// What kind of failure.
    pub(crate) const fn code(&self) -> ErrorCode {
        self.0.code
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(cause) = &self.0.cause {
            write!(f, " ({cause})")?;
        }
        write!(f, ". {} [{}]", self.0.code.advice(), self.0.code)
    }
}

impl std::error::Error for Told {}

/// Makes a directory that only its owner may enter.
pub(crate) fn make_private_dir(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("creating the data directory {}", path.display()))
}

/// Writes a file that only its owner may read, replacing it as a whole.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let next = path.with_extension("new");
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&next, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
