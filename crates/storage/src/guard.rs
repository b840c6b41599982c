//! The policy for every outgoing connection.
//!
//! It opens nothing. It looks a name up once and judges every address of the answer: one forbidden address among
//! allowed ones refuses the whole name, since which of them is used is a matter of chance.
//!
//! The one law: the addresses that leave here are the only ones ever connected to.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use offtake_model::{ErrorCode, Fault};
use url::{Host, Url};

use crate::address::{self, Nature};
use crate::resolve::Resolver;

/// What travels over the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Encrypted, and the other side proves who it is.
    Secure,
    /// Plain HTTP: only to networks that the operator names, or where it is allowed everywhere.
    Plain,
}

/// Why nothing was sent.
#[derive(Debug)]
pub(crate) enum Denial {
    /// The policy says no.
    Refused(Fault),
    /// The name has no address.
    Unresolved(Fault),
}

impl Denial {
    /// The fault, whichever it is.
    pub(crate) const fn fault(&self) -> &Fault {
        match self {
            Self::Refused(fault) | Self::Unresolved(fault) => fault,
        }
    }

    /// The fault, whichever it is.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Refused(fault) | Self::Unresolved(fault) => fault,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault().message)
    }
}

impl std::error::Error for Denial {}

/// The policy.
pub(crate) struct Guard {
    /// Special networks that may be reached all the same.
    pub(crate) allow: Vec<IpNet>,
    /// The only ports that may be reached; any when empty.
    pub(crate) ports: Vec<u16>,
    /// Whether plain HTTP may leave for the public internet.
    pub(crate) allow_http: bool,
    /// The operator's proxy: reached without judgement, and the one who resolves names.
    pub(crate) proxy_host: Option<String>,
    /// Looks names up.
    pub(crate) resolver: Arc<dyn Resolver>,
}

impl Guard {
    /// Judges an address as far as it can be without a lookup: scheme, credentials in it, port, literal host.
    pub(crate) fn check(&self, url: &Url) -> Result<Scheme, Denial> {
        let scheme = match url.scheme() {
            "https" => Scheme::Secure,
            "http" => Scheme::Plain,
            other => return Err(refused(url, &format!("the scheme `{other}` is not HTTP"))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(url, "an address must not carry a user or password"));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(refused(url, "the address names no host"));
        };
        self.check_port(&host.to_string(), port)?;
        match host {
            Host::Ipv4(four) => self.check_address(&four.to_string(), four.into(), scheme)?,
            Host::Ipv6(six) => self.check_address(&six.to_string(), six.into(), scheme)?,
            // The proxy looks names up, so that nothing here can tell whether one is on the allow-list.
            Host::Domain(name)
                if scheme == Scheme::Plain && self.proxy_host.is_some() && !self.allow_http =>
            {
                return Err(plain(name));
            }
            Host::Domain(_) => {}
        }
        Ok(scheme)
    }

    /// Judges a port.
    pub(crate) fn check_port(&self, host: &str, port: u16) -> Result<(), Denial> {
        if self.ports.is_empty() || self.ports.contains(&port) {
            return Ok(());
        }
        Err(Denial::Refused(Fault::new(
            ErrorCode::NetworkRefused,
            format!("connect to {host}: port {port} is not among `network.ports`"),
        )))
    }

    /// The addresses of a host that may all be connected to.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        scheme: Scheme,
    ) -> Result<Vec<IpAddr>, Denial> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>() {
            self.check_address(host, address, scheme)?;
            return Ok(vec![address]);
        }
        let looked_up = self.resolver.resolve(host).await;
        let found = looked_up.map_err(|error| {
            Denial::Unresolved(
                Fault::new(
                    ErrorCode::DestinationUnreachable,
                    format!("connect to {host}: the name cannot be resolved"),
                )
                .because(&error),
            )
        })?;
        if found.is_empty() {
            return Err(Denial::Unresolved(Fault::new(
                ErrorCode::DestinationUnreachable,
                format!("connect to {host}: the name has no address"),
            )));
        }
        if self.proxy_host.as_deref() == Some(host) {
            return Ok(found);
        }
        for address in &found {
            self.check_address(host, *address, scheme)?;
        }
        Ok(found)
    }

    fn check_address(&self, host: &str, address: IpAddr, scheme: Scheme) -> Result<(), Denial> {
        let meant = address::meant(address);
        let allowed = self.allow.iter().any(|net| net.contains(&meant));
        match address::nature(address) {
            Nature::Metadata => Err(Denial::Refused(Fault::new(
                ErrorCode::NetworkRefused,
                format!("connect to {host}: {address} is a cloud's metadata service"),
            ))),
            Nature::Special(kind) if !allowed => Err(Denial::Refused(Fault::new(
                ErrorCode::NetworkRefused,
                format!("connect to {host}: {address} is a {kind} address"),
            ))),
            Nature::Public if scheme == Scheme::Plain && !allowed && !self.allow_http => {
                Err(plain(host))
            }
            Nature::Special(_) | Nature::Public => Ok(()),
        }
    }
}

fn plain(host: &str) -> Denial {
    Denial::Refused(Fault::new(
        ErrorCode::NetworkRefused,
        format!("connect to {host}: plain HTTP would show credentials and data on the way"),
    ))
}

/// The URL's query and user part may hold secrets: only the host is named.
fn refused(url: &Url, reason: &str) -> Denial {
    let host = url.host_str().unwrap_or("-");
    Denial::Refused(Fault::new(
        ErrorCode::NetworkRefused,
        format!("connect to {host}: {reason}"),
    ))
}
