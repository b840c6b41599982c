//! Names to addresses.
//!
//! It judges nothing: what may be connected to is the guard's business.
//!
//! The one law: one lookup per connection. What was checked is what is connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::{Guard, Scheme};

/// Looks names up.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address of the name.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug)]
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Hands the HTTP client only addresses that the guard let pass.
pub(crate) struct Guarded {
    pub(crate) guard: Arc<Guard>,
    pub(crate) scheme: Scheme,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let scheme = self.scheme;
        Box::pin(async move {
            let found = guard.addresses(name.as_str(), scheme).await?;
            // Port 0 means: the port of the address that is asked for.
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
