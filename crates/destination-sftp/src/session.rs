//! One SSH connection: who is at the other end, who we are, and the channels on it.
//!
//! It knows no files and no delivery.
//!
//! The one law: nothing secret is sent before the server's key was believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offtake_model::{ErrorCode, Fault};
use offtake_storage::Network;
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, Preferred, cipher, compression};
use secrecy::{ExposeSecret, SecretString};

use crate::lane::Lane;
use crate::login::Login;
use crate::rsa::{RsaKey, RsaSigner};
use crate::target::Target;
use crate::trouble::Trouble;
use crate::trust::Trust;

/// How long the way to an authenticated session may take.
const OPEN_TIMEOUT: Duration = Duration::from_mins(1);

/// Keepalives find a peer that is gone while nobody asks it anything.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVES_MAX: usize = 3;

/// How often a server may ask its questions before it counts as a refusal.
const QUESTIONS_MAX: usize = 4;

/// An authenticated connection with its first channel.
pub(crate) struct Session {
    ssh: Handle<Gate>,
    pub(crate) lane: Arc<Lane>,
    /// How long one question and answer take.
    pub(crate) round_trip: Duration,
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
            Lane::open_on(&ssh)
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
        Lane::open_on(&self.ssh).await
    }

    pub(crate) fn alive(&self) -> bool {
        !self.ssh.is_closed() && self.lane.alive()
    }
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
