//! `offtake demo`: the whole way of an export, on a table made for it, over the public API.

mod steps;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use offtake_lake::demo::DemoTable;
use offtake_model::Manifest;
use serde_json::{Value, json};

use crate::client::{Client, Credentials};
use crate::command::demo::steps::Export;
use crate::command::serve::{Running, wait_for_signal};
use crate::command::{flows, runs, verify};
use crate::config::Config;
use crate::output::{Output, grouped, size};
use crate::wire::Place;

/// Directory made when none is named.
const DEFAULT_DIR: &str = "offtake-demo";

/// Marks a directory as the demo's own, which the next demo may replace.
const MARKER: &str = ".offtake-demo";

/// Seed of the table's rows: every demo shows the same data.
const SEED: u64 = 1;

/// Files of the first commit.
const FILES: u32 = 4;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Stop when everything was shown, instead of leaving the service running.
    #[arg(long)]
    once: bool,
    /// Rows of the table before the first run.
    #[arg(long, default_value_t = 200_000)]
    rows: u64,
    /// Rows appended before the second run.
    #[arg(long, default_value_t = 20_000)]
    append: u64,
    /// File type: JSON or PARQUET.
    #[arg(long, default_value = "JSON")]
    file_type: String,
    /// Compression: NONE or GZIP.
    #[arg(long, default_value = "GZIP")]
    compression: String,
    /// Directory for everything the demo makes, its data directory among it (--data-dir is not used); replaced when
    /// an earlier demo made it.
    #[arg(long, default_value = DEFAULT_DIR)]
    dir: PathBuf,
    /// Address and port of the service; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub(crate) async fn run(place: Place, args: Args, output: Output) -> Result<ExitCode> {
    let dir = std::path::absolute(&args.dir)?;
    prepare(&dir)?;
    let place = Place {
        data_dir: dir.join("data"),
        config: place.config,
    };
    let table_path = place.data_dir.join("lake").join("events");
    output.say(&format!(
        "== A Delta table of {} nested rows at {}",
        grouped(args.rows),
        table_path.display()
    ));
    let (rows, path) = (args.rows, table_path.clone());
    let table = blocking(move || DemoTable::create(&path, rows, SEED, FILES)).await?;

    let mut config = Config::load(place.config.as_deref(), &place.data_dir)?;
    config.server.listen = args.listen;
    let running = Running::start(&place, &config).await?;
    output.say(&format!("== The service listens on {}", running.url));

    let verdict = show(&place, &args, output, &running, table).await;
    let code = match verdict {
        Ok(verified) => ExitCode::from(u8::from(!verified)),
        Err(error) => {
            running.stop().await;
            return Err(error);
        }
    };
    if !args.once {
        output.say(&format!(
            "== The service keeps running on {}; Ctrl-C ends it.",
            running.url
        ));
        output.say(&format!(
            "   Try: offtake --data-dir {} runs",
            place.data_dir.display()
        ));
        wait_for_signal().await?;
    }
    running.stop().await;
    Ok(code)
}

/// Both runs, with what they delivered; whether everything was verified.
async fn show(
    place: &Place,
    args: &Args,
    output: Output,
    running: &Running,
    table: DemoTable,
) -> Result<bool> {
    let client = Client::with_credentials(Credentials::read(&place.data_dir)?).await?;
    let export = Export {
        client: &client,
        output,
        file_type: &args.file_type,
        compression: &args.compression,
    };
    let flow = export.set_up("lake://default/events").await?;
    output.say("== Step 6: the first run sends everything");
    let first = export.first_run(&flow).await?;
    let mut shown = vec![deliver(&client, &first, output, running).await?];

    output.say(&format!(
        "== {} rows are appended to the table; the second run sends only those",
        grouped(args.append)
    ));
    let append = args.append;
    let mut table = table;
    blocking(move || table.append(append)).await?;
    let second = flows::start(&client, &flow, &json!({})).await?;
    shown.push(deliver(&client, &second, output, running).await?);

    let verified = shown.iter().all(|run| run.verified)
        && shown
            .iter()
            .map(|run| run.rows)
            .eq([args.rows, args.append]);
    let value = json!({
        "url": running.url,
        "dataDir": place.data_dir,
        "landingZone": running.landing_zone,
        "flowId": flow,
        "runs": shown.iter().map(Shown::json).collect::<Vec<_>>(),
        "verified": verified,
    });
    output.answer(&value, || {
        if verified {
            format!(
                "Both runs are verified: {} rows, then exactly the {} appended.",
                grouped(args.rows),
                grouped(args.append)
            )
        } else {
            "NOT VERIFIED: the runs did not deliver exactly the rows of the table.".to_owned()
        }
    });
    Ok(verified)
}

/// What one run delivered.
struct Shown {
    run: String,
    rows: u64,
    verified: bool,
    manifest: PathBuf,
    files: Vec<PathBuf>,
}

impl Shown {
    fn json(&self) -> Value {
        json!({
            "run": self.run,
            "rows": self.rows,
            "verified": self.verified,
            "manifest": self.manifest,
            "files": self.files,
        })
    }
}

/// Waits for the run, lists its files and verifies its manifest.
async fn deliver(client: &Client, run: &str, output: Output, running: &Running) -> Result<Shown> {
    let ended = flows::wait(client, run, output).await?;
    if runs::status(&ended) != "success" {
        bail!("the run did not succeed:\n{}", runs::describe(&ended));
    }
    output.say(&format!("   {}", runs::describe(&ended)));
    let zone = running
        .landing_zone
        .as_deref()
        .context("the demo delivers into a folder, and the landing zone is none")?;
    let path = find_manifest(zone, run)?;
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest = offtake_core::manifest::parse(&bytes)
        .map_err(|fault| anyhow::anyhow!("{}", fault.message))?;
    for file in &manifest.files {
        output.say(&format!(
            "   {}  {} rows  {}",
            file.key,
            grouped(file.rows),
            size(file.size)
        ));
    }
    let verdict = verify::verdict(&path, &manifest, output);
    output.say(&format!("   {}", verdict.text));
    Ok(shown(run, &manifest, path, verdict.verified, zone))
}

fn shown(run: &str, manifest: &Manifest, path: PathBuf, verified: bool, zone: &Path) -> Shown {
    Shown {
        run: run.to_owned(),
        rows: manifest.total_rows,
        verified,
        manifest: path,
        files: manifest
            .files
            .iter()
            .map(|file| zone.join(&file.key))
            .collect(),
    }
}

/// The manifest of the run, found by reading the manifests that lie in the zone.
fn find_manifest(zone: &Path, run: &str) -> Result<PathBuf> {
    let mut folders = vec![zone.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let ours = path.extension().is_some_and(|it| it == "manifest")
                && std::fs::read(&path)
                    .ok()
                    .and_then(|bytes| offtake_core::manifest::parse(&bytes).ok())
                    .is_some_and(|manifest| manifest.run.to_string() == run);
            if ours {
                return Ok(path);
            }
        }
    }
    bail!("run {run} left no manifest below {}", zone.display())
}

/// Makes the directory empty, but never touches one that no demo made.
fn prepare(dir: &Path) -> Result<()> {
    if dir.exists() {
        let empty = std::fs::read_dir(dir)
            .with_context(|| format!("listing {}", dir.display()))?
            .next()
            .is_none();
        if !empty && !dir.join(MARKER).exists() {
            bail!(
                "{} exists and was not made by a demo; name another with --dir",
                dir.display()
            );
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("replacing {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    std::fs::write(
        dir.join(MARKER),
        "Made by `offtake demo`; the next demo replaces this folder.\n",
    )
    .with_context(|| format!("writing to {}", dir.display()))
}

async fn blocking<T: Send + 'static, E: std::error::Error + Send + Sync + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work)
        .await
        .context("the work was interrupted")??)
}
