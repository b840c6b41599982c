//! `offtake dataset`: the lake's tables that can be exported.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::output::Output;
use crate::wire::Place;

/// The data-lake connection spec, which lists exportable datasets.
const DATA_LAKE_SPEC: &str = "23598e46-f560-407b-88d5-ea6207e49db0";

/// Datasets asked for at once.
const PAGE: usize = 100;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Register a table of the lake under a name.
    Add {
        /// Name of the dataset.
        name: String,
        /// Where the table lies: `lake://ROOT/PATH`, or a path below a lake root.
        location: String,
    },
    /// List the exportable datasets.
    List,
}

pub(crate) async fn run(place: &Place, command: Command, output: Output) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    match command {
        Command::Add { name, location } => add(&client, &name, &location, output).await?,
        Command::List => list(&client, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(client: &Client, name: &str, location: &str, output: Output) -> Result<()> {
    // The service reads the path on its own machine, so a relative one is made absolute here.
    let location = if location.contains("://") {
        location.to_owned()
    } else {
        std::path::absolute(location)?
            .to_string_lossy()
            .into_owned()
    };
    let body = json!({ "name": name, "location": location });
    let answer = client
        .call(
            Method::POST,
            "/data/foundation/catalog/dataSets",
            Some(&body),
        )
        .await?;
    let id = answer
        .pointer("/0")
        .and_then(Value::as_str)
        .and_then(|it| it.rsplit('/').next())
        .context("the service did not name the new dataset")?;
    output.answer(
        &json!({ "id": id, "name": name, "location": location }),
        || id.to_owned(),
    );
    Ok(())
}

async fn list(client: &Client, output: Output) -> Result<()> {
    let mut items = Vec::new();
    loop {
        let path = format!(
            "/data/foundation/flowservice/connectionSpecs/{DATA_LAKE_SPEC}/configs?outputType=activationDatasets&outputField=datasets&limit={PAGE}&start={}",
            items.len()
        );
        let page = client.call(Method::GET, &path, None).await?;
        let found = page
            .get("items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let more = page
            .pointer("/pageInfo/hasNext")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let empty = found.is_empty();
        items.extend(found);
        if !more || empty {
            break;
        }
    }
    let text = |item: &Value, key: &str| {
        item.get(key)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let lines = || {
        items
            .iter()
            .map(|item| {
                format!(
                    "{}  {}  {}",
                    text(item, "id"),
                    text(item, "name"),
                    text(item, "location")
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    output.answer(&Value::Array(items.clone()), lines);
    Ok(())
}
