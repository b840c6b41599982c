//! The network as this installation sees it, made once from the configuration.
//!
//! The one law: whoever wants out asks here; there is no other client in the process.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use offtake_model::{ErrorCode, Fault};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use url::Url;

use crate::door::Door;
use crate::guard::{Denial, Guard, Scheme};
use crate::networks::Networks;
use crate::resolve::{Guarded, Resolver, SystemResolver};
use crate::tls;

/// Idle connections kept per host, and for how long: less than stores keep theirs.
const IDLE_PER_HOST: usize = 8;
const IDLE_FOR: Duration = Duration::from_secs(15);
/// How long an open answer may stay silent.
const SILENCE_MAX: Duration = Duration::from_secs(45);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What an operator can say about the network.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// Special networks that may be reached: `127.0.0.0/8`, `10.1.0.0/16`, `fd00::/8`, single addresses.
    pub allow: Vec<String>,
    /// The only ports that may be reached; any when empty.
    pub ports: Vec<u16>,
    /// Whether plain HTTP may leave for hosts that are not in `allow`.
    pub allow_http: bool,
    /// A PEM file of certificate authorities to believe, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// An HTTP proxy, with credentials if it wants them. It looks names up, so it must refuse private targets itself.
    pub proxy: Option<SecretString>,
    /// Hosts, domains and networks that are reached without the proxy.
    pub no_proxy: Vec<String>,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a request may take, beside the time its body needs on a slow link.
    pub request_timeout: Duration,
    /// The slowest link that is waited for, in bytes per second.
    pub slowest_link: u64,
    /// The largest answer that is read into memory, in bytes.
    pub answer_max: usize,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ports: Vec::new(),
            allow_http: false,
            ca_file: None,
            proxy: None,
            no_proxy: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_mins(1),
            slowest_link: 64 * 1024,
            answer_max: 8 << 20,
        }
    }
}

/// The way to other machines. Clones are one and the same.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) guard: Arc<Guard>,
    /// For requests with a time limit of their own.
    pub(crate) clients: Clients,
    /// For answers of any length, which must not fall silent.
    pub(crate) readers: Clients,
    pub(crate) settings: NetworkSettings,
}

/// One client per scheme, because each has its own resolver.
pub(crate) struct Clients {
    secure: Client,
    plain: Client,
}

impl Clients {
    /// The client for a scheme.
    pub(crate) const fn of(&self, scheme: Scheme) -> &Client {
        match scheme {
            Scheme::Secure => &self.secure,
            Scheme::Plain => &self.plain,
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Reads the certificates and sets the clients up. Nothing is sent.
    ///
    /// # Errors
    /// `FIELD_INVALID`, naming the setting that cannot be used.
    pub fn new(settings: NetworkSettings) -> Result<Self, Fault> {
        Self::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// As [`Network::new`], with another way to look names up.
    ///
    /// # Errors
    /// `FIELD_INVALID`, naming the setting that cannot be used.
    pub fn with_resolver(
        settings: NetworkSettings,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, Fault> {
        let allow = Networks::parse("network.allow", &settings.allow)?;
        let proxy = proxy(&settings)?;
        let guard = Arc::new(Guard {
            allow: allow.into_inner(),
            ports: settings.ports.clone(),
            allow_http: settings.allow_http,
            proxy_host: proxy.as_ref().map(|(host, _)| host.clone()),
            resolver,
        });
        let tls = tls::client(settings.ca_file.as_deref())?;
        let proxy = proxy.map(|(_, proxy)| proxy);
        let make = |scheme, silence_max: Option<Duration>| {
            let guarded = Guarded {
                guard: Arc::clone(&guard),
                scheme,
            };
            let builder = client(&settings, tls.clone(), guarded, proxy.clone());
            let builder = match silence_max {
                Some(silence_max) => builder.read_timeout(silence_max),
                None => builder,
            };
            builder.build().map_err(|error| {
                Fault::new(ErrorCode::Internal, "set up the HTTP client").because(&error)
            })
        };
        let both = |silence_max| {
            Ok(Clients {
                secure: make(Scheme::Secure, silence_max)?,
                plain: make(Scheme::Plain, silence_max)?,
            })
        };
        Ok(Self {
            inner: Arc::new(Inner {
                clients: both(None)?,
                readers: both(Some(SILENCE_MAX))?,
                guard,
                settings,
            }),
        })
    }

    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// An HTTP client that can only reach allowed addresses, follows no redirect, has timeouts and bounds answers.
    pub fn door(&self) -> Door {
        Door::new(self.inner())
    }

    /// Opens a connection for another protocol than HTTP: resolves, checks every address, connects to one of them.
    /// A proxy is not used.
    ///
    /// # Errors
    /// `NETWORK_REFUSED` when an address may not be reached, `DESTINATION_UNREACHABLE` when none answers.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Fault> {
        let guard = &self.inner.guard;
        guard.check_port(host, port).map_err(Denial::into_fault)?;
        let found = guard
            .addresses(host, Scheme::Secure)
            .await
            .map_err(Denial::into_fault)?;
        let mut last = None;
        for ip in found {
            let opening = TcpStream::connect(SocketAddr::new(ip, port));
            match tokio::time::timeout(self.inner.settings.connect_timeout, opening).await {
                Ok(Ok(stream)) => {
                    stream
                        .set_nodelay(true)
                        .map_err(|error| silent(host, port).because(&error))?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(silent(host, port).because(&error)),
                Err(late) => last = Some(silent(host, port).because(&late)),
            }
        }
        Err(last.unwrap_or_else(|| silent(host, port)))
    }
}

fn silent(host: &str, port: u16) -> Fault {
    Fault::new(
        ErrorCode::DestinationUnreachable,
        format!("connect to {host} port {port}: no answer"),
    )
}

pub(crate) fn unusable(message: &str) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}

/// The proxy with its host's name.
fn proxy(settings: &NetworkSettings) -> Result<Option<(String, Proxy)>, Fault> {
    let Some(text) = &settings.proxy else {
        return Ok(None);
    };
    // The cause is left out: it could repeat the credentials in the address.
    let wrong = || unusable("`network.proxy` is not an address such as http://proxy.example:3128");
    let url = Url::parse(text.expose_secret()).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?.to_owned();
    let direct = settings.no_proxy.join(",");
    let proxy = Proxy::all(url)
        .map_err(|_| wrong())?
        .no_proxy(NoProxy::from_string(&direct));
    Ok(Some((host, proxy)))
}

fn client(
    settings: &NetworkSettings,
    tls: rustls::ClientConfig,
    guarded: Guarded,
    proxy: Option<Proxy>,
) -> ClientBuilder {
    let builder = Client::builder()
        .use_preconfigured_tls(tls)
        .http1_only()
        .dns_resolver(Arc::new(guarded))
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_FOR)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE)
        .user_agent(concat!("offtake/", env!("CARGO_PKG_VERSION")));
    match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder.no_proxy(),
    }
}
