//! `offtake run FILE`: one export described by one file, for cron. The same service in this process, on a free
//! loopback port, for as long as it takes.
//!
//! Resources are made through the public API and found again by name: the name holds a fingerprint of what was asked
//! for, so a changed file makes new ones and points the same flow at them. The flow keeps its position throughout.
//!
//! The one law: two starts over one state directory never work at the same time.

mod file;
mod setup;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args as ClapArgs;
use offtake_model::ErrorCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Credentials};
use crate::command::serve::{Running, wait_for_signal};
use crate::command::{flows, reconcile, runs};
use crate::config::Config;
use crate::output::{Output, counted_files, grouped, size};
use crate::wire::{Place, Told, make_private_dir, write_private};

use file::ExportFile;
use setup::{Setup, TABLE_ROOT};

/// Delivered, or nothing was new.
const DONE: u8 = 0;
/// The delivery failed; the next start tries again from the same position.
const FAILED: u8 = 1;
/// The file, or what it names, is wrong.
const BAD_FILE: u8 = 2;
/// Source or destination could not be reached in time; the next start goes on.
const UNREACHABLE: u8 = 69;
/// Another process works on this state directory.
const BUSY: u8 = 75;

/// Deliver what is new, as one file describes it, and end.
///
/// Exit codes: 0 delivered, or nothing was new; 1 the delivery failed; 2 the file is wrong; 69 source or
/// destination did not answer in time, the next start goes on; 75 another run holds the state directory.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The YAML file that says what to deliver, where to and how.
    file: PathBuf,
    /// Directory of the run's state: what was delivered already. `<file without ending>.state` when not given.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Seconds to wait for the delivery to end.
    #[arg(long, default_value_t = 3600)]
    wait_secs: u64,
}

pub(crate) async fn run(place: Place, args: Args, output: Output) -> Result<ExitCode> {
    match deliver(place, args, output).await {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(Failure { code, error }) => {
            Output::complain(&format!("offtake run: {error:#}"));
            Ok(ExitCode::from(code))
        }
    }
}

/// Why nothing was delivered, and what the process answers for it.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// Anything that is not said otherwise failed.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let busy = error
            .downcast_ref::<Told>()
            .is_some_and(|told| told.code() == ErrorCode::DataDirInUse);
        Self {
            code: if busy { BUSY } else { FAILED },
            error,
        }
    }
}

const fn bad_file(error: anyhow::Error) -> Failure {
    Failure {
        code: BAD_FILE,
        error,
    }
}

async fn deliver(place: Place, args: Args, output: Output) -> Result<u8, Failure> {
    let export = ExportFile::read(&args.file).map_err(bad_file)?;
    let name = match &export.name {
        Some(name) => name.clone(),
        None => stem(&args.file).map_err(bad_file)?,
    };
    let state = args
        .state
        .unwrap_or_else(|| args.file.with_extension("state"));
    let place = prepare(&place, &state, &export).map_err(bad_file)?;
    let mut config = Config::load(place.config.as_deref(), &place.data_dir).map_err(bad_file)?;
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = Running::start(&place, &config).await?;
    let work = async {
        let client = Client::with_credentials(Credentials::read(&place.data_dir)?).await?;
        let setup = Setup {
            client: &client,
            name: &name,
            export: &export,
        };
        let flow = setup.flow().await.map_err(bad_file)?;
        go(&client, &flow, output).await
    };
    let ended = tokio::select! {
        ended = work => ended,
        () = tokio::time::sleep(Duration::from_secs(args.wait_secs)) => Err(Failure {
            code: UNREACHABLE,
            error: anyhow!("not finished after {} s; the next start goes on", args.wait_secs),
        }),
        stopped = wait_for_signal() => Err(Failure {
            code: UNREACHABLE,
            error: stopped.err().unwrap_or_else(|| anyhow!("told to stop; the next start goes on")),
        }),
    };
    running.stop().await;
    ended
}

/// Waits for what an earlier start left unfinished, then delivers what is new.
async fn go(client: &Client, flow: &str, output: Output) -> Result<u8, Failure> {
    catch_up(client, flow).await?;
    let mut ended = Vec::new();
    for run in unfinished(client, flow).await? {
        ended.push(flows::wait(client, &run, output).await?);
    }
    let run = flows::start(client, flow, &json!({})).await?;
    ended.push(flows::wait(client, &run, output).await?);
    Ok(tell(&ended, output))
}

/// Lets the flow go on when its state was restored from a backup.
async fn catch_up(client: &Client, flow: &str) -> Result<(), Failure> {
    let held = reconcile::held(client).await?;
    if !held.iter().any(|it| it.get("id") == Some(&json!(flow))) {
        return Ok(());
    }
    let verdict = reconcile::reconcile(client, flow, false, false).await?;
    match reconcile::refusal(&verdict) {
        None => Ok(()),
        Some(reason) => Err(anyhow!("the restored state cannot go on:\n    {reason}").into()),
    }
}

/// Runs of the flow that have not ended, oldest first.
async fn unfinished(client: &Client, flow: &str) -> Result<Vec<String>> {
    let path = format!("/data/foundation/flowservice/runs?limit=100&property=flowId=={flow}");
    let page = client.call(Method::GET, &path, None).await?;
    let items = page.get("items").and_then(Value::as_array);
    let mut open: Vec<String> = items
        .into_iter()
        .flatten()
        .filter(|run| !matches!(runs::status(run), "success" | "failed"))
        .filter_map(|run| Some(run.get("id")?.as_str()?.to_owned()))
        .collect();
    open.reverse();
    Ok(open)
}

/// Says what became of the runs; the last one decides.
fn tell(ended: &[Value], output: Output) -> u8 {
    let (mut rows, mut bytes, mut files) = (0, 0, 0);
    for run in ended {
        let counters = runs::counters(run);
        rows += counters.0;
        bytes += counters.2;
        files += run
            .pointer("/metrics/fileSummary/outputFileCount")
            .and_then(Value::as_u64)
            .unwrap_or(0);
    }
    let last = ended.last().unwrap_or(&Value::Null);
    let code = verdict(last);
    let value = json!({
        "exitCode": code,
        "status": runs::status(last),
        "rows": rows,
        "files": files,
        "bytes": bytes,
        "runs": ended,
    });
    output.answer(&value, || match (code, rows) {
        (DONE, 0) => "Nothing new.".to_owned(),
        (DONE, _) => format!(
            "Delivered {} rows in {}, {}.",
            grouped(rows),
            counted_files(files),
            size(bytes)
        ),
        _ => format!("Not delivered:\n{}", runs::describe(last)),
    });
    code
}

fn verdict(run: &Value) -> u8 {
    if runs::status(run) == "success" {
        return DONE;
    }
    let error = run
        .pointer("/metrics/statusSummary/errors/0/errorCode")
        .and_then(Value::as_str);
    let passing = error.is_some_and(|name| {
        [
            ErrorCode::RetriesExhausted,
            ErrorCode::DestinationUnreachable,
            ErrorCode::SourceUnreachable,
        ]
        .iter()
        .any(|code| code.name() == name)
    });
    if passing { UNREACHABLE } else { FAILED }
}

/// Makes the state directory and writes the service's configuration there: the operator's own, and the folders that
/// the file names. Worker processes read it too.
fn prepare(place: &Place, state: &Path, export: &ExportFile) -> Result<Place> {
    let state = std::path::absolute(state)?;
    make_private_dir(&state)?;
    let mut text = match &place.config {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("reading configuration {}", path.display()))?,
        None => String::new(),
    };
    if let Some(root) = setup::table_root(&export.dataset.location)? {
        section(&mut text, &format!("lake.roots.{TABLE_ROOT}"), "url", &root)?;
    }
    if let Some(folder) = &export.destination.folder {
        section(
            &mut text,
            "landing_zone",
            "path",
            &std::path::absolute(folder)?,
        )?;
    }
    let config = state.join("run.toml");
    write_private(&config, text.as_bytes())?;
    Ok(Place {
        data_dir: state,
        config: Some(config),
    })
}

/// Appends a section with one path. JSON's way to quote text is TOML's too.
fn section(text: &mut String, name: &str, key: &str, path: &Path) -> Result<()> {
    let path = path
        .to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))?;
    let quoted = serde_json::to_string(path)?;
    text.push_str(&["\n[", name, "]\n", key, " = ", &quoted, "\n"].concat());
    Ok(())
}

fn stem(file: &Path) -> Result<String> {
    let stem = file.file_stem().and_then(|it| it.to_str());
    Ok(stem
        .with_context(|| format!("{} has no name", file.display()))?
        .to_owned())
}
