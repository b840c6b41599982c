//! Connections: taken on, bounded in number, in the time that a request's head may take and in its size.
//!
//! The one law: nobody holds a connection by sending nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Most bytes of a request's head that are held while it arrives; the gate's own limits are below.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Pause after the machine refused to take on a connection, for lack of descriptors mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Most connections at a time; further ones wait.
    pub connections_max: usize,
    /// How long a request's head may take, and how long a connection may lie idle.
    pub head_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            head_timeout: Duration::from_secs(10),
        }
    }
}

/// Answers requests on the listener until `until` is ready and the open ones have ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(limits.connections_max.max(1)));
    let (stop, stopped) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut until = std::pin::pin!(until);
    loop {
        let taken = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            taken = taken => taken,
            () = &mut until => break,
        };
        let (Ok(slot), Ok((stream, peer))) = (slot, accepted) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let connection = Connection {
            router: router.clone(),
            peer,
            limits,
            stopped: stopped.clone(),
            _slot: slot,
        };
        open.spawn(connection.answer(stream));
        while open.try_join_next().is_some() {}
    }
    drop(listener);
    // Nobody listens any more when every connection has ended already.
    let _ = stop.send(true);
    while open.join_next().await.is_some() {}
    Ok(())
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    limits: ConnectionLimits,
    stopped: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn answer(mut self, stream: TcpStream) {
        // Without it small answers wait for the other side's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended at once");
            return;
        }
        let (router, peer) = (self.router.clone(), self.peer);
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        // The guard that waiting answers must not live on while we wait again.
        let stopped = async { self.stopped.wait_for(|stopped| *stopped).await.is_ok() };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stopped => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
