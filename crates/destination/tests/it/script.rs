//! A store on loopback that answers as a test tells it to, and else as an honest store of one upload does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The call by the protocol's name for it.
    pub(crate) call: &'static str,
    /// How often this call was made before.
    pub(crate) before: usize,
    pub(crate) headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// What comes back.
pub(crate) enum Reply {
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The connection ends after these bytes.
    Cut(&'static str),
    /// Nothing, for as long as the caller waits.
    Silence,
}

/// A refusal with a body that repeats what must stay secret.
pub(crate) fn refusal(status: u16, code: &str, more: &str) -> Reply {
    let body = format!(
        "<Error><Code>{code}</Code><Message>{SECRET}</Message><StringToSign>{SECRET}</StringToSign>{more}</Error>"
    );
    Reply::Answer(status, Vec::new(), body)
}

/// The secret that scripted connections have.
pub(crate) const SECRET: &str = "a-secret-that-must-not-be-shown";

/// What the honest store knows.
#[derive(Default)]
pub(crate) struct Store {
    lives: bool,
    tag: String,
    staged: usize,
    /// Size of the visible object.
    pub(crate) visible: Option<usize>,
}

impl Store {
    /// The honest answer.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Reply {
        let ok = |headers, body: &str| Reply::Answer(200, headers, body.to_owned());
        match asked.call {
            "create" => {
                self.lives = true;
                self.tag
                    .clone_from(&asked.headers["x-amz-meta-offtake-tag"]);
                ok(
                    Vec::new(),
                    "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
                )
            }
            "part" | "parts" | "complete" | "abort" if !self.lives => {
                refusal(404, "NoSuchUpload", "")
            }
            "part" => {
                self.staged += asked.body.len();
                ok(vec![("etag", "\"p\"".to_owned())], "")
            }
            "parts" => ok(Vec::new(), "<ListPartsResult/>"),
            "complete" => {
                self.lives = false;
                self.visible = Some(self.staged);
                ok(
                    Vec::new(),
                    "<CompleteMultipartUploadResult><Key>k</Key><ETag>\"e\"</ETag></CompleteMultipartUploadResult>",
                )
            }
            "abort" => {
                self.lives = false;
                Reply::Answer(204, Vec::new(), String::new())
            }
            "list" => {
                let entry = self
                    .visible
                    .map(|bytes| format!("<Contents><Key>f</Key><Size>{bytes}</Size></Contents>"));
                let entry = entry.unwrap_or_default();
                ok(
                    Vec::new(),
                    &format!("<ListBucketResult>{entry}</ListBucketResult>"),
                )
            }
            "head" => match self.visible {
                None => Reply::Answer(404, Vec::new(), String::new()),
                Some(bytes) => ok(
                    vec![
                        ("content-length", bytes.to_string()),
                        ("x-amz-meta-offtake-tag", self.tag.clone()),
                    ],
                    "",
                ),
            },
            "delete" => {
                self.visible = None;
                Reply::Answer(204, Vec::new(), String::new())
            }
            other => panic!("an unscripted call: {other}"),
        }
    }
}

/// The running script.
pub(crate) struct Script {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    /// Serves; where `tells` says nothing, the honest store answers.
    pub(crate) async fn serve(
        tells: impl Fn(&mut Store, &Asked) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        let store = Arc::new(Mutex::new(Store::default()));
        let tells = Arc::new(tells);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (told, store) = (Arc::clone(&told), Arc::clone(&store));
                let tells = Arc::clone(&tells);
                tokio::spawn(async move {
                    let decide = |mut asked: Asked| {
                        let mut log = told.lock().unwrap();
                        asked.before = log
                            .iter()
                            .filter(|it: &&Asked| it.call == asked.call)
                            .count();
                        log.push(asked.clone());
                        let mut store = store.lock().unwrap();
                        let reply = tells(&mut store, &asked);
                        reply.unwrap_or_else(|| store.answer(&asked))
                    };
                    // A client that goes away is no concern of the script.
                    let _gone = exchange(stream, decide).await;
                });
            }
        });
        Self { endpoint, asked }
    }

    /// The calls of this name.
    pub(crate) fn calls(&self, call: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|it| it.call == call).cloned().collect()
    }

    pub(crate) fn every_call(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn exchange(mut stream: TcpStream, decide: impl Fn(Asked) -> Reply) -> std::io::Result<()> {
    let asked = read(&mut stream).await?;
    let head = asked.call == "head";
    match decide(asked) {
        Reply::Cut(bytes) => stream.write_all(bytes.as_bytes()).await,
        Reply::Silence => std::future::pending().await,
        Reply::Answer(status, headers, body) => {
            let mut text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
            for (name, value) in headers {
                text.push_str(&[name, ": ", &value, "\r\n"].concat());
            }
            if !head {
                text.push_str(&["content-length: ", &body.len().to_string(), "\r\n"].concat());
            }
            text.push_str("\r\n");
            text.push_str(&body);
            stream.write_all(text.as_bytes()).await
        }
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = text.lines();
    let first = lines.next().unwrap();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |it| it.parse().unwrap());
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut words = first.split(' ');
    Ok(Asked {
        call: call(words.next().unwrap(), words.next().unwrap()),
        before: 0,
        headers,
        body: bytes.split_off(end + 4),
    })
}

fn call(method: &str, target: &str) -> &'static str {
    match method {
        "POST" if target.contains("uploads") => "create",
        "POST" => "complete",
        "PUT" if target.contains("partNumber") => "part",
        "PUT" => "put",
        "DELETE" if target.contains("uploadId") => "abort",
        "DELETE" => "delete",
        "HEAD" => "head",
        "GET" if target.contains("uploadId") => "parts",
        "GET" if target.contains("list-type") => "list",
        _ => "get",
    }
}
