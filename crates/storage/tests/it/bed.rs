//! Servers and resolvers for the tests.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use offtake_storage::{Network, NetworkSettings, Resolver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that gives every request the same answer and keeps what it heard.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    /// Listens on a free port of `ip`; each connection is read for one request, answered and closed.
    pub(crate) async fn start(ip: &str, answer: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&heard), answer.to_owned());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !whole(&request) {
                    let mut buffer = [0; 1024];
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&buffer[..read]),
                    }
                }
                kept.lock().unwrap().extend_from_slice(&request);
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, heard }
    }

    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

/// Whether the headers have ended and the body is as long as they say.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    body.len() >= length
}

pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Gives the answers of a list, one per lookup; the last one for ever.
pub(crate) struct Script {
    answers: Vec<Vec<IpAddr>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Script {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|all| all.iter().map(|ip| ip.parse().unwrap()).collect());
        Arc::new(Self {
            answers: answers.collect(),
            asked: Mutex::new(Vec::new()),
        })
    }
}

#[async_trait]
impl Resolver for Script {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(host.to_owned());
        let at = (asked.len() - 1).min(self.answers.len() - 1);
        Ok(self.answers[at].clone())
    }
}

pub(crate) fn allowing(nets: &[&str]) -> NetworkSettings {
    NetworkSettings {
        allow: nets.iter().map(|net| (*net).to_owned()).collect(),
        ..NetworkSettings::default()
    }
}

pub(crate) fn network(settings: NetworkSettings, script: &Arc<Script>) -> Network {
    Network::with_resolver(settings, Arc::clone(script) as Arc<dyn Resolver>).unwrap()
}

/// A request that carries a secret, so that a test can look where it went.
pub(crate) fn with_secret(url: &str) -> Request<Bytes> {
    Request::get(url)
        .header("authorization", "Bearer c4nary")
        .body(Bytes::new())
        .unwrap()
}
