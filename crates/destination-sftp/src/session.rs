//! One SSH connection and the SFTP channels on it.
//!
//! It knows no keys and no delivery. Every request ends: by an answer, by the end of the connection, or by a timeout.
//!
//! The one law: nothing secret is sent before the server's key was believed.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use offtake_model::{ErrorCode, Fault};
use offtake_storage::Network;
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, Preferred, cipher, compression};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::{Config as SftpConfig, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::login::Login;
use crate::rsa::{RsaKey, RsaSigner};
use crate::target::Target;
use crate::trouble::Trouble;
use crate::trust::Trust;

/// How long the way to an authenticated session may take.
const OPEN_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a request may wait for its answer. Whole windows of writes wait in line behind one another.
const REQUEST_TIMEOUT_SECONDS: u64 = 60;

/// Keepalives find a peer that is gone while nobody asks it anything.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVES_MAX: usize = 3;

/// How often a server may ask its questions before it counts as a refusal.
const QUESTIONS_MAX: usize = 4;

/// Writes of this size are taken by every server.
const WRITE_BYTES: usize = 32 * 1024;

/// Larger writes are only sent where the server says it takes them.
const WRITE_BYTES_MAX: u64 = 255 * 1024;

/// An authenticated connection with its first channel.
pub(crate) struct Session {
    ssh: Handle<Gate>,
    pub(crate) lane: Arc<Lane>,
    /// How long one question and answer take.
    pub(crate) round_trip: Duration,
}

/// One SFTP channel.
pub(crate) struct Lane {
    raw: RawSftpSession,
    lost: watch::Receiver<bool>,
    offers: BTreeSet<String>,
    write_bytes: usize,
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    Nothing,
    /// A regular file of that many bytes.
    File(u64),
    /// A link, a folder, a device.
    Other,
}

impl Session {
    pub(crate) async fn open(
        network: &Network,
        target: &Target,
        trust: Trust,
    ) -> Result<Self, Fault> {
        let opening = Self::open_unbounded(network, target, trust);
        match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
            Ok(opened) => opened,
            Err(late) => Err(unreachable(target).because(&late)),
        }
    }

    async fn open_unbounded(
        network: &Network,
        target: &Target,
        trust: Trust,
    ) -> Result<Self, Fault> {
        let stream = network.connect(&target.host, target.port).await?;
        let config = Arc::new(config(&trust));
        let gate = Gate {
            trust: Arc::new(trust),
        };
        let mut ssh = client::connect_stream(config, stream, gate)
            .await
            .map_err(|ended| match ended {
                Ended::Judged(fault) => fault,
                Ended::Ssh(error) => unreachable(target).because(&error),
            })?;
        if !authenticate(&mut ssh, target)
            .await
            .map_err(|error| unreachable(target).because(&error))?
        {
            return Err(refused(target));
        }
        let lane = Arc::new(
            lane(&ssh)
                .await
                .map_err(|trouble| no_sftp(target).because(&trouble))?,
        );
        let asked = Instant::now();
        lane.lies(".")
            .await
            .map_err(|trouble| no_sftp(target).because(&trouble))?;
        Ok(Self {
            ssh,
            lane,
            round_trip: asked.elapsed(),
        })
    }

    /// Opens another channel on this connection.
    pub(crate) async fn another(&self) -> Result<Lane, Trouble> {
        lane(&self.ssh).await
    }

    pub(crate) fn alive(&self) -> bool {
        !self.ssh.is_closed() && !*self.lane.lost.borrow()
    }
}

impl Lane {
    /// Waits for the answer, but not beyond the end of the channel.
    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, SftpError>> + Send,
    ) -> Result<T, Trouble> {
        let mut lost = self.lost.clone();
        tokio::select! {
            biased;
            answer = call => answer.map_err(Trouble::from),
            _ = lost.wait_for(|lost| *lost) => Err(Trouble::Lost("the connection ended".to_owned())),
        }
    }

    pub(crate) const fn write_bytes(&self) -> usize {
        self.write_bytes
    }

    pub(crate) async fn lies(&self, path: &str) -> Result<Lies, Trouble> {
        match self.ask(self.raw.lstat(path)).await {
            Ok(answer) if answer.attrs.file_type().is_file() => {
                Ok(Lies::File(answer.attrs.size.unwrap_or(0)))
            }
            Ok(_) => Ok(Lies::Other),
            Err(Trouble::Missing) => Ok(Lies::Nothing),
            Err(trouble) => Err(trouble),
        }
    }

    pub(crate) async fn create_new(&self, path: &str) -> Result<String, Trouble> {
        self.open(
            path,
            OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE,
        )
        .await
    }

    pub(crate) async fn open_to_write(&self, path: &str) -> Result<String, Trouble> {
        self.open(path, OpenFlags::WRITE).await
    }

    pub(crate) async fn open_to_read(&self, path: &str) -> Result<String, Trouble> {
        self.open(path, OpenFlags::READ).await
    }

    async fn open(&self, path: &str, flags: OpenFlags) -> Result<String, Trouble> {
        let opened = self
            .ask(self.raw.open(path, flags, FileAttributes::empty()))
            .await?;
        Ok(opened.handle)
    }

    pub(crate) async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), Trouble> {
        self.ask(self.raw.write(file, offset, bytes.to_vec()))
            .await
            .map(drop)
    }

    /// The bytes at the offset; none at the end of the file.
    pub(crate) async fn read(
        &self,
        file: &str,
        offset: u64,
        bytes: u32,
    ) -> Result<Vec<u8>, Trouble> {
        let call = async {
            match self.raw.read(file, offset, bytes).await {
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => {
                    Ok(Vec::new())
                }
                answer => answer.map(|read| read.data),
            }
        };
        self.ask(call).await
    }

    /// Makes the file's bytes durable, where the server can.
    pub(crate) async fn sync(&self, file: &str) -> Result<(), Trouble> {
        if !self.offers.contains("fsync@openssh.com") {
            return Ok(());
        }
        self.ask(self.raw.fsync(file)).await.map(drop)
    }

    pub(crate) async fn close(&self, file: &str) -> Result<(), Trouble> {
        self.ask(self.raw.close(file)).await.map(drop)
    }

    /// Renames; by the protocol this fails when the new name is taken.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), Trouble> {
        self.ask(self.raw.rename(from, to)).await.map(drop)
    }

    /// Renames by OpenSSH's extension, which replaces what lies at the new name.
    pub(crate) async fn rename_over(&self, from: &str, to: &str) -> Result<(), Trouble> {
        const NAME: &str = "posix-rename@openssh.com";
        if !self.offers.contains(NAME) {
            return Err(Trouble::Unsupported);
        }
        let mut data = Vec::new();
        for path in [from, to] {
            let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(path.as_bytes());
        }
        let call = async {
            let Packet::Status(status) = self.raw.extended(NAME, data).await? else {
                return Err(SftpError::UnexpectedPacket);
            };
            if status.status_code == StatusCode::Ok {
                return Ok(());
            }
            Err(SftpError::Status(status))
        };
        self.ask(call).await
    }

    pub(crate) async fn remove(&self, path: &str) -> Result<(), Trouble> {
        self.ask(self.raw.remove(path)).await.map(drop)
    }

    pub(crate) async fn remove_folder(&self, path: &str) -> Result<(), Trouble> {
        self.ask(self.raw.rmdir(path)).await.map(drop)
    }

    pub(crate) async fn make_folder(&self, path: &str) -> Result<(), Trouble> {
        self.ask(self.raw.mkdir(path, FileAttributes::empty()))
            .await
            .map(drop)
    }

    /// Empties the file at the path.
    pub(crate) async fn empty(&self, path: &str) -> Result<(), Trouble> {
        let mut none = FileAttributes::empty();
        none.size = Some(0);
        self.ask(self.raw.setstat(path, none)).await.map(drop)
    }

    /// Bytes that the account can still write in the folder, where the server tells.
    pub(crate) async fn room(&self, folder: &str) -> Result<Option<u64>, Trouble> {
        if !self.offers.contains("statvfs@openssh.com") {
            return Ok(None);
        }
        match self.ask(self.raw.statvfs(folder)).await {
            Ok(told) => Ok(Some(told.blocks_avail.saturating_mul(told.fragment_size))),
            Err(trouble) if trouble.lost() => Err(trouble),
            Err(_) => Ok(None),
        }
    }
}

/// Opens the subsystem on a new channel.
async fn lane(ssh: &Handle<Gate>) -> Result<Lane, Trouble> {
    let broken = |error: russh::Error| Trouble::Lost(error.to_string());
    let channel = ssh.channel_open_session().await.map_err(broken)?;
    channel
        .request_subsystem(true, "sftp")
        .await
        .map_err(broken)?;
    let (told, lost) = watch::channel(false);
    let stream = Watched {
        inner: channel.into_stream(),
        lost: told,
    };
    let config = SftpConfig {
        request_timeout_secs: REQUEST_TIMEOUT_SECONDS,
        ..SftpConfig::default()
    };
    let mut lane = Lane {
        raw: RawSftpSession::new_with_config(stream, config),
        lost,
        offers: BTreeSet::new(),
        write_bytes: WRITE_BYTES,
    };
    let version = lane.ask(lane.raw.init()).await?;
    lane.offers = version.extensions.into_keys().collect();
    if lane.offers.contains("limits@openssh.com") {
        let limits = lane.ask(lane.raw.limits()).await?;
        let most =
            usize::try_from(limits.max_write_len.min(WRITE_BYTES_MAX)).unwrap_or(WRITE_BYTES);
        lane.write_bytes = most.max(WRITE_BYTES);
    }
    Ok(lane)
}

fn config(trust: &Trust) -> client::Config {
    let mut preferred = Preferred::default();
    let mut keys = trust.algorithms();
    keys.extend(preferred.key.iter().cloned());
    let mut seen = Vec::with_capacity(keys.len());
    for key in keys {
        if !seen.contains(&key) {
            seen.push(key);
        }
    }
    preferred.key = seen.into();
    preferred.compression = vec![compression::NONE].into();
    // The first is what processors do in hardware.
    preferred.cipher = vec![
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
    ]
    .into();
    client::Config {
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
        preferred,
        ..client::Config::default()
    }
}

async fn authenticate(ssh: &mut Handle<Gate>, target: &Target) -> Result<bool, russh::Error> {
    let user = target.user.as_str();
    match &target.login {
        Login::Password(password) => with_password(ssh, user, password).await,
        Login::Key(key) => {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
            Ok(ssh.authenticate_publickey(user, key).await?.success())
        }
        Login::Rsa(key) => with_rsa(ssh, user, key).await,
    }
}

async fn with_rsa(ssh: &mut Handle<Gate>, user: &str, key: &RsaKey) -> Result<bool, russh::Error> {
    // What a server names is what it knows, not what it accepts; SHA-1 is not offered to anybody.
    for hash in [HashAlg::Sha512, HashAlg::Sha256] {
        let public = key.public().clone();
        let mut signer = RsaSigner(key);
        let answer = ssh
            .authenticate_publickey_with(user, public, Some(hash), &mut signer)
            .await;
        if answer.map_err(|_| russh::Error::Disconnect)?.success() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn with_password(
    ssh: &mut Handle<Gate>,
    user: &str,
    password: &SecretString,
) -> Result<bool, russh::Error> {
    let secret = password.expose_secret();
    let remaining = match ssh.authenticate_password(user, secret).await? {
        AuthResult::Success => return Ok(true),
        AuthResult::Failure {
            remaining_methods, ..
        } => remaining_methods,
    };
    if !remaining.contains(&MethodKind::KeyboardInteractive) {
        return Ok(false);
    }
    let mut answer = ssh
        .authenticate_keyboard_interactive_start(user, None)
        .await?;
    for _ in 0..QUESTIONS_MAX {
        let prompts = match answer {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        // A question whose answer would be shown is not one for a password.
        let answers = prompts.iter().map(|prompt| {
            if prompt.echo {
                String::new()
            } else {
                secret.to_owned()
            }
        });
        answer = ssh
            .authenticate_keyboard_interactive_respond(answers.collect())
            .await?;
    }
    Ok(matches!(answer, KeyboardInteractiveAuthResponse::Success))
}

/// Where the server's key is judged.
pub(crate) struct Gate {
    trust: Arc<Trust>,
}

/// Why a handshake ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Judged(Fault),
    Ssh(russh::Error),
}

impl From<russh::Error> for Ended {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl client::Handler for Gate {
    type Error = Ended;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Ended> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        let (trust, key) = (Arc::clone(&self.trust), key.clone());
        let judged = tokio::task::spawn_blocking(move || trust.judge(&key)).await;
        let failed = |error| Fault::new(ErrorCode::Internal, "judge a host key").because(&error);
        judged.map_err(failed).flatten().map_err(Ended::Judged)?;
        Ok(true)
    }
}

/// A stream that tells when it has ended: requests under way would wait for their timeout otherwise.
struct Watched<S> {
    inner: S,
    lost: watch::Sender<bool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let ended = match &polled {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
        };
        if ended {
            self.lost.send_replace(true);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.lost.send_replace(true);
    }
}

fn unreachable(target: &Target) -> Fault {
    at(
        target,
        ErrorCode::DestinationUnreachable,
        "the connection ended or took too long",
    )
}

fn refused(target: &Target) -> Fault {
    at(
        target,
        ErrorCode::DestinationDenied,
        "the server refused the user name, or its password or key",
    )
}

fn no_sftp(target: &Target) -> Fault {
    at(
        target,
        ErrorCode::DestinationProtocol,
        "the account has no SFTP, or no folder to land in",
    )
}

fn at(target: &Target, code: ErrorCode, why: &str) -> Fault {
    let (host, port) = (&target.host, target.port);
    Fault::new(code, format!("connect to SFTP server {host}:{port}: {why}"))
}
