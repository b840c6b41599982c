//! Settings of who may ask, how much, and how long what is over is kept.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use offtake_api::ConnectionLimits;
use offtake_service::{OidcAlgorithm, OidcSettings};
use serde::Deserialize;

/// `[oidc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcConfig {
    /// The issuer, as its tokens spell it.
    pub(crate) issuer: String,
    /// The audience that tokens for us have.
    pub(crate) audience: String,
    /// Where the issuer's keys are.
    pub(crate) jwks_url: String,
    /// The claim that names the subject; `sub` when absent.
    #[serde(default)]
    pub(crate) subject_claim: Option<String>,
    /// Algorithms that the issuer signs with; all that are known when absent.
    #[serde(default)]
    pub(crate) algorithms: Option<Vec<String>>,
}

impl OidcConfig {
    /// What is expected of its tokens.
    pub(crate) fn settings(&self) -> Result<OidcSettings> {
        for (name, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if text.is_empty() {
                bail!("`oidc.{name}` is empty");
            }
        }
        let named = |text: &String| {
            let known = OidcAlgorithm::ALL.into_iter().find(|it| it.text() == text);
            known.with_context(|| {
                format!("`oidc.algorithms`: `{text}` is not one of RS256, ES256, EdDSA")
            })
        };
        let algorithms = match &self.algorithms {
            Some(names) => names.iter().map(named).collect::<Result<_>>()?,
            None => OidcAlgorithm::ALL.to_vec(),
        };
        Ok(OidcSettings {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            subject_claim: self
                .subject_claim
                .clone()
                .unwrap_or_else(|| "sub".to_owned()),
            algorithms,
        })
    }
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// Connections open at the same time.
    pub(crate) connections: usize,
    /// Requests worked on at the same time.
    pub(crate) requests_at_once: usize,
    /// Requests a second of one client, in the long run; no limit when 0.
    pub(crate) requests_per_second: u32,
    /// Requests that a client may send at once after a pause.
    pub(crate) burst: u32,
    /// Seconds that a request's head may take, and that a connection may lie idle.
    pub(crate) head_timeout_secs: u64,
    /// Seconds that an answer may take to begin.
    pub(crate) request_timeout_secs: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 1_024,
            requests_at_once: 256,
            requests_per_second: 100,
            burst: 1_000,
            head_timeout_secs: 10,
            request_timeout_secs: 120,
        }
    }
}

impl LimitsConfig {
    /// What holds for connections.
    pub(crate) fn connections(&self) -> ConnectionLimits {
        ConnectionLimits {
            connections_max: self.connections,
            head_timeout: Duration::from_secs(self.head_timeout_secs.max(1)),
        }
    }
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionConfig {
    /// Days that entries of the audit log are kept; for ever when 0.
    pub(crate) audit_days: u32,
    /// Days that ended runs are kept; for ever when 0.
    pub(crate) run_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            audit_days: 400,
            run_days: 400,
        }
    }
}
