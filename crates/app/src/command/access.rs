//! `offtake org`, `offtake sandbox`, `offtake client`: who shares the service.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::output::Output;
use crate::wire::Place;

const ORGANISATIONS: &str = "/offtake/v1/organisations";
const CLIENTS: &str = "/offtake/v1/clients";
const SANDBOXES: &str = "/data/foundation/sandbox-management/sandboxes";

#[derive(Subcommand)]
pub(crate) enum Organisations {
    /// Make an organisation with a sandbox and a client; shows the client's secret once.
    Add {
        /// Name of the organisation.
        name: String,
    },
    /// List the organisations of this service.
    List,
    /// Show what an organisation may use and what it uses.
    Show {
        /// Id of the organisation; the client's own when absent.
        id: Option<String>,
    },
    /// Set what an organisation may use. Quotas that are not named stay.
    Quota {
        /// Id of the organisation.
        id: String,
        /// Flows in all of its sandboxes, or `none` for no limit.
        #[arg(long, value_parser = limit)]
        flows: Option<Limit>,
        /// Runs worked on at the same time, or `none`; further ones wait.
        #[arg(long, value_parser = limit)]
        concurrent_runs: Option<Limit>,
        /// Bytes delivered in a day of UTC, or `none`; no delivery begins after that.
        #[arg(long, value_parser = limit)]
        bytes_per_day: Option<Limit>,
    },
}

/// A limit, or none.
#[derive(Clone, Copy)]
pub(crate) struct Limit(Option<u64>);

fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let number = text.parse().map(|number| Limit(Some(number)));
    number.map_err(|_| "must be a whole number or `none`".to_owned())
}

#[derive(Subcommand)]
pub(crate) enum Sandboxes {
    /// Make a sandbox in the organisation.
    Add {
        /// Its name: a-z, 0-9 and -, beginning with a letter.
        name: String,
        /// A title for people; the name when absent.
        #[arg(long)]
        title: Option<String>,
    },
    /// List the organisation's sandboxes.
    List,
}

#[derive(Subcommand)]
pub(crate) enum Clients {
    /// Make a client; shows its secret once.
    Add {
        /// Name of the client.
        name: String,
        /// What it may do.
        #[arg(long, value_enum)]
        role: Role,
        /// Where it may; in every sandbox when absent.
        #[arg(long)]
        sandbox: Option<String>,
        /// Its name at the issuer of tokens outside (`[oidc]`).
        #[arg(long)]
        subject: Option<String>,
    },
    /// List the organisation's clients.
    List,
    /// Give a client a new secret; shows it once, the old one ends.
    Rotate {
        /// Id of the client.
        id: String,
        /// Seconds that the old secret is still accepted.
        #[arg(long, default_value_t = 0)]
        grace_secs: u32,
    },
    /// Refuse a client from now on, tokens included.
    Disable {
        /// Id of the client.
        id: String,
    },
    /// Let a disabled client in again.
    Enable {
        /// Id of the client.
        id: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// Everything, also across organisations.
    Operator,
    /// Everything in the organisation.
    Admin,
    /// Export datasets.
    Exporter,
    /// Keep datasets and ingest batches.
    Ingestor,
    /// Look, but change nothing.
    Viewer,
}

pub(crate) async fn organisations(
    place: &Place,
    command: Organisations,
    output: Output,
) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    match command {
        Organisations::Add { name } => {
            let body = json!({ "name": name });
            let made = client
                .call(Method::POST, ORGANISATIONS, Some(&body))
                .await?;
            let text = |key| part(&made, key);
            output.answer(&made, || {
                format!(
                    "organisation   {}\nsandbox        {}\nclient id      {}\nclient secret  {}",
                    text("id"),
                    text("sandbox"),
                    text("clientId"),
                    text("clientSecret")
                )
            });
        }
        Organisations::List => {
            list(&client, ORGANISATIONS, "items", &["id", "name"], output).await?;
        }
        Organisations::Show { id } => {
            let id = id.unwrap_or_else(|| client.org().to_owned());
            let path = format!("{ORGANISATIONS}/{id}");
            let found = client.call(Method::GET, &path, None).await?;
            output.answer(&found, || uses(&found));
        }
        Organisations::Quota {
            id,
            flows,
            concurrent_runs,
            bytes_per_day,
        } => {
            let mut quotas = Map::new();
            for (key, limit) in [
                ("flows", flows),
                ("concurrentRuns", concurrent_runs),
                ("bytesPerDay", bytes_per_day),
            ] {
                if let Some(Limit(limit)) = limit {
                    quotas.insert(key.to_owned(), json!(limit));
                }
            }
            let (path, body) = (format!("{ORGANISATIONS}/{id}"), json!({ "quotas": quotas }));
            let changed = client.call(Method::PATCH, &path, Some(&body)).await?;
            output.answer(&changed, || uses(&changed));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn sandboxes(
    place: &Place,
    command: Sandboxes,
    output: Output,
) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    match command {
        Sandboxes::Add { name, title } => {
            let body = json!({ "name": name, "title": title });
            let made = client.call(Method::POST, SANDBOXES, Some(&body)).await?;
            output.answer(&made, || part(&made, "name"));
        }
        Sandboxes::List => {
            list(
                &client,
                SANDBOXES,
                "sandboxes",
                &["name", "id", "title"],
                output,
            )
            .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn clients(place: &Place, command: Clients, output: Output) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    match command {
        Clients::Add {
            name,
            role,
            sandbox,
            subject,
        } => {
            let role = role.to_possible_value().context("a role without a name")?;
            let binding = json!({ "role": role.get_name(), "sandbox": sandbox });
            let body = json!({ "name": name, "roles": [binding], "subject": subject });
            let made = client.call(Method::POST, CLIENTS, Some(&body)).await?;
            secret(&made, output);
        }
        Clients::List => {
            list(
                &client,
                CLIENTS,
                "items",
                &["id", "enabled", "name"],
                output,
            )
            .await?;
        }
        Clients::Rotate { id, grace_secs } => {
            let path = format!("{CLIENTS}/{id}/secret");
            let body = json!({ "graceSeconds": grace_secs });
            let rotated = client.call(Method::POST, &path, Some(&body)).await?;
            secret(&rotated, output);
        }
        Clients::Disable { id } => switch(&client, &id, false, output).await?,
        Clients::Enable { id } => switch(&client, &id, true, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn switch(client: &Client, id: &str, enabled: bool, output: Output) -> Result<()> {
    let body = json!({ "enabled": enabled });
    let path = format!("{CLIENTS}/{id}");
    let changed = client.call(Method::PATCH, &path, Some(&body)).await?;
    output.answer(&changed, || part(&changed, "id"));
    Ok(())
}

async fn list(
    client: &Client,
    path: &str,
    items: &str,
    columns: &[&str],
    output: Output,
) -> Result<()> {
    let answer = client.call(Method::GET, path, None).await?;
    let items = answer.get(items).cloned().unwrap_or_default();
    output.answer(&items, || {
        let rows = items.as_array().into_iter().flatten();
        let line = |row: &Value| {
            let cells: Vec<String> = columns.iter().map(|key| part(row, key)).collect();
            cells.join("  ")
        };
        rows.map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// What an organisation uses of what it may.
fn uses(organisation: &Value) -> String {
    let line = |label: &str, used: &str, quota: &str| {
        let number =
            |group: &str, key: &str| organisation.pointer(&format!("/{group}/{key}")).cloned();
        let used = number("usage", used).unwrap_or_default();
        match number("quotas", quota).filter(|it| !it.is_null()) {
            Some(quota) => format!("{label}{used} of {quota}"),
            None => format!("{label}{used}, no limit"),
        }
    };
    [
        format!(
            "organisation     {}  {}",
            part(organisation, "id"),
            part(organisation, "name")
        ),
        line("flows            ", "flows", "flows"),
        line("concurrent runs  ", "running", "concurrentRuns"),
        line("bytes today      ", "bytesToday", "bytesPerDay"),
    ]
    .join("\n")
}

fn secret(client: &Value, output: Output) {
    output.answer(client, || {
        format!(
            "client id      {}\nclient secret  {}",
            part(client, "id"),
            part(client, "secret")
        )
    });
}

fn part(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    }
}
