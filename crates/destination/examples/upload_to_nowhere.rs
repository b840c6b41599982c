//! Measures what an upload costs the client: CPU seconds per gigabyte, to a server that throws everything away.
//!
//! `upload_to_nowhere serve` is that server; it prints its address. `upload_to_nowhere upload ADDRESS [GIGABYTES]`
//! uploads that much and prints what it took. They are two processes, so that only the client's work is counted.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_destination::S3Sinks;
use offtake_model::plan::DestinationKind;
use offtake_model::{
    AttemptId, AttemptTag, ConnectionId, DeliveryId, Fault, OrgId, SandboxName, SinkRef, Tenant,
};
use offtake_ports::{Access, Credentials, EndOfStream, Sinks as _};
use offtake_storage::{Network, NetworkSettings, Retries};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What the engine hands over at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

const GIGABYTE: u64 = 1_000_000_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => serve().await,
        ["upload", address] => upload(address, 1).await,
        ["upload", address, gigabytes] => upload(address, gigabytes.parse()?).await,
        _ => Err("serve | upload ADDRESS [GIGABYTES]".into()),
    }
}

struct Told(String);

#[async_trait]
impl Credentials for Told {
    async fn access(&self, _tenant: &Tenant, _connection: &ConnectionId) -> Result<Access, Fault> {
        let shown = json!({"s3AccessKey": "AKIA", "endpoint": self.0, "region": "us-east-1"});
        Ok(Access {
            kind: DestinationKind::S3,
            auth: None,
            params: shown.as_object().cloned().unwrap_or_default(),
            secrets: BTreeMap::from([("s3SecretKey".to_owned(), SecretString::from("secret"))]),
        })
    }
}

async fn upload(address: &str, gigabytes: u64) -> Outcome<()> {
    let network = Network::new(NetworkSettings {
        allow: vec!["127.0.0.0/8".to_owned()],
        ..NetworkSettings::default()
    })?;
    let told = Arc::new(Told(address.to_owned()));
    let sinks = S3Sinks::new(&network, told, Retries::default());
    let sink = sinks
        .open(&SinkRef {
            kind: DestinationKind::S3,
            tenant: Tenant {
                org: OrgId("org".to_owned()),
                sandbox: SandboxName("prod".to_owned()),
            },
            connection: ConnectionId(Uuid::nil()),
            container: Some("nowhere".to_owned()),
        })
        .await?;
    let tag = AttemptTag {
        delivery: DeliveryId(Uuid::nil()),
        task: 0,
        attempt: AttemptId(Uuid::nil()),
    };
    let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
    let (begun, cpu) = (Instant::now(), cpu_ticks()?);
    let mut upload = sink.begin("file", &tag).await?;
    let mut bytes = 0;
    while bytes < gigabytes * GIGABYTE {
        upload.write(chunk.clone()).await?;
        bytes += chunk.len() as u64;
    }
    let token = upload.seal(EndOfStream { bytes }).await?;
    let published = sink.publish(&token).await?;
    let took = begun.elapsed();
    let cpu_hundredths = cpu_ticks()? - cpu;
    writeln!(
        std::io::stdout(),
        "{bytes} bytes in {took:?}: {cpu_hundredths} hundredths of a CPU second, {} of memory at most; {published:?}",
        memory_peak()?
    )?;
    Ok(())
}

/// CPU time of this process so far, in hundredths of a second.
fn cpu_ticks() -> Outcome<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let mut ticks = 0;
    for field in fields {
        ticks += field.parse::<u64>()?;
    }
    Ok(ticks)
}

fn memory_peak() -> Outcome<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}

async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away is no concern of the server.
        tokio::spawn(async move { drop(swallow(stream).await) });
    }
}

async fn swallow(mut stream: TcpStream) -> Outcome<()> {
    let mut bytes: Vec<u8> = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_lowercase();
        let length = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        let mut left = length.map_or(Ok(0), str::parse::<usize>)? + end + 4;
        if head.contains("expect: 100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        while left > bytes.len() {
            left -= bytes.len();
            bytes.clear();
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        bytes.drain(..left);
        stream.write_all(answer(&head).as_bytes()).await?;
    }
}

fn answer(head: &str) -> String {
    let (status, body) = if head.starts_with("head") {
        (404, "")
    } else if head.starts_with("post") && head.contains("uploads") {
        (
            200,
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        )
    } else if head.starts_with("post") {
        (
            200,
            "<CompleteMultipartUploadResult><Key>k</Key><ETag>e</ETag></CompleteMultipartUploadResult>",
        )
    } else {
        (200, "")
    };
    format!(
        "HTTP/1.1 {status} x\r\netag: \"e\"\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
