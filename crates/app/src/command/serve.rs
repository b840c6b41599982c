//! `offtake serve`: the service, until it is told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::client::{CREDENTIALS_FILE, Credentials};
use crate::config::Config;
use crate::output::Output;
use crate::wire::{self, FirstClient, Place};

/// How long open requests and deliveries may take to end after a signal.
const DRAIN: Duration = Duration::from_secs(28);

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Address and port to listen on; port 0 takes a free one. Overrides the configuration.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(place: &Place, args: Args) -> Result<ExitCode> {
    let mut config = Config::load(place.config.as_deref(), &place.data_dir)?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    let running = Running::start(place, &config).await?;
    let output = Output::new(false);
    if let Some(client) = &running.first_client {
        output.say("First start: an organisation, the sandbox `prod` and one client were made.");
        output.say(&format!("  organisation   {}", client.org));
        output.say(&format!("  client id      {}", client.id));
        output.say(&format!("  client secret  {}", client.secret));
        output.say(&format!(
            "The secret is shown once; the local command line reads it from {}.",
            place.data_dir.join(CREDENTIALS_FILE).display()
        ));
    }
    Output::line(&format!("offtake listens on {}", running.url));
    wait_for_signal().await?;
    info!("stopping: no new work is taken, work under way may end");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Returns when Ctrl-C or SIGTERM arrives.
pub(crate) async fn wait_for_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// A service that runs in this process.
pub(crate) struct Running {
    /// Its address.
    pub(crate) url: String,
    /// The first client, when this was the first start.
    pub(crate) first_client: Option<FirstClient>,
    /// The landing zone's folder of the default tenant, when it lies on this machine.
    pub(crate) landing_zone: Option<std::path::PathBuf>,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    deliveries: JoinHandle<()>,
    promotions: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
    retention: Option<JoinHandle<()>>,
    store: offtake_store::Store,
}

impl Running {
    /// Starts the HTTP server and the delivery loop.
    pub(crate) async fn start(place: &Place, config: &Config) -> Result<Self> {
        // The address comes first: a first start that can't listen must not make a client whose secret nobody saw.
        let listener = TcpListener::bind(config.server.listen)
            .await
            .with_context(|| format!("listening on {}", config.server.listen))?;
        let url = format!("http://{}", listener.local_addr()?);
        let wired = wire::build(place, config).await?;
        keep_credentials(&place.data_dir, &url, wired.first_client.as_ref())?;
        let stop = CancellationToken::new();
        let until = stop.clone();
        let router = wired.router;
        let server = tokio::spawn(offtake_api::serve(
            listener,
            router,
            config.limits.connections(),
            until.cancelled_owned(),
        ));
        let (looping, until) = (wired.deliveries, stop.clone());
        let deliveries = tokio::spawn(async move { looping.run(until).await });
        let (promoter, until) = (wired.promoter, stop.clone());
        let promotions = tokio::spawn(async move { promoter.run(until).await });
        let (housekeeper, until) = (wired.housekeeper, stop.clone());
        let housekeeping = tokio::spawn(async move { housekeeper.run(until).await });
        let (retention, until) = (wired.retention, stop.clone());
        let retention = retention.map(|it| tokio::spawn(async move { it.run(until).await }));
        Ok(Self {
            url,
            first_client: wired.first_client,
            landing_zone: wired.landing_zone,
            stop,
            server,
            deliveries,
            promotions,
            housekeeping,
            retention,
            store: wired.store,
        })
    }

    /// Stops both and waits for them, for a bounded time.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let both = async {
            let retention = async {
                match self.retention {
                    Some(sweeping) => Some(sweeping.await),
                    None => None,
                }
            };
            let (server, deliveries, promotions, housekeeping, retention) = tokio::join!(
                self.server,
                self.deliveries,
                self.promotions,
                self.housekeeping,
                retention
            );
            if let Ok(Err(error)) = server {
                warn!(%error, "the HTTP server ended with an error");
            }
            if let Err(error) = deliveries {
                warn!(%error, "the delivery loop ended with an error");
            }
            if let Err(error) = promotions {
                warn!(%error, "the promotion loop ended with an error");
            }
            if let Err(error) = housekeeping {
                warn!(%error, "the housekeeping loop ended with an error");
            }
            if let Some(Err(error)) = retention {
                warn!(%error, "the retention loop ended with an error");
            }
        };
        if tokio::time::timeout(DRAIN, both).await.is_err() {
            warn!("some work did not end in time; it is resumed on the next start");
        }
        self.store.close().await;
    }
}

/// Writes the first client's credentials, or brings the address in the file up to date.
fn keep_credentials(data_dir: &Path, url: &str, first: Option<&FirstClient>) -> Result<()> {
    let credentials = match first {
        Some(client) => Credentials {
            url: url.to_owned(),
            client_id: client.id.clone(),
            client_secret: client.secret.clone(),
            org: client.org.clone(),
            sandbox: client.sandbox.clone(),
        },
        None => match Credentials::read(data_dir) {
            Ok(known) => Credentials {
                url: url.to_owned(),
                ..known
            },
            // An operator may have removed the file; the service does not need it.
            Err(_) => return Ok(()),
        },
    };
    let text = serde_json::to_string_pretty(&credentials).context("writing credentials")?;
    wire::write_private(&data_dir.join(CREDENTIALS_FILE), text.as_bytes())
}
