//! Uploads one file with our sink and with OpenSSH's `sftp`, in turns, to a server of its own on loopback.
//!
//! `race [megabytes] [rounds] [delay in ms each way]`: prints wall and client CPU seconds and their ratios. With a
//! delay, both go through a proxy of this process that holds every byte back for so long, and CPU is not told.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement may stop where it stands, and prints"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offtake_model::plan::DestinationKind;
use offtake_model::{
    AttemptId, AttemptTag, ConnectionId, DeliveryId, Fault, OrgId, SandboxName, SinkRef, Tenant,
};
use offtake_ports::{Access, Credentials, EndOfStream, Sinks};
use offtake_storage::{Network, NetworkSettings};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use uuid::Uuid;

#[expect(dead_code, reason = "a measurement needs only a part of it")]
#[path = "../tests/it/server.rs"]
mod server;

/// Pieces that the proxy may hold in each direction: more than any sender has in flight.
const HELD_MAX: usize = 4_096;

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u64>().unwrap());
    let megabytes = numbers.next().unwrap_or(500);
    let rounds = numbers.next().unwrap_or(3);
    let delay = numbers.next().filter(|delay| *delay > 0);
    let server = server::Server::openssh();
    let port = match delay {
        Some(delay) => proxy(server.port, Duration::from_millis(delay)).await,
        None => server.port,
    };
    let file = server.beside("content");
    let mut content = File::create(&file).unwrap();
    let noise = File::open("/dev/urandom").unwrap();
    std::io::copy(&mut noise.take(megabytes * 1_000_000), &mut content).unwrap();
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let ours = timed(cpu_of_self, ours(&server, port, &file, round)).await;
        let theirs = timed(cpu_of_children, theirs(&server, port, &file, round)).await;
        for name in [format!("ours-{round}"), format!("theirs-{round}")] {
            let size = std::fs::metadata(server.root().join(&name)).unwrap().len();
            assert_eq!(size, megabytes * 1_000_000, "{name}");
            std::fs::remove_file(server.root().join(name)).unwrap();
        }
        println!(
            "round {round}: ours {:.2} s ({:.2} CPU), sftp {:.2} s ({:.2} CPU)",
            ours.0, ours.1, theirs.0, theirs.1
        );
        walls.push(theirs.0 / ours.0);
        cpus.push(theirs.1 / ours.1);
    }
    println!("speed against sftp: {:.2}", median(walls));
    if delay.is_none() {
        println!("client CPU of sftp against ours: {:.2}", median(cpus));
    }
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

async fn timed(cpu: fn() -> f64, work: impl Future<Output = ()>) -> (f64, f64) {
    let (started, before) = (Instant::now(), cpu());
    work.await;
    (started.elapsed().as_secs_f64(), cpu() - before)
}

async fn ours(server: &server::Server, port: u16, file: &Path, round: u64) {
    let network = Network::new(NetworkSettings {
        allow: vec!["127.0.0.0/8".to_owned()],
        ..NetworkSettings::default()
    });
    let fixed = Fixed {
        params: json!({"domain": "127.0.0.1", "port": port, "username": "root", "hostKeys": server.host_key()}),
        key: server.key(),
    };
    let settings = offtake_destination_sftp::SftpSettings::default();
    let sinks =
        offtake_destination_sftp::SftpSinks::new(network.unwrap(), Arc::new(fixed), settings);
    let sink = SinkRef {
        kind: DestinationKind::Sftp,
        tenant: Tenant {
            org: OrgId("ABCDEF0123456789ABCDEF01@AdobeOrg".to_owned()),
            sandbox: SandboxName("prod".to_owned()),
        },
        connection: ConnectionId(Uuid::nil()),
        container: None,
    };
    let tag = AttemptTag {
        delivery: DeliveryId(Uuid::nil()),
        task: 0,
        attempt: AttemptId(Uuid::new_v4()),
    };
    let sink = sinks.open(&sink).await.unwrap();
    let mut upload = sink.begin(&format!("ours-{round}"), &tag).await.unwrap();
    let mut content = File::open(file).unwrap();
    let mut bytes = 0;
    loop {
        let mut chunk = vec![0; 1 << 20];
        let read = content.read(&mut chunk).unwrap();
        if read == 0 {
            break;
        }
        chunk.truncate(read);
        bytes += read as u64;
        upload.write(Bytes::from(chunk)).await.unwrap();
    }
    let token = upload.seal(EndOfStream { bytes }).await.unwrap();
    let _published = sink.publish(&token).await.unwrap();
}

async fn theirs(server: &server::Server, port: u16, file: &Path, round: u64) {
    let mut command = Command::new("sftp");
    command
        .args(["-q", "-b", "-", "-P", &port.to_string(), "-i"])
        .arg(server.beside("ed25519"))
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "root@127.0.0.1",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let order = format!("put {} theirs-{round}\n", file.display());
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), order.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    })
    .await
    .unwrap();
}

struct Fixed {
    params: serde_json::Value,
    key: String,
}

#[async_trait::async_trait]
impl Credentials for Fixed {
    async fn access(&self, _: &Tenant, _: &ConnectionId) -> Result<Access, Fault> {
        Ok(Access {
            kind: DestinationKind::Sftp,
            auth: None,
            params: self.params.as_object().unwrap().clone(),
            secrets: BTreeMap::from([("sshKey".to_owned(), SecretString::from(self.key.as_str()))]),
        })
    }
}

/// Listens on a port of its own and passes bytes on to the other port, each after the delay.
async fn proxy(to: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out, delay));
            tokio::spawn(pass(far_in, near_out, delay));
        }
    });
    port
}

async fn pass(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: Duration,
) {
    let (held, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(HELD_MAX);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let piece = buffer.get(..read).unwrap_or_default().to_vec();
            if held.send((Instant::now() + delay, piece)).await.is_err() {
                return;
            }
        }
    });
    while let Some((at, piece)) = due.recv().await {
        tokio::time::sleep_until(at.into()).await;
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
    to.shutdown().await.ok();
}

fn cpu_of_self() -> f64 {
    cpu([13, 14])
}

fn cpu_of_children() -> f64 {
    cpu([15, 16])
}

/// Fields of `/proc/self/stat`, in seconds.
fn cpu(fields: [usize; 2]) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let numbers: Vec<_> = stat.split_whitespace().collect();
    let ticks = |field: usize| numbers[field].parse::<f64>().unwrap();
    let [user, system] = fields.map(ticks);
    (user + system) / 100.0
}
