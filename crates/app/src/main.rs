//! `offtake`: delivers data-lake datasets to cloud storage and speaks the dataset-export API of the Flow Service.
//!
//! This is the only place where adapters meet the service. It holds configuration, telemetry, wiring and the
//! command line; it decides nothing about exports.

mod backup;
mod client;
mod command;
mod config;
mod disk;
mod housekeeper;
mod metrics;
mod output;
mod promoter;
mod roots;
mod secret;
mod sinks;
mod system;
mod wire;
mod zone;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Delivers data-lake datasets to cloud storage on a schedule.
///
/// Start with `offtake demo`: it makes a table, exports it, shows the files and verifies them.
/// Data goes to standard output, talk to standard error.
/// Exit codes: 0 done, 1 failed, 2 wrong usage; `run` and `verify` have their own, see their `--help`.
#[derive(Parser)]
#[command(name = "offtake", version, max_term_width = 100)]
struct Cli {
    /// Directory of the database, the key file, the default lake root and the landing zone.
    #[arg(
        long,
        global = true,
        env = "OFFTAKE_DATA_DIR",
        default_value = "offtake-data"
    )]
    data_dir: PathBuf,
    /// Configuration file of a service; `<data dir>/offtake.toml` when it exists.
    #[arg(long, global = true, env = "OFFTAKE_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service until it is told to stop (SIGTERM or Ctrl-C).
    Serve(command::serve::Args),
    /// Show the whole way of an export on a table made for it.
    Demo(command::demo::Args),
    /// Add datasets and list them (needs a running service).
    #[command(subcommand)]
    Dataset(command::dataset::Command),
    /// List flows and run one now (needs a running service).
    #[command(subcommand)]
    Flows(command::flows::Command),
    /// List runs and what became of them, settle quarantined ones (needs a running service).
    Runs(command::runs::Args),
    /// Make and list the organisations that share the service.
    #[command(subcommand)]
    Org(command::access::Organisations),
    /// Make and list sandboxes.
    #[command(subcommand)]
    Sandbox(command::access::Sandboxes),
    /// Make, list, rotate and disable API clients.
    #[command(subcommand)]
    Client(command::access::Clients),
    /// Show and change the keys behind secrets and tokens.
    #[command(subcommand)]
    Keys(command::keys::Command),
    /// Show who changed what.
    Audit(command::audit::Args),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(command::doctor::ConfigCommand),
    /// Look at everything the service needs: configuration, data directory, disk, database, lake roots, clock.
    Doctor(command::doctor::Args),
    /// Deliver what is new, as one file describes it, and end: for cron (needs no running service).
    Run(command::run::Args),
    Backup(command::backup::Args),
    Restore(command::backup::RestoreArgs),
    Reconcile(command::reconcile::Args),
    /// Check delivered files against their manifest.
    Verify(command::verify::Args),
    /// Write files on behalf of a service; started by it.
    #[command(hide = true)]
    Worker(command::worker::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    offtake_storage::use_our_crypto();
    telemetry(&cli);
    let output = Output::new(cli.json);
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(dispatch(cli, output)));
    match result {
        Ok(code) => code,
        Err(error) => {
            Output::complain(&format!("offtake: {error:#}"));
            ExitCode::from(1)
        }
    }
}

async fn dispatch(cli: Cli, output: Output) -> Result<ExitCode> {
    let place = wire::Place {
        data_dir: cli.data_dir,
        config: cli.config,
    };
    match cli.command {
        Command::Serve(args) => command::serve::run(&place, args).await,
        Command::Demo(args) => command::demo::run(place, args, output).await,
        Command::Dataset(args) => command::dataset::run(&place, args, output).await,
        Command::Flows(args) => command::flows::run(&place, args, output).await,
        Command::Runs(args) => command::runs::run(&place, args, output).await,
        Command::Org(args) => command::access::organisations(&place, args, output).await,
        Command::Sandbox(args) => command::access::sandboxes(&place, args, output).await,
        Command::Client(args) => command::access::clients(&place, args, output).await,
        Command::Keys(command) => command::keys::run(&place, command, output).await,
        Command::Audit(args) => command::audit::run(&place, args, output).await,
        Command::Config(command) => Ok(command::doctor::config(&place, &command, output)),
        Command::Doctor(args) => command::doctor::run(&place, &args, output).await,
        Command::Run(args) => command::run::run(place, args, output).await,
        Command::Backup(args) => command::backup::run(&place, args, output).await,
        Command::Restore(args) => command::backup::restore(&place, args, output).await,
        Command::Reconcile(args) => command::reconcile::run(&place, args, output).await,
        Command::Verify(args) => command::verify::run(&args, output),
        Command::Worker(args) => command::worker::run(&place, args).await,
    }
}

/// Logs go to standard error: `OFFTAKE_LOG` filters them, `OFFTAKE_LOG_FORMAT=json` makes them machine-readable.
fn telemetry(cli: &Cli) {
    let default = match cli.command {
        Command::Serve(_) | Command::Worker(_) => "info,delta_kernel=warn",
        Command::Demo(_)
        | Command::Dataset(_)
        | Command::Flows(_)
        | Command::Runs(_)
        | Command::Run(_)
        | Command::Org(_)
        | Command::Sandbox(_)
        | Command::Client(_)
        | Command::Audit(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Reconcile(_)
        | Command::Keys(_)
        | Command::Config(_)
        | Command::Doctor(_)
        | Command::Verify(_) => "warn",
    };
    let filter = EnvFilter::try_from_env("OFFTAKE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::env::var("OFFTAKE_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().init();
    } else {
        builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
    }
}
