//! Secrets in the configuration: named, not written down. `env:NAME` or `file:PATH`.
//!
//! The one law: the value is never shown, not even in the error that says it is missing.

use std::fmt;

use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use serde::Deserialize;

/// Where a secret is to be found.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretRef(String);

impl fmt::Debug for SecretRef {
    /// Something else than a reference may be a secret that was pasted here by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.starts_with("env:") || self.0.starts_with("file:");
        f.write_str(if known { &self.0 } else { "(not a reference)" })
    }
}

impl SecretRef {
    /// The secret, without line ends around it.
    pub(crate) fn read(&self, setting: &str) -> Result<SecretString> {
        let text = if let Some(name) = self.0.strip_prefix("env:") {
            std::env::var(name)
                .ok()
                .with_context(|| format!("`{setting}`: the environment has no text in {name}"))?
        } else if let Some(path) = self.0.strip_prefix("file:") {
            std::fs::read_to_string(path)
                .with_context(|| format!("`{setting}`: reading the file {path}"))?
        } else {
            bail!(
                "`{setting}` must be `env:NAME` or `file:PATH`: secrets do not stand in the configuration"
            );
        };
        Ok(SecretString::from(text.trim()))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::SecretRef;

    #[test]
    fn a_secret_is_read_from_where_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "s3cret\n").unwrap();
        let named = SecretRef(format!("file:{}", path.display()));
        assert_eq!(named.read("it").unwrap().expose_secret(), "s3cret");
        assert!(
            SecretRef("env:NO_SUCH_NAME_HERE".to_owned())
                .read("it")
                .is_err()
        );
    }

    #[test]
    fn a_pasted_secret_is_refused_and_not_repeated() {
        let pasted = SecretRef("s3cret".to_owned());
        let error = pasted.read("aws.secret_key").unwrap_err();
        assert!(!format!("{error:#} {pasted:?}").contains("s3cret"));
    }
}
