//! `offtake audit`: who changed what.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use offtake_core::calendar;
use offtake_model::Millis;
use reqwest::{Method, Url};
use serde_json::Value;

use crate::client::Client;
use crate::output::Output;
use crate::wire::Place;

const AUDIT: &str = "/offtake/v1/audit";

/// Entries asked for at once.
const PAGE: usize = 100;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only what this client changed.
    #[arg(long)]
    client: Option<String>,
    /// Only in this sandbox.
    #[arg(long)]
    sandbox: Option<String>,
    /// Only objects of this collection, such as `flows`, `connections`, `clients`.
    #[arg(long)]
    collection: Option<String>,
    /// Only the object of this id.
    #[arg(long)]
    id: Option<String>,
    /// At most this many, newest first.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
}

pub(crate) async fn run(place: &Place, args: Args, output: Output) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    let limit = usize::from(args.limit);
    let mut items: Vec<Value> = Vec::new();
    let mut path = Some(first_page(&args, limit.min(PAGE))?);
    while let Some(next) = path.filter(|_| items.len() < limit) {
        let page = client.call(Method::GET, &next, None).await?;
        let found = page.get("items").and_then(Value::as_array);
        items.extend(found.into_iter().flatten().cloned());
        let link = page.pointer("/_links/next/href").and_then(Value::as_str);
        path = link.map(str::to_owned);
    }
    items.truncate(limit);
    if items.is_empty() {
        output.say("No such entry.");
    }
    output.answer(&Value::Array(items.clone()), || {
        items.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

fn first_page(args: &Args, limit: usize) -> Result<String> {
    // Only to have values spelled as a query wants them.
    let mut url = Url::parse("http://localhost")?.join(AUDIT)?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("limit", &limit.to_string());
        let filters = [
            ("client", &args.client),
            ("sandbox", &args.sandbox),
            ("collection", &args.collection),
            ("id", &args.id),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
    }
    Ok(format!("{AUDIT}?{}", url.query().unwrap_or_default()))
}

fn line(entry: &Value) -> String {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("-");
    let at = entry.get("createdAt").and_then(Value::as_i64).unwrap_or(0);
    format!(
        "{}  {}  {}  {}  {} {}",
        calendar::rfc3339(Millis(at)),
        text("client"),
        text("address"),
        text("operation"),
        text("collection"),
        text("objectId")
    )
}
