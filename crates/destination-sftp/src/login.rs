//! How an account proves itself: a password, or a private key in one of the forms people have.
//!
//! It opens no connection. Messages name the form and what to do, never the content.
//!
//! The one law: an encrypted key is refused with advice; nobody is asked for a passphrase.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offtake_model::{ErrorCode, Fault};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::KeypairData;
use secrecy::{ExposeSecret, SecretString};

use crate::rsa::RsaKey;

/// Largest key that is read, in bytes: an RSA key of 16,384 bits in base64 of PEM stays below.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// What an account has.
pub(crate) enum Login {
    Password(SecretString),
    Key(Arc<PrivateKey>),
    Rsa(RsaKey),
}

impl Login {
    /// Reads a private key: OpenSSH or PEM, as it is or in base64.
    pub(crate) fn from_key(text: &SecretString) -> Result<Self, Fault> {
        let text = text.expose_secret().trim();
        if text.len() > KEY_BYTES_MAX {
            return Err(unusable("it is too long for a key"));
        }
        let pem = if text.starts_with("-----BEGIN") {
            text.to_owned()
        } else {
            decoded(text)
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| unusable("it is neither a private key nor the base64 of one"))?
        };
        Self::from_pem(pem.trim())
    }

    fn from_pem(pem: &str) -> Result<Self, Fault> {
        let label =
            label(pem).ok_or_else(|| unusable("it has no `-----BEGIN … PRIVATE KEY-----` line"))?;
        if label == "ENCRYPTED PRIVATE KEY" || pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(encrypted());
        }
        match label {
            "OPENSSH PRIVATE KEY" => Self::from_openssh(pem),
            "RSA PRIVATE KEY" => body(pem)
                .and_then(|der| RsaKey::from_pkcs1(&der))
                .map(Self::Rsa)
                .ok_or_else(|| unusable("its RSA key cannot be read or is shorter than 2048 bits")),
            "PRIVATE KEY" | "EC PRIVATE KEY" => {
                if let Some(key) = body(pem).and_then(|der| RsaKey::from_pkcs8(&der)) {
                    return Ok(Self::Rsa(key));
                }
                russh::keys::decode_secret_key(pem, None)
                    .map(|key| Self::Key(Arc::new(key)))
                    .map_err(|_| {
                        unusable("its key cannot be read; Ed25519, ECDSA and RSA are supported")
                    })
            }
            _ => Err(unusable(
                "it is no private key; give the private half of the pair",
            )),
        }
    }

    fn from_openssh(pem: &str) -> Result<Self, Fault> {
        let key = PrivateKey::from_openssh(pem).map_err(|_| {
            unusable("its key cannot be read; Ed25519, ECDSA and RSA are supported")
        })?;
        if key.is_encrypted() {
            return Err(encrypted());
        }
        if let KeypairData::Rsa(pair) = key.key_data() {
            return RsaKey::from_openssh(pair)
                .map(Self::Rsa)
                .ok_or_else(|| unusable("its RSA key is not sound or is shorter than 2048 bits"));
        }
        if matches!(
            key.key_data(),
            KeypairData::Ed25519(_) | KeypairData::Ecdsa(_)
        ) {
            return Ok(Self::Key(Arc::new(key)));
        }
        Err(unusable(
            "its kind is not supported; Ed25519, ECDSA and RSA are",
        ))
    }
}

fn label(pem: &str) -> Option<&str> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    rest.split_once("-----").map(|(label, _)| label)
}

fn body(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (_, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END")?;
    decoded(body)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_whitespace().collect();
    STANDARD.decode(text).ok()
}

fn encrypted() -> Fault {
    unusable(
        "it is encrypted, and there is nobody to type its passphrase; make a copy without one \
         (`ssh-keygen -p -N ''`), or better a new key for offtake alone",
    )
}

fn unusable(rule: &str) -> Fault {
    Fault::new(
        ErrorCode::SshKeyUnusable,
        format!("read the private key of the SFTP connection, parameter `sshKey`: {rule}"),
    )
}
