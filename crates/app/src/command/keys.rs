//! `offtake keys`: the keys behind secrets and tokens.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::client::Client;
use crate::output::Output;
use crate::wire::Place;

const KEYS: &str = "/offtake/v1/keys";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the keys in use, and how many secrets are sealed with each.
    List,
    /// Make a new key; everything is sealed anew with it, and nobody notices.
    Rotate,
    /// Remove former keys now instead of after a day; tokens from before the rotation end.
    Retire,
}

pub(crate) async fn run(place: &Place, command: Command, output: Output) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    let keys = match command {
        Command::List => client.call(Method::GET, KEYS, None).await?,
        Command::Rotate => {
            let path = format!("{KEYS}/rotate");
            let keys = client.call(Method::POST, &path, None).await?;
            output.say("Keep a copy of the new offtake.key in a safe place; the old one opens older backups only.");
            keys
        }
        Command::Retire => {
            let path = format!("{KEYS}/retire");
            client.call(Method::POST, &path, None).await?
        }
    };
    output.answer(&keys, || {
        let items = keys.get("items").and_then(Value::as_array);
        let lines = items.into_iter().flatten().map(line);
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

fn line(key: &Value) -> String {
    let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or("-");
    let secrets = key.get("secrets").and_then(Value::as_u64).unwrap_or(0);
    format!("{}  {}  {secrets} secrets", text("id"), text("state"))
}
