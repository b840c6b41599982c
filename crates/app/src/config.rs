//! Settings: one TOML file, overridden by `OFFTAKE__SECTION__KEY`, overridden by flags. Unknown keys are errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use offtake_api::TrustProxy;
use offtake_destination_sftp::{OnAmbiguous, SftpSettings};
use offtake_storage::{AwsKeys, NetworkSettings, Networks, StsSettings};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::roots::LakeRootConfig;
use crate::secret::SecretRef;
use crate::zone::LandingZoneConfig;

mod operations;

pub(crate) use operations::{LimitsConfig, OidcConfig, RetentionConfig};

/// Prefix of environment variables that override the file.
const ENV_PREFIX: &str = "OFFTAKE__";

/// Everything an operator can set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The HTTP server.
    pub(crate) server: ServerConfig,
    /// Connections to other machines.
    pub(crate) network: NetworkConfig,
    /// The operator's account at Amazon.
    pub(crate) aws: AwsConfig,
    /// Where datasets may lie.
    pub(crate) lake: LakeConfig,
    /// The data landing zone.
    pub(crate) landing_zone: LandingZoneConfig,
    /// Delivery to SFTP servers.
    pub(crate) sftp: SftpConfig,
    /// Worker processes.
    pub(crate) worker: WorkerConfig,
    /// The delivery loop.
    pub(crate) delivery: DeliveryConfig,
    /// An issuer of tokens outside; none when absent.
    pub(crate) oidc: Option<OidcConfig>,
    /// How much clients may ask.
    pub(crate) limits: LimitsConfig,
    /// How long what is over is kept.
    pub(crate) retention: RetentionConfig,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// Address and port to listen on.
    pub(crate) listen: SocketAddr,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<String>,
    /// The service's address as others reach it, where that is not the one that requests name.
    pub(crate) public_url: Option<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            trusted_proxies: Vec::new(),
            public_url: None,
        }
    }
}

/// `[network]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkConfig {
    /// Private and other special networks or addresses that may be reached.
    pub(crate) allow: Vec<String>,
    /// The only ports that may be reached; any when empty.
    pub(crate) ports: Vec<u16>,
    /// Whether plain HTTP may be spoken to hosts outside `allow`.
    pub(crate) allow_http: bool,
    /// PEM file of certificate authorities to trust beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Reference to the address of an HTTP proxy, which may hold credentials.
    pub(crate) proxy: Option<SecretRef>,
    /// Hosts, domains and networks that are reached without the proxy.
    pub(crate) no_proxy: Vec<String>,
    /// Seconds that a connection may take to open.
    pub(crate) connect_timeout_secs: u64,
    /// Seconds that a request may take, beside the time its body needs on a slow link.
    pub(crate) request_timeout_secs: u64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ports: Vec::new(),
            allow_http: false,
            ca_file: None,
            proxy: None,
            no_proxy: Vec::new(),
            connect_timeout_secs: 10,
            request_timeout_secs: 60,
        }
    }
}

impl ServerConfig {
    /// Whose word about addresses is believed.
    pub(crate) fn trusted(&self) -> Result<TrustProxy> {
        let networks = Networks::parse("server.trusted_proxies", &self.trusted_proxies)?;
        Ok(Arc::new(move |address| networks.contain(address)))
    }
}

impl NetworkConfig {
    /// The settings, with the proxy's address read from where it is named.
    pub(crate) fn settings(&self) -> Result<NetworkSettings> {
        let proxy = self.proxy.as_ref().map(|it| it.read("network.proxy"));
        Ok(NetworkSettings {
            allow: self.allow.clone(),
            ports: self.ports.clone(),
            allow_http: self.allow_http,
            ca_file: self.ca_file.clone(),
            proxy: proxy.transpose()?,
            no_proxy: self.no_proxy.clone(),
            connect_timeout: Duration::from_secs(self.connect_timeout_secs.max(1)),
            request_timeout: Duration::from_secs(self.request_timeout_secs.max(1)),
            ..NetworkSettings::default()
        })
    }
}

/// `[aws]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AwsConfig {
    /// Access key that takes on customers' roles.
    pub(crate) access_key: Option<SecretRef>,
    /// Its secret.
    pub(crate) secret_key: Option<SecretRef>,
    /// Region of the token service; `us-east-1` when absent.
    pub(crate) region: Option<String>,
    /// Address of the token service, when it is not Amazon's of that region.
    pub(crate) sts_endpoint: Option<String>,
}

impl AwsConfig {
    /// Who takes on roles, and where; nobody without keys.
    pub(crate) fn sts(&self) -> Result<Option<StsSettings>> {
        let (access_key, secret_key) = match (&self.access_key, &self.secret_key) {
            (None, None) => return Ok(None),
            (Some(access_key), Some(secret_key)) => (access_key, secret_key),
            (Some(_), None) | (None, Some(_)) => {
                bail!("`aws.access_key` and `aws.secret_key` go together")
            }
        };
        let access_key = access_key.read("aws.access_key")?;
        Ok(Some(StsSettings {
            keys: AwsKeys {
                access_key: access_key.expose_secret().to_owned(),
                secret_key: secret_key.read("aws.secret_key")?,
                session_token: None,
            },
            region: self.region.as_deref().unwrap_or("us-east-1").to_owned(),
            endpoint: self.sts_endpoint.clone(),
        }))
    }
}

/// `[lake]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LakeConfig {
    /// Roots by name. `default` is `<data dir>/lake` unless it is given here.
    pub(crate) roots: BTreeMap<String, LakeRootConfig>,
}

/// `[sftp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SftpConfig {
    /// Known-hosts file for servers whose connections pin no host key.
    pub(crate) known_hosts: Option<PathBuf>,
    /// Records the host key of a server met for the first time, and believes only that one afterwards.
    pub(crate) first_use: bool,
    /// Most connections that one process opens to one account.
    pub(crate) connections_max: usize,
    /// What to do about a file that was taken away before it was seen.
    pub(crate) on_ambiguous: OnAmbiguousConfig,
}

/// `sftp.on_ambiguous`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnAmbiguousConfig {
    #[default]
    Hold,
    Resend,
}

impl Default for SftpConfig {
    fn default() -> Self {
        Self {
            known_hosts: None,
            first_use: false,
            connections_max: 4,
            on_ambiguous: OnAmbiguousConfig::Hold,
        }
    }
}

impl SftpConfig {
    /// The settings; keys met for the first time are recorded in the data directory.
    pub(crate) fn settings(&self, data_dir: &Path) -> SftpSettings {
        SftpSettings {
            known_hosts: self.known_hosts.clone(),
            first_use: self.first_use.then(|| data_dir.join("sftp_known_hosts")),
            connections_max: self.connections_max,
            on_ambiguous: match self.on_ambiguous {
                OnAmbiguousConfig::Hold => OnAmbiguous::Hold,
                OnAmbiguousConfig::Resend => OnAmbiguous::Resend,
            },
        }
    }
}

/// `[worker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WorkerConfig {
    /// Files written at the same time; one worker process each.
    pub(crate) slots: usize,
    /// Memory that one worker may allocate, in MiB. A worker that needs more is ended and the delivery fails clearly.
    pub(crate) memory_max_mib: u64,
    /// Runs tasks inside the service instead of in worker processes.
    pub(crate) in_process: bool,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        let slots = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            slots,
            memory_max_mib: 2048,
            in_process: false,
        }
    }
}

/// `[delivery]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeliveryConfig {
    /// Deliveries worked on at the same time.
    pub(crate) concurrency: usize,
    /// Seconds a lease lives without renewal.
    pub(crate) lease_secs: u64,
    /// Seconds before the first retry; doubled up to 30 minutes.
    pub(crate) retry_secs: u64,
    /// Seconds after its end before a delivery's staged leftovers are removed. Keep it above twice the lease and
    /// ten minutes where several machines can write to one destination.
    pub(crate) leftover_grace_secs: u64,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            concurrency: 4,
            lease_secs: 60,
            retry_secs: 30,
            leftover_grace_secs: 720,
        }
    }
}

impl Config {
    /// Reads `path`, or `offtake.toml` in the data directory when it exists, and applies the environment.
    pub(crate) fn load(path: Option<&Path>, data_dir: &Path) -> Result<Self> {
        let chosen = match path {
            Some(path) => Some(path.to_path_buf()),
            None => Some(data_dir.join("offtake.toml")).filter(|path| path.exists()),
        };
        let mut table = match chosen {
            Some(path) => std::fs::read_to_string(&path)
                .with_context(|| format!("reading configuration {}", path.display()))?
                .parse::<toml::Table>()
                .with_context(|| format!("configuration {} is not TOML", path.display()))?,
            None => toml::Table::new(),
        };
        for (name, value) in std::env::vars() {
            if let Some(rest) = name.strip_prefix(ENV_PREFIX) {
                override_key(&mut table, rest, &value)
                    .with_context(|| format!("environment variable {name}"))?;
            }
        }
        table
            .try_into()
            .context("configuration has an unknown or wrong setting")
    }
}

/// Sets `SECTION__KEY` to the value, read as TOML when it is one and as text otherwise.
fn override_key(table: &mut toml::Table, path: &str, value: &str) -> Result<()> {
    let parts: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    let Some((key, sections)) = parts.split_last() else {
        bail!("names no setting");
    };
    let mut current = table;
    for section in sections {
        let entry = current
            .entry(section.clone())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let Some(next) = entry.as_table_mut() else {
            bail!("`{section}` is a value, not a section");
        };
        current = next;
    }
    let parsed = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut it| it.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    current.insert(key.clone(), parsed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Config, override_key};

    #[test]
    fn unknown_keys_are_errors() {
        let table: toml::Table = "[server]\nlisten_on = \"127.0.0.1:1\"".parse().unwrap();
        assert!(table.try_into::<Config>().is_err());
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let mut table: toml::Table = "[worker]\nslots = 8".parse().unwrap();
        override_key(&mut table, "WORKER__SLOTS", "3").unwrap();
        override_key(&mut table, "SERVER__LISTEN", "127.0.0.1:9").unwrap();
        let config: Config = table.try_into().unwrap();
        assert_eq!(config.worker.slots, 3);
        assert_eq!(config.server.listen.port(), 9);
    }
}
