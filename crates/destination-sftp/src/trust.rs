//! Which host keys are believed: the connection's own, else the operator's known hosts, else what was recorded.
//!
//! It asks nobody and never falls back from a stronger word to a weaker one.
//!
//! The one law: a key that differs from what is known is refused, whatever the settings say.

use std::path::{Path, PathBuf};

use offtake_model::{ErrorCode, Fault};
use russh::keys::known_hosts::{known_host_keys_path, learn_known_hosts_path};
use russh::keys::{Algorithm, HashAlg, PublicKey};

/// What is known of one server.
pub(crate) struct Trust {
    host: String,
    port: u16,
    pinned: Vec<Pin>,
    known: Vec<PublicKey>,
    /// Where a key seen for the first time is recorded; none when that is not wanted.
    record: Option<PathBuf>,
}

/// One entry of `hostKeys`.
enum Pin {
    Key(Box<PublicKey>),
    Print(String),
}

impl Trust {
    /// Gathers what is known. Blocking: it reads the known-hosts files.
    pub(crate) fn gather(
        (host, port): (&str, u16),
        pinned: &[String],
        known_hosts: Option<&Path>,
        record: Option<&Path>,
    ) -> Result<Self, Fault> {
        let mut trust = Self {
            host: host.to_owned(),
            port,
            pinned: pinned
                .iter()
                .map(|text| pin(text))
                .collect::<Result<_, _>>()?,
            known: Vec::new(),
            record: None,
        };
        if !trust.pinned.is_empty() {
            return Ok(trust);
        }
        if let Some(path) = known_hosts {
            trust.known = read(path, host, port)?;
        }
        if let (true, Some(path)) = (trust.known.is_empty(), record) {
            if path.exists() {
                trust.known = read(path, host, port)?;
            }
            trust.record = Some(path.to_owned());
        }
        Ok(trust)
    }

    /// The kinds of the known keys: the server is asked for one of these first.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        let pinned = self.pinned.iter().filter_map(|pin| match pin {
            Pin::Key(key) => Some(key.algorithm()),
            Pin::Print(_) => None,
        });
        pinned
            .chain(self.known.iter().map(PublicKey::algorithm))
            .collect()
    }

    /// Believes the server's key or says why not. Blocking: it may record the key.
    pub(crate) fn judge(&self, key: &PublicKey) -> Result<(), Fault> {
        let print = key.fingerprint(HashAlg::Sha256).to_string();
        let same = |other: &PublicKey| other.key_data() == key.key_data();
        if self.pinned.is_empty() && self.known.is_empty() {
            return self.meet(key, &print);
        }
        let believed = self.known.iter().any(same)
            || self.pinned.iter().any(|pin| match pin {
                Pin::Key(pinned) => same(pinned),
                Pin::Print(text) => *text == print,
            });
        if believed {
            return Ok(());
        }
        Err(self.refusal(
            ErrorCode::HostKeyChanged,
            key,
            &print,
            "which is not the one that is known; somebody may stand between",
        ))
    }

    fn meet(&self, key: &PublicKey, print: &str) -> Result<(), Fault> {
        let Some(record) = &self.record else {
            return Err(self.refusal(
                ErrorCode::HostKeyUnknown,
                key,
                print,
                "which nobody has confirmed; compare it with the server's own (`ssh-keygen -lf` there) and add it to \
                 the connection's `hostKeys` or to the operator's known hosts",
            ));
        };
        learn_known_hosts_path(&self.host, self.port, key, record).map_err(|error| {
            let text = "record a host key seen for the first time; check `sftp.first_use` in the configuration";
            Fault::new(ErrorCode::HostKeyUnknown, text).because(&error)
        })?;
        tracing::warn!(
            host = self.host,
            port = self.port,
            print,
            "host key recorded on first use"
        );
        Ok(())
    }

    fn refusal(&self, code: ErrorCode, key: &PublicKey, print: &str, why: &str) -> Fault {
        let (host, port) = (&self.host, self.port);
        let kind = key.algorithm();
        Fault::new(
            code,
            format!("connect to SFTP server {host}:{port}: it shows the {kind} key {print}, {why}"),
        )
    }
}

fn pin(text: &str) -> Result<Pin, Fault> {
    let text = text.trim();
    if text.starts_with("SHA256:") {
        return Ok(Pin::Print(text.trim_end_matches('=').to_owned()));
    }
    // As in a known_hosts file, with or without the host in front.
    let bare = text.split_once(' ').map_or(text, |(_, rest)| rest);
    [text, bare]
        .iter()
        .find_map(|text| PublicKey::from_openssh(text).ok())
        .map(|key| Pin::Key(Box::new(key)))
        .ok_or_else(|| {
            Fault::new(
                ErrorCode::HostKeyUnknown,
                "read `hostKeys` of the SFTP connection: an entry is neither a public key such as `ssh-ed25519 AAAA…` \
                 nor a fingerprint such as `SHA256:…`",
            )
        })
}

fn read(path: &Path, host: &str, port: u16) -> Result<Vec<PublicKey>, Fault> {
    let unread = |error: &(dyn std::error::Error + 'static)| {
        let text = format!("read the known hosts in {}", path.display());
        Fault::new(ErrorCode::HostKeyUnknown, text).because(error)
    };
    std::fs::File::open(path).map_err(|error| unread(&error))?;
    let keys = known_host_keys_path(host, port, path).map_err(|error| unread(&error))?;
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

#[cfg(test)]
mod tests {
    use offtake_model::ErrorCode;
    use russh::keys::{HashAlg, PublicKey};

    use super::Trust;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn verdict(pinned: &[String], known: Option<&str>, record: bool) -> Result<(), ErrorCode> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, known.unwrap_or_default()).unwrap();
        let recorded = folder.path().join("recorded");
        let trust = Trust::gather(
            ("host", 2222),
            pinned,
            known.map(|_| path.as_path()),
            record.then_some(recorded.as_path()),
        );
        trust.unwrap().judge(&key(ONE)).map_err(|fault| fault.code)
    }

    #[test]
    fn a_key_is_believed_by_pin_or_known_host_and_by_nothing_else() {
        let print = key(ONE).fingerprint(HashAlg::Sha256).to_string();
        assert_eq!(verdict(&[ONE.to_owned()], None, false), Ok(()));
        assert_eq!(
            verdict(&[format!("[host]:2222 {ONE}")], None, false),
            Ok(())
        );
        assert_eq!(verdict(&[OTHER.to_owned(), print], None, false), Ok(()));
        assert_eq!(
            verdict(&[], Some(&format!("[host]:2222 {ONE}\n")), false),
            Ok(())
        );
        assert_eq!(verdict(&[], None, false), Err(ErrorCode::HostKeyUnknown));
        assert_eq!(
            verdict(&[], Some(&format!("[other]:2222 {ONE}\n")), false),
            Err(ErrorCode::HostKeyUnknown)
        );
        assert_eq!(
            verdict(&[], Some(&format!("[host]:2222 {OTHER}\n")), true),
            Err(ErrorCode::HostKeyChanged)
        );
        assert_eq!(
            verdict(&[OTHER.to_owned()], None, true),
            Err(ErrorCode::HostKeyChanged)
        );
    }

    #[test]
    fn a_key_met_on_first_use_is_enforced_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("recorded");
        let gather = || Trust::gather(("host", 22), &[], None, Some(&record)).unwrap();
        assert!(gather().judge(&key(ONE)).is_ok());
        assert!(gather().judge(&key(ONE)).is_ok());
        let other = gather().judge(&key(OTHER)).unwrap_err();
        assert_eq!(other.code, ErrorCode::HostKeyChanged);
    }

    #[test]
    fn a_refusal_shows_the_fingerprint_to_compare() {
        let trust = Trust::gather(("host", 22), &[], None, None).unwrap();
        let fault = trust.judge(&key(ONE)).unwrap_err();
        assert!(
            fault
                .message
                .contains(&key(ONE).fingerprint(HashAlg::Sha256).to_string())
        );
    }
}
