//! `[landing_zone]`: where the data landing zone lies, how long its files stay, and what is given out for it.
//!
//! The one law: writer, sweeper and receivers are told of the same place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use offtake_delivery::{Retention, RetentionDeps};
use offtake_destination::{BucketZoneSettings, BucketZones, FolderSinks, Receivers};
use offtake_destination_azure::{ContainerZoneSettings, ContainerZones};
use offtake_model::Tenant;
use offtake_ports::{Clock, ZoneIssuer, Zones};
use offtake_service::{LandingZone, ZoneBackend};
use offtake_storage::{AwsKeys, Network, Retries, Roles, StsSettings};
use offtake_store::Store;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::config::Config;
use crate::secret::SecretRef;
use crate::sinks::Platform;
use crate::wire::{Place, told};

/// A day of retention.
const DAY: Duration = Duration::from_hours(24);

/// `[landing_zone]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LandingZoneConfig {
    /// The folder that holds one folder per organisation and sandbox; `<data dir>/landing-zone` when absent.
    pub(crate) path: Option<PathBuf>,
    /// A place in a bucket instead, `s3://bucket/prefix`, or containers of an Azure account, `az://prefix`.
    pub(crate) url: Option<String>,
    /// Address of the store, when it is not Amazon's or that of Azure's public cloud.
    pub(crate) endpoint: Option<String>,
    /// The bucket's region.
    pub(crate) region: Option<String>,
    /// Whether the bucket stands in the path.
    pub(crate) path_style: Option<bool>,
    /// Access key that writes there.
    pub(crate) access_key_id: Option<SecretRef>,
    /// Its secret.
    pub(crate) secret_access_key: Option<SecretRef>,
    /// Role whose short-lived keys are given out.
    pub(crate) role: Option<String>,
    /// Address of the token service, when it is not Amazon's of that region.
    pub(crate) sts_endpoint: Option<String>,
    /// The Azure account of the containers.
    pub(crate) account: Option<String>,
    /// Its key.
    pub(crate) account_key: Option<SecretRef>,
    /// Seconds that credentials for receivers are good.
    pub(crate) credentials_secs: u64,
    /// Days after which delivered files are taken away; they stay when absent.
    pub(crate) ttl_days: Option<u32>,
}

impl Default for LandingZoneConfig {
    fn default() -> Self {
        Self {
            path: None,
            url: None,
            endpoint: None,
            region: None,
            path_style: None,
            access_key_id: None,
            secret_access_key: None,
            role: None,
            sts_endpoint: None,
            account: None,
            account_key: None,
            credentials_secs: 86_400,
            ttl_days: None,
        }
    }
}

/// The landing zone, open.
#[derive(Clone)]
pub(crate) enum Zone {
    Folder(FolderSinks),
    Store(Arc<dyn ZoneStore>),
}

/// A store that holds landing zones.
pub(crate) trait ZoneStore: Platform + Zones + ZoneIssuer {}

impl<T: Platform + Zones + ZoneIssuer> ZoneStore for T {}

impl Zone {
    /// Opens the configured landing zone.
    pub(crate) fn open(
        place: &Place,
        config: &Config,
        network: &Network,
        retries: Retries,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let config = &config.landing_zone;
        let Some(url) = &config.url else {
            if let Some(setting) = config.of_stores().next() {
                bail!("`landing_zone.{setting}` is a store's setting, but there is no `url`");
            }
            let path = config.path(place)?;
            return Ok(Self::Folder(FolderSinks::new(path).map_err(told)?));
        };
        if config.path.is_some() {
            bail!("`landing_zone` has both a `path` and a `url`");
        }
        if let Some(prefix) = url.strip_prefix("az://") {
            let settings = config.containers(url, prefix)?;
            let zones = ContainerZones::new(network, settings, retries, clock).map_err(told)?;
            return Ok(Self::Store(Arc::new(zones)));
        }
        let settings = config.bucket(url)?;
        let receivers = config.receivers(network, &settings)?;
        let zones = BucketZones::new(network, settings, receivers, retries, clock).map_err(told)?;
        Ok(Self::Store(Arc::new(zones)))
    }

    /// The folder of a tenant on this machine, when it lies here.
    pub(crate) fn folder(&self, tenant: &Tenant) -> Option<PathBuf> {
        match self {
            Self::Folder(folders) => Some(folders.folder(tenant)),
            Self::Store(_) => None,
        }
    }

    /// Where deliveries go.
    pub(crate) fn platform(&self) -> Arc<dyn Platform> {
        match self {
            Self::Folder(folders) => Arc::new(folders.clone()),
            Self::Store(zones) => Arc::<dyn ZoneStore>::clone(zones),
        }
    }

    fn zones(&self) -> Arc<dyn Zones> {
        match self {
            Self::Folder(folders) => Arc::new(folders.clone()),
            Self::Store(zones) => Arc::<dyn ZoneStore>::clone(zones),
        }
    }

    fn backend(&self) -> ZoneBackend {
        match self {
            Self::Folder(folders) => ZoneBackend::Folder(Arc::new(folders.clone())),
            Self::Store(zones) => ZoneBackend::Store(Arc::<dyn ZoneStore>::clone(zones)),
        }
    }

    /// For those who receive files.
    pub(crate) fn for_receivers(&self, config: &Config, store: &Store) -> LandingZone {
        LandingZone {
            backend: self.backend(),
            grants: Arc::new(store.clone()),
            retention_days: config.landing_zone.ttl_days,
            credentials_ttl: Duration::from_secs(config.landing_zone.credentials_secs.max(1)),
            public_url: config.server.public_url.clone(),
        }
    }

    /// The loop that takes files away, when they don't stay for ever.
    pub(crate) fn retention(
        &self,
        config: &LandingZoneConfig,
        store: &Store,
        clock: Arc<dyn Clock>,
    ) -> Option<Retention> {
        let days = config.ttl_days?;
        let deps = RetentionDeps {
            log: Arc::new(store.clone()),
            zones: self.zones(),
            clock,
        };
        Some(Retention::new(deps, DAY * days.max(1)))
    }
}

impl LandingZoneConfig {
    /// The folder of all zones, when they lie on this machine.
    pub(crate) fn folder(&self, place: &Place) -> Result<Option<PathBuf>> {
        let here = self.url.is_none();
        here.then(|| self.path(place)).transpose()
    }

    fn path(&self, place: &Place) -> Result<PathBuf> {
        let path = match &self.path {
            Some(path) => path.clone(),
            None => place.data_dir.join("landing-zone"),
        };
        Ok(std::path::absolute(path)?)
    }

    /// Names of the settings that are there and mean a bucket.
    fn of_buckets(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("region", self.region.is_some()),
            ("path_style", self.path_style.is_some()),
            ("access_key_id", self.access_key_id.is_some()),
            ("secret_access_key", self.secret_access_key.is_some()),
            ("role", self.role.is_some()),
            ("sts_endpoint", self.sts_endpoint.is_some()),
        ];
        given
            .into_iter()
            .filter_map(|(name, there)| there.then_some(name))
    }

    /// Names of the settings that are there and mean containers.
    fn of_containers(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("account", self.account.is_some()),
            ("account_key", self.account_key.is_some()),
        ];
        given
            .into_iter()
            .filter_map(|(name, there)| there.then_some(name))
    }

    fn of_stores(&self) -> impl Iterator<Item = &'static str> {
        let endpoint = self.endpoint.is_some().then_some("endpoint");
        let others = self.of_buckets().chain(self.of_containers());
        endpoint.into_iter().chain(others)
    }

    fn containers(&self, url: &str, prefix: &str) -> Result<ContainerZoneSettings> {
        if let Some(setting) = self.of_buckets().next() {
            bail!(
                "`landing_zone.{setting}` is a bucket's setting, and `landing_zone.url` is {url}"
            );
        }
        if prefix.contains('/') {
            bail!(
                "`landing_zone.url` is {url}: it must be az://prefix; every sandbox has a container of its own, whose name begins so"
            );
        }
        let account = self.account.as_ref();
        Ok(ContainerZoneSettings {
            prefix: prefix.to_owned(),
            account: account
                .context("`landing_zone.account` is missing")?
                .clone(),
            account_key: key("account_key", self.account_key.as_ref())?,
            endpoint: self.endpoint.clone(),
        })
    }

    fn bucket(&self, url: &str) -> Result<BucketZoneSettings> {
        if let Some(setting) = self.of_containers().next() {
            bail!(
                "`landing_zone.{setting}` is an Azure account's setting, and `landing_zone.url` is {url}"
            );
        }
        let Some(place) = url.strip_prefix("s3://") else {
            bail!(
                "`landing_zone.url` is {url}: a landing zone lies in a folder (`path`), in a bucket (`s3://…`) or in containers of an Azure account (`az://…`)"
            );
        };
        let (bucket, folder) = place.split_once('/').unwrap_or((place, ""));
        let folder = folder.trim_matches('/');
        // In a policy, `*`, `?` and `$` would stand for other folders.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.=/".contains(letter);
        let sound = folder.is_empty()
            || folder
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."));
        if bucket.is_empty() || !sound || !folder.chars().all(plain) {
            bail!(
                "`landing_zone.url` is {url}: it must be s3://bucket/prefix, of letters, digits and - _ . = /"
            );
        }
        let access_key = key("access_key_id", self.access_key_id.as_ref())?;
        Ok(BucketZoneSettings {
            bucket: bucket.to_owned(),
            folder: folder.to_owned(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            access_key: access_key.expose_secret().to_owned(),
            secret_key: key("secret_access_key", self.secret_access_key.as_ref())?,
        })
    }

    fn receivers(
        &self,
        network: &Network,
        settings: &BucketZoneSettings,
    ) -> Result<Option<Receivers>> {
        let Some(role) = &self.role else {
            if self.sts_endpoint.is_some() {
                bail!("`landing_zone.sts_endpoint` needs `landing_zone.role`");
            }
            return Ok(None);
        };
        let sts = StsSettings {
            keys: AwsKeys {
                access_key: settings.access_key.clone(),
                secret_key: settings.secret_key.clone(),
                session_token: None,
            },
            region: self.region.as_deref().unwrap_or("us-east-1").to_owned(),
            endpoint: self.sts_endpoint.clone(),
        };
        Ok(Some(Receivers {
            roles: Roles::new(network, sts),
            role: role.clone(),
        }))
    }
}

fn key(name: &str, value: Option<&SecretRef>) -> Result<SecretString> {
    let setting = format!("landing_zone.{name}");
    let given = value.with_context(|| format!("`{setting}` is missing"))?;
    given.read(&setting)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offtake_storage::{Network, NetworkSettings, Retries};

    use super::{LandingZoneConfig, Zone};
    use crate::config::Config;
    use crate::system::SystemClock;
    use crate::wire::Place;

    fn open(text: &str) -> Result<Zone, String> {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        std::fs::write(&key, "a2V5").unwrap();
        let key = key.display();
        let text = text
            .replace(
                "KEYS",
                &format!("access_key_id = \"file:{key}\"\nsecret_access_key = \"file:{key}\""),
            )
            .replace(
                "ACCOUNT",
                &format!("account = \"acct\"\naccount_key = \"file:{key}\""),
            );
        let table: toml::Table = text.parse().unwrap();
        let landing_zone: LandingZoneConfig = table
            .try_into()
            .map_err(|it: toml::de::Error| it.to_string())?;
        let network = Network::new(NetworkSettings::default()).unwrap();
        let clock = Arc::new(SystemClock);
        let config = Config {
            landing_zone,
            ..Config::default()
        };
        let place = Place {
            data_dir: dir.path().to_owned(),
            config: None,
        };
        Zone::open(&place, &config, &network, Retries::default(), clock)
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_zone_is_a_folder_unless_a_store_is_named() {
        assert!(matches!(open(""), Ok(Zone::Folder(_))));
        for url in ["s3://lake", "s3://lake/", "s3://lake/zones/a=1"] {
            assert!(
                matches!(open(&format!("url = \"{url}\"\nKEYS")), Ok(Zone::Store(_))),
                "{url}"
            );
        }
        assert!(matches!(
            open("url = \"az://zones\"\nACCOUNT"),
            Ok(Zone::Store(_))
        ));
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused_by_name() {
        for (text, says) in [
            ("url = \"s3://lake\"", "landing_zone.access_key_id"),
            (
                "url = \"s3://lake\"\npath = \"/zone\"\nKEYS",
                "both a `path` and a `url`",
            ),
            ("url = \"s3://\"\nKEYS", "landing_zone.url"),
            ("url = \"s3://lake/*\"\nKEYS", "landing_zone.url"),
            ("url = \"s3://lake/a/../b\"\nKEYS", "landing_zone.url"),
            ("url = \"gs://lake\"\nKEYS", "landing_zone.url"),
            ("url = \"az://zones\"", "landing_zone.account"),
            (
                "url = \"az://zones\"\naccount = \"a\"",
                "landing_zone.account_key",
            ),
            (
                "url = \"az://zones\"\nACCOUNT\nKEYS",
                "landing_zone.access_key_id",
            ),
            ("url = \"az://zones/below\"\nACCOUNT", "az://prefix"),
            ("url = \"az://Zones\"\nACCOUNT", "lower-case"),
            (
                "url = \"az://zones\"\nACCOUNT\nendpoint = \"x\"",
                "endpoint",
            ),
            ("url = \"s3://lake\"\nKEYS\nACCOUNT", "landing_zone.account"),
            ("ACCOUNT", "no `url`"),
            ("role = \"arn\"", "no `url`"),
            (
                "url = \"s3://lake\"\nsts_endpoint = \"http://x\"\nKEYS",
                "landing_zone.role",
            ),
            ("url = \"s3://lake\"\nendpoint = \"x\"\nKEYS", "endpoint"),
        ] {
            let error = open(text).err().unwrap();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
