//! `offtake doctor` and `offtake config check`: is everything there that the service needs?
//!
//! It changes nothing and writes nowhere, unless connections are to be tried. It works with and without a running
//! service, since it is asked for when the service does not start.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use offtake_lake::LakeRoot;
use offtake_storage::Network;
use offtake_store::Store;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Config;
use crate::disk::Disk;
use crate::output::{Output, size};
use crate::system::SystemClock;
use crate::wire::{self, Place, told};

/// Name of the database and of the key file in the data directory.
const DATABASE: &str = "offtake.db";
const KEY: &str = "offtake.key";

/// Bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// Less room than this is an alarm.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// A clock that is wrong by more is an alarm: stores refuse signatures at about five minutes.
const SKEW_SECS_MAX: f64 = 60.0;

/// Connections tried at most.
const CONNECTIONS_MAX: usize = 100;

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether `offtake serve` would accept the configuration, and what is wrong with it.
    Check,
}

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Also try every connection of the sandbox, as `GET /connections/{id}/test` does: files are written in a scratch
    /// folder of each destination and removed again.
    #[arg(long)]
    connections: bool,
}

pub(crate) fn config(place: &Place, command: &ConfigCommand, output: Output) -> ExitCode {
    let ConfigCommand::Check = command;
    let mut report = Report::default();
    configuration(place, &mut report);
    report.told(output)
}

pub(crate) async fn run(place: &Place, args: &Args, output: Output) -> Result<ExitCode> {
    let mut report = Report::default();
    let config = configuration(place, &mut report);
    report.add("data directory", data_directory(&place.data_dir));
    report.add("key", key(&place.data_dir));
    report.add("disk of the data directory", disk(&place.data_dir));
    report.add("database", database(&place.data_dir).await);
    if let Some(config) = &config {
        let zone = config.landing_zone.folder(place)?;
        if let Some(zone) = zone.filter(|zone| zone.exists()) {
            report.add("disk of the landing zone", disk(&zone));
        }
        roots(place, config, &mut report).await;
    }
    service(place, args, &mut report).await;
    Ok(report.told(output))
}

/// What was looked at.
#[derive(Default)]
struct Report(Vec<Finding>);

struct Finding {
    what: String,
    result: Result<String>,
}

impl Report {
    fn add(&mut self, what: impl Into<String>, result: Result<String>) {
        let what = what.into();
        self.0.push(Finding { what, result });
    }

    fn told(&self, output: Output) -> ExitCode {
        let items: Vec<Value> = self.0.iter().map(Finding::shown).collect();
        output.answer(&Value::Array(items), || {
            let lines: Vec<String> = self.0.iter().map(Finding::line).collect();
            lines.join("\n")
        });
        ExitCode::from(u8::from(self.0.iter().any(|it| it.result.is_err())))
    }
}

impl Finding {
    fn shown(&self) -> Value {
        let (ok, text) = match &self.result {
            Ok(text) => (true, text.clone()),
            Err(error) => (false, format!("{error:#}")),
        };
        json!({ "check": self.what, "ok": ok, "message": text })
    }

    fn line(&self) -> String {
        match &self.result {
            Ok(text) if text.is_empty() => format!("ok    {}", self.what),
            Ok(text) => format!("ok    {}: {text}", self.what),
            Err(error) => format!("FAIL  {}: {error:#}", self.what),
        }
    }
}

/// The configuration, when it can be read; each of its sections is judged.
fn configuration(place: &Place, report: &mut Report) -> Option<Config> {
    let config = match Config::load(place.config.as_deref(), &place.data_dir) {
        Ok(config) => config,
        Err(error) => {
            report.add("configuration", Err(error));
            return None;
        }
    };
    report.add("configuration", Ok(String::new()));
    report.add("[server]", config.server.trusted().map(|_| String::new()));
    report.add("[aws]", config.aws.sts().map(|_| String::new()));
    let network = network(&config);
    if let Ok(network) = &network {
        for (name, root) in &config.lake.roots {
            let opened = root.open(name, network).map(|_| String::new());
            report.add(format!("[lake.roots.{name}]"), opened);
        }
    }
    if let Ok(network) = &network
        && config.oidc.is_some()
    {
        let oidc = wire::oidc(&config, network);
        report.add("[oidc]", oidc.map(|_| String::new()));
    }
    report.add("[network]", network.map(|_| String::new()));
    Some(config)
}

fn network(config: &Config) -> Result<Network> {
    Network::new(config.network.settings()?).map_err(told)
}

fn data_directory(path: &Path) -> Result<String> {
    let about = std::fs::metadata(path).with_context(|| {
        format!(
            "{}: `offtake serve` makes it on its first start",
            path.display()
        )
    })?;
    if !about.is_dir() {
        bail!("{} is not a directory", path.display());
    }
    private(path, about.permissions().mode())?;
    Ok(path.display().to_string())
}

fn key(data_dir: &Path) -> Result<String> {
    let path = data_dir.join(KEY);
    let about = std::fs::metadata(&path).with_context(|| {
        format!(
            "{}: without it sealed secrets cannot be read",
            path.display()
        )
    })?;
    private(&path, about.permissions().mode())?;
    Ok("keep a copy of it away from copies of the database".to_owned())
}

fn private(path: &Path, mode: u32) -> Result<()> {
    if mode & OTHERS != 0 {
        bail!(
            "{} lets others in (mode {:03o}); run chmod go= on it",
            path.display(),
            mode & 0o777
        );
    }
    Ok(())
}

fn disk(path: &Path) -> Result<String> {
    let disk = Disk::of(path).with_context(|| format!("looking at {}", path.display()))?;
    let text = format!("{} free of {}", size(disk.free), size(disk.size));
    if disk.free < FREE_BYTES_MIN {
        bail!("{text}; the service needs room for its database and for uploads");
    }
    Ok(text)
}

async fn database(data_dir: &Path) -> Result<String> {
    let path = data_dir.join(DATABASE);
    if !path.exists() {
        bail!("{} is not there yet", path.display());
    }
    let store = Store::read_only(data_dir, Arc::new(SystemClock));
    let wrong = store.check().await.map_err(told)?;
    store.close().await;
    if let Some(first) = wrong.first() {
        bail!(
            "SQLite finds {} things wrong, the first is: {first}; put a backup back",
            wrong.len()
        );
    }
    let bytes = std::fs::metadata(&path).map_or(0, |about| about.len());
    Ok(format!("{}, no damage found", size(bytes)))
}

async fn roots(place: &Place, config: &Config, report: &mut Report) {
    let Ok(network) = network(config) else {
        return;
    };
    let mut roots: Vec<Result<LakeRoot>> = Vec::new();
    if !config.lake.roots.contains_key(wire::DEFAULT_ROOT) {
        let path = std::path::absolute(place.data_dir.join("lake"));
        roots.push(
            path.map_err(anyhow::Error::from)
                .map(|path| LakeRoot::folder(wire::DEFAULT_ROOT, path)),
        );
    }
    for (name, root) in &config.lake.roots {
        roots.push(root.open(name, &network));
    }
    // Roots that cannot be opened were reported with the configuration.
    for root in roots.into_iter().flatten() {
        let what = format!("lake root {}", root.name());
        let probed = tokio::task::spawn_blocking(move || root.probe()).await;
        let result = match probed {
            Ok(result) => result.map(|()| "answers".to_owned()).map_err(told),
            Err(error) => Err(error.into()),
        };
        report.add(what, result);
    }
}

async fn service(place: &Place, args: &Args, report: &mut Report) {
    let client = match Client::connect(&place.data_dir).await {
        Ok(client) => client,
        Err(error) => {
            report.add("service", Err(error));
            return;
        }
    };
    report.add("service", ready(&client).await);
    report.add("clock", clock(&client).await);
    if args.connections {
        match connections(&client).await {
            Ok(findings) => report.0.extend(findings),
            Err(error) => report.add("connections", Err(error)),
        }
    }
}

async fn ready(client: &Client) -> Result<String> {
    client.call(Method::GET, "/health/ready", None).await?;
    Ok(format!("ready at {}", client.url()))
}

/// What the service's last word with a store has shown of the clock.
async fn clock(client: &Client) -> Result<String> {
    let metrics = client.text("/metrics").await?;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("offtake_clock_skew_seconds "));
    let Some(skew) = line.and_then(|text| text.trim().parse::<f64>().ok()) else {
        return Ok("not compared yet: no store has answered since the start".to_owned());
    };
    if skew.abs() > SKEW_SECS_MAX {
        bail!("{skew:.0} s away from a store's; set it, or signatures will be refused");
    }
    Ok(format!("within {:.0} s of a store's", skew.abs().max(1.0)))
}

async fn connections(client: &Client) -> Result<Vec<Finding>> {
    const PREFIX: &str = "/data/foundation/flowservice/connections";
    let path = format!("{PREFIX}?limit={CONNECTIONS_MAX}");
    let listed = client.call(Method::GET, &path, None).await?;
    let mut findings = Vec::new();
    for item in listed
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
        let path = format!("{PREFIX}/{}/test", text("id"));
        findings.push(Finding {
            what: format!("connection {} ({})", text("name"), text("id")),
            result: client
                .call(Method::GET, &path, None)
                .await
                .and_then(|trial| tried(&trial)),
        });
    }
    Ok(findings)
}

fn tried(trial: &Value) -> Result<String> {
    if trial.get("result") == Some(&Value::Bool(true)) {
        return Ok("works".to_owned());
    }
    let part = |key: &str| {
        trial
            .pointer(&format!("/failure/{key}"))
            .and_then(Value::as_str)
            .unwrap_or("-")
    };
    bail!("{} ({}) {}", part("message"), part("code"), part("advice"))
}
