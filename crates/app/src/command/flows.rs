//! `offtake flows`: what is exported, and running it now.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::command::runs::{self, next_page};
use crate::output::{Output, Progress};
use crate::wire::Place;

const FLOWS: &str = "/data/foundation/flowservice/flows";
const RUNS: &str = "/data/foundation/flowservice/runs";
const PREVIEWS: &str = "/offtake/v1/folder-previews";

/// Pause between two looks at a run.
const POLL: Duration = Duration::from_millis(250);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List flows.
    List,
    /// Run a flow now and wait for the end.
    Run {
        /// Id or name of the flow.
        flow: String,
        /// Send the whole dataset again and start over from there.
        #[arg(long)]
        full: bool,
        /// Send again exactly what this past run of the flow sent; the flow's position stays.
        #[arg(long, value_name = "RUN", conflicts_with = "full")]
        replay: Option<String>,
        /// Return as soon as the run is accepted.
        #[arg(long)]
        detach: bool,
    },
    /// Show where the files of an occurrence go, and what may not be expected.
    Preview {
        /// Id or name of a flow; without one, name datasets.
        flow: Option<String>,
        /// Folder template instead of the flow's; empty for the default layout.
        #[arg(long)]
        template: Option<String>,
        /// Folder at the destination instead of the target connection's.
        #[arg(long)]
        path: Option<String>,
        /// Id of a dataset, instead of the flow's; may be repeated.
        #[arg(long = "dataset", value_name = "ID")]
        datasets: Vec<String>,
        /// The occurrence, in seconds since 1970; now when not given.
        #[arg(long, value_name = "SECONDS")]
        at: Option<i64>,
    },
    /// Run a failed run again, for the datasets it left undone, and wait for the end.
    Retry {
        /// Id of the failed run.
        run: String,
        /// Return as soon as the run is accepted.
        #[arg(long)]
        detach: bool,
    },
}

pub(crate) async fn run(place: &Place, command: Command, output: Output) -> Result<ExitCode> {
    let client = Client::connect(&place.data_dir).await?;
    match command {
        Command::List => {
            list(&client, output).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run {
            flow,
            full,
            replay,
            detach,
        } => {
            let flow = find(&client, &flow).await?;
            let params = match replay {
                Some(run) => json!({ "replayOf": run }),
                None => json!({ "full": full }),
            };
            let id = start(&client, &flow, &params).await?;
            follow(&client, &id, detach, output).await
        }
        Command::Preview {
            flow,
            template,
            path,
            datasets,
            at,
        } => {
            let flow = match flow {
                Some(flow) => Some(find(&client, &flow).await?),
                None => None,
            };
            let body = json!({
                "flowId": flow,
                "foldernameTemplate": template,
                "path": path,
                "dataSetIds": (!datasets.is_empty()).then_some(datasets),
                "occurrence": at,
            });
            let shown = client.call(Method::POST, PREVIEWS, Some(&body)).await?;
            output.answer(&shown, || previewed(&shown));
            Ok(ExitCode::SUCCESS)
        }
        Command::Retry { run, detach } => {
            let path = format!("{RUNS}/{run}/action?op=RE_TRIGGER");
            let answer = client.call(Method::POST, &path, None).await?;
            follow(&client, &id_of(&answer)?, detach, output).await
        }
    }
}

/// A line for each dataset, then the warnings.
fn previewed(shown: &Value) -> String {
    let text = |value: &Value, pointer: &str| {
        let text = value.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let list = |key: &str| shown.get(key).and_then(Value::as_array).cloned();
    let mut lines = Vec::new();
    for dataset in list("datasets").unwrap_or_default() {
        let place = text(&dataset, "/exampleFile")
            .or_else(|| text(&dataset, "/refusal/message").map(|it| format!("refused: {it}")));
        let id = text(&dataset, "/dataSetId").unwrap_or_default();
        lines.push(format!("{id}  {}", place.unwrap_or_default()));
    }
    let warnings = list("warnings").unwrap_or_default();
    let warnings = warnings.iter().filter_map(Value::as_str);
    lines.extend(warnings.map(|it| format!("warning: {it}")));
    lines.join("\n")
}

/// Waits for the run's end, unless it is to go on by itself.
async fn follow(client: &Client, id: &str, detach: bool, output: Output) -> Result<ExitCode> {
    if detach {
        output.answer(&json!({ "id": id }), || id.to_owned());
        return Ok(ExitCode::SUCCESS);
    }
    let run = wait(client, id, output).await?;
    output.answer(&run, || runs::describe(&run));
    Ok(if runs::status(&run) == "success" {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// Starts a run and returns its id.
pub(crate) async fn start(client: &Client, flow: &str, params: &Value) -> Result<String> {
    let body = json!({ "flowId": flow, "params": params });
    let answer = client.call(Method::POST, RUNS, Some(&body)).await?;
    id_of(&answer)
}

fn id_of(answer: &Value) -> Result<String> {
    let id = answer.get("id").and_then(Value::as_str);
    let id = id.context("the service did not name the run")?;
    Ok(id.to_owned())
}

/// Waits until the run has ended, telling its progress, and returns it.
pub(crate) async fn wait(client: &Client, run: &str, output: Output) -> Result<Value> {
    let mut progress = Progress::new(output);
    loop {
        let answer = client
            .call(Method::GET, &format!("{RUNS}/{run}"), None)
            .await?;
        let run = answer
            .pointer("/items/0")
            .cloned()
            .context("the service does not know the run any more")?;
        if matches!(runs::status(&run), "success" | "failed") {
            progress.done();
            return Ok(run);
        }
        let (rows, total, bytes) = runs::counters(&run);
        progress.tell(rows, total, bytes);
        tokio::time::sleep(POLL).await;
    }
}

async fn list(client: &Client, output: Output) -> Result<()> {
    let flows = all(client).await?;
    let text = |item: &Value, key: &str| {
        item.get(key)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let lines = || {
        flows
            .iter()
            .map(|flow| {
                format!(
                    "{}  {}  {}",
                    text(flow, "id"),
                    text(flow, "state"),
                    text(flow, "name")
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    output.answer(&Value::Array(flows.clone()), lines);
    Ok(())
}

async fn all(client: &Client) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut path = Some(format!("{FLOWS}?limit=100"));
    while let Some(next) = path {
        let page = client.call(Method::GET, &next, None).await?;
        items.extend(
            page.get("items")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        );
        path = next_page(&page);
    }
    Ok(items)
}

/// The id of the flow with this id or name.
pub(crate) async fn find(client: &Client, wanted: &str) -> Result<String> {
    let text = |flow: &Value, key: &str| flow.get(key).and_then(Value::as_str).map(str::to_owned);
    let found: Vec<String> = all(client)
        .await?
        .iter()
        .filter(|flow| {
            ["id", "name"]
                .iter()
                .any(|key| text(flow, key).as_deref() == Some(wanted))
        })
        .filter_map(|flow| text(flow, "id"))
        .collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("no flow has the id or name `{wanted}`; `offtake flows list` shows them"),
        many => bail!(
            "{} flows are named `{wanted}`; use an id: {}",
            many.len(),
            many.join(", ")
        ),
    }
}
