//! `offtake reconcile`: lets the flows of a restored service go on, one after the other.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::output::{Output, grouped};
use crate::wire::Place;

const HELD: &str = "/offtake/v1/held-flows";

/// Compare the flows of a restored service with what their destinations hold, and let them go on (needs a running
/// service).
///
/// What was delivered after the backup is taken over from its manifests, so that no row is sent twice. A flow whose
/// manifests contradict the backup, or are missing, stays held, with the reason.
///
/// Exit codes: 0 no flow is held any more, or for --dry-run none would be; 1 at least one is.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only this flow (id or name).
    flow: Option<String>,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where manifests are missing or cannot be read, go on from where the backup stood: rows may be sent twice.
    #[arg(long, requires = "flow")]
    accept: bool,
}

pub(crate) async fn run(place: &Place, args: Args, output: Output) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    let held = held(&client).await?;
    let chosen: Vec<&Value> = match &args.flow {
        None => held.iter().collect(),
        Some(wanted) => vec![find(&held, wanted)?],
    };
    if chosen.is_empty() {
        output.say("No flow is held: nothing was restored, or all are reconciled.");
    }
    let mut verdicts = Vec::with_capacity(chosen.len());
    for flow in chosen {
        let verdict = reconcile(&client, text(flow, "id"), args.dry_run, args.accept).await?;
        if !output.json() {
            Output::line(&described(text(flow, "name"), &verdict));
        }
        verdicts.push(verdict);
    }
    let refused = verdicts.iter().any(|it| it.get("refusal").is_some());
    if output.json() {
        output.answer(&Value::Array(verdicts), String::new);
    }
    Ok(if refused {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// The flows that are held.
pub(crate) async fn held(client: &Client) -> Result<Vec<Value>> {
    let answer = client.call(Method::GET, HELD, None).await?;
    let items = answer.get("items").and_then(Value::as_array);
    Ok(items.cloned().unwrap_or_default())
}

/// Reconciles one flow.
pub(crate) async fn reconcile(
    client: &Client,
    flow: &str,
    dry_run: bool,
    accept: bool,
) -> Result<Value> {
    let path = format!("{HELD}/{flow}/reconcile?dryRun={dry_run}&accept={accept}");
    client.call_patiently(Method::POST, &path).await
}

fn find<'a>(held: &'a [Value], wanted: &str) -> Result<&'a Value> {
    let named = |flow: &&Value| text(flow, "id") == wanted || text(flow, "name") == wanted;
    let mut found = held.iter().filter(named);
    match (found.next(), found.next()) {
        (Some(flow), None) => Ok(flow),
        (Some(_), Some(_)) => bail!("several held flows are named `{wanted}`; use an id"),
        (None, _) => bail!("no held flow has the id or name `{wanted}`"),
    }
}

/// The reason why the flow is held further on, when there is one.
pub(crate) fn refusal(verdict: &Value) -> Option<String> {
    let reason = verdict.get("refusal")?;
    Some(format!(
        "{}  {}\n      {}",
        text(reason, "code"),
        text(reason, "message"),
        text(reason, "advice")
    ))
}

/// A line for the flow and one for each dataset.
fn described(name: &str, verdict: &Value) -> String {
    let refused = refusal(verdict);
    let goes_on = match (&refused, verdict.get("dryRun") == Some(&json!(true))) {
        (None, false) => "goes on",
        (None, true) => "would go on",
        (Some(_), _) => "is held",
    };
    let mut lines = vec![format!("{}  {name}  {goes_on}", text(verdict, "flowId"))];
    let datasets = verdict.get("datasets").and_then(Value::as_array);
    for dataset in datasets.into_iter().flatten() {
        let number = |key: &str| dataset.get(key).and_then(Value::as_u64).unwrap_or(0);
        let id = text(dataset, "dataSetId");
        lines.push(match text(dataset, "outcome") {
            "current" => format!("    {id}  nothing was delivered since the backup"),
            "caughtUp" => format!(
                "    {id}  {} deliveries taken over ({} rows), from number {} to {}; {} given up",
                number("deliveries"),
                grouped(number("rows")),
                number("seqBefore"),
                number("seqAfter"),
                number("superseded"),
            ),
            _ => format!("    {id}  {}", refusal(dataset).unwrap_or_default()),
        });
    }
    if let Some(refused) = refused.filter(|it| !lines.iter().any(|line| line.contains(it))) {
        lines.push(format!("    {refused}"));
    }
    lines.join("\n")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}
