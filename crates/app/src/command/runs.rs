//! `offtake runs`: what became of runs.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::client::Client;
use crate::command::flows;
use crate::output::{Output, counted_files, grouped, size};
use crate::wire::Place;

const PREFIX: &str = "/data/foundation/flowservice";

/// Runs asked for at once.
const PAGE: usize = 100;

#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only runs of this flow (id or name).
    flow: Option<String>,
    /// At most this many, newest first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
}

#[derive(Subcommand)]
enum Command {
    /// Settle what a run has in quarantine: try it again, or give it up.
    ///
    /// A delivery is quarantined when going on by itself could lose rows or send them twice. Look at the run's error and
    /// at the destination first.
    Resolve(Resolve),
}

#[derive(ClapArgs)]
struct Resolve {
    /// Id of the run.
    run: String,
    /// Go on from where it stood: what broke has been mended.
    #[arg(long, required_unless_present = "give_up", conflicts_with = "give_up")]
    retry: bool,
    /// End it without success. The next run sends its rows again; where its manifest stands already, they come twice.
    #[arg(long)]
    give_up: bool,
    /// Only the delivery of this dataset.
    #[arg(long, value_name = "ID")]
    dataset: Option<String>,
}

async fn resolve(client: &Client, args: &Resolve, output: Output) -> Result<ExitCode> {
    let op = if args.retry {
        "RESOLVE_RETRY"
    } else {
        "RESOLVE_GIVE_UP"
    };
    let dataset = args.dataset.as_ref();
    let dataset = dataset.map_or_else(String::new, |id| format!("&dataSetId={id}"));
    let path = format!("{PREFIX}/runs/{}/action?op={op}{dataset}", args.run);
    let answer = client.call(Method::POST, &path, None).await?;
    output.answer(&answer, || args.run.clone());
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn run(place: &Place, args: Args, output: Output) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    if let Some(Command::Resolve(resolved)) = &args.command {
        return resolve(&client, resolved, output).await;
    }
    let limit = usize::from(args.limit);
    let filter = match args.flow {
        Some(flow) => format!("&property=flowId=={}", flows::find(&client, &flow).await?),
        None => String::new(),
    };
    let mut items = Vec::new();
    let mut path = Some(format!("{PREFIX}/runs?limit={}{filter}", limit.min(PAGE)));
    while let Some(next) = path.filter(|_| items.len() < limit) {
        let page = client.call(Method::GET, &next, None).await?;
        items.extend(
            page.get("items")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        );
        path = next_page(&page);
    }
    items.truncate(limit);
    if items.is_empty() {
        output.say("No run yet.");
    }
    output.answer(&Value::Array(items.clone()), || {
        items.iter().map(describe).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

/// Path of the next page, when there is one.
pub(crate) fn next_page(page: &Value) -> Option<String> {
    page.pointer("/_links/next/href")
        .and_then(Value::as_str)
        .map(|href| format!("{PREFIX}{href}"))
}

/// `waiting`, `processing`, `success` or `failed`.
pub(crate) fn status(run: &Value) -> &str {
    run.pointer("/metrics/statusSummary/status")
        .and_then(Value::as_str)
        .unwrap_or("waiting")
}

/// Rows written, rows to write when that is known, and bytes written.
pub(crate) fn counters(run: &Value) -> (u64, Option<u64>, u64) {
    let number = |pointer: &str| run.pointer(pointer).and_then(Value::as_u64);
    (
        number("/metrics/recordSummary/outputRecordCount").unwrap_or(0),
        number("/metrics/recordSummary/plannedRecordCount"),
        number("/metrics/sizeSummary/outputBytes").unwrap_or(0),
    )
}

/// One line per run, and one per error.
pub(crate) fn describe(run: &Value) -> String {
    let (rows, _, bytes) = counters(run);
    let id = run.get("id").and_then(Value::as_str).unwrap_or("-");
    let files = run
        .pointer("/metrics/fileSummary/outputFileCount")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let mut text = format!(
        "{id}  {}  {} rows  {}  {}",
        status(run),
        grouped(rows),
        size(bytes),
        counted_files(files)
    );
    for error in run
        .pointer("/metrics/statusSummary/errors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or("-");
        for (before, key) in [
            ("\n    ", "errorCode"),
            ("  ", "message"),
            ("\n      ", "advice"),
        ] {
            text.push_str(before);
            text.push_str(part(key));
        }
    }
    text
}
