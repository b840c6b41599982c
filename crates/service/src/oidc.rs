//! Tokens of an issuer outside: signed with its keys, which are fetched, remembered and changed without a restart.
//!
//! What a token may do is not in it: it names a subject, and the client that the subject belongs to has its roles here.
//!
//! The one law: a token's header chooses among the issuer's own keys, and nothing else.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::lock::Mutex;
use jsonwebtoken::{DecodingKey, Validation, decode};
use offtake_model::Millis;
use offtake_ports::KeySetSource;
use serde::Deserialize;
use serde_json::Value;

mod key_set;
#[cfg(test)]
mod tests;

pub use key_set::OidcAlgorithm;
use key_set::{IssuerKey, KeySet};

/// Longest token looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8192;

/// Seconds by which clocks may differ.
const LEEWAY_SECS: i64 = 60;

/// How long keys are used before they are fetched again.
const FRESH_MS: i64 = 10 * 60 * 1000;

/// How long keys are used when the issuer does not answer.
const STALE_MS: i64 = 24 * 60 * 60 * 1000;

/// Least time between two fetches, however many unknown keys are named.
const PAUSE_MS: i64 = 30 * 1000;

/// Longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 256;

/// What is expected of tokens from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud`, or one of them.
    pub audience: String,
    /// The claim that names the subject.
    pub subject_claim: String,
    /// Algorithms that the issuer signs with.
    pub algorithms: Vec<OidcAlgorithm>,
}

/// Checks the tokens of one issuer.
pub(crate) struct Oidc {
    settings: OidcSettings,
    source: Arc<dyn KeySetSource>,
    known: RwLock<Known>,
    /// Held while keys are fetched: whoever comes meanwhile waits for the answer instead of asking too.
    fetching: Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<KeySet>,
    /// When the keys were fetched; none before the first time.
    fetched_at: Option<Millis>,
    /// When it was tried last.
    tried_at: Option<Millis>,
}

impl Known {
    fn age(&self, now: Millis) -> Option<i64> {
        self.fetched_at.map(|at| now.0.saturating_sub(at.0))
    }

    fn rested(&self, now: Millis) -> bool {
        let since = self.tried_at.map(|at| now.0.saturating_sub(at.0));
        since.is_none_or(|since| since >= PAUSE_MS)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Times {
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
}

impl Oidc {
    pub(crate) fn new(settings: OidcSettings, source: Arc<dyn KeySetSource>) -> Self {
        Self {
            settings,
            source,
            known: RwLock::default(),
            fetching: Mutex::new(()),
        }
    }

    /// The token's subject, when the token is the issuer's and valid at `now`. Why it isn't is nobody's business.
    pub(crate) async fn verify(&self, token: &str, now: Millis) -> Option<String> {
        let (algorithm, kid) = self.wanted(token)?;
        let key = self.key(&kid, algorithm, now).await?;
        let mut validation = Validation::new(algorithm.name());
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        // Times are compared below: the library reads the machine's clock, we have a clock of our own.
        validation.validate_exp = false;
        let decoded = decode::<Value>(token, &key.decoding, &validation).ok()?;
        let claims = decoded.claims;
        // Read as whole numbers: a time that is text or a fraction is no time.
        let times = Times::deserialize(&claims).ok()?;
        let secs = now.secs();
        let live = times.exp.saturating_add(LEEWAY_SECS) > secs;
        let begun = |at: Option<i64>| at.is_none_or(|at| at <= secs.saturating_add(LEEWAY_SECS));
        if !live || !begun(times.nbf) || !begun(times.iat) {
            return None;
        }
        let subject = claims.get(&self.settings.subject_claim)?.as_str()?;
        let proper = !subject.is_empty() && subject.chars().count() <= SUBJECT_CHARS_MAX;
        proper.then(|| subject.to_owned())
    }

    /// Algorithm and key that the header names, when the algorithm is one of the issuer's. Keys and addresses in the
    /// header are not looked at; what it says must be understood is not.
    fn wanted(&self, token: &str) -> Option<(OidcAlgorithm, String)> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (head, _) = token.split_once('.')?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        if header.get("crit").is_some() {
            return None;
        }
        let Header { alg, kid } = Header::deserialize(&header).ok()?;
        let mut allowed = self.settings.algorithms.iter();
        let algorithm = allowed.find(|it| it.text() == alg)?;
        Some((*algorithm, kid))
    }

    async fn key(
        &self,
        kid: &str,
        algorithm: OidcAlgorithm,
        now: Millis,
    ) -> Option<Arc<IssuerKey>> {
        let known = self.known();
        let fresh = known.age(now).is_some_and(|age| age < FRESH_MS);
        let found = known.keys.find(kid, algorithm);
        if (!fresh || found.is_none()) && known.rested(now) {
            self.fetch(now).await;
        }
        let known = self.known();
        let usable = known.age(now).is_some_and(|age| age < STALE_MS);
        known.keys.find(kid, algorithm).filter(|_| usable)
    }

    async fn fetch(&self, now: Millis) {
        let _alone = self.fetching.lock().await;
        if !self.known().rested(now) {
            // Somebody else has just asked.
            return;
        }
        let fetched = self.source.fetch().await;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.tried_at = Some(now);
        // An answer that is no set of keys leaves those that are known, as no answer does.
        if let Some(keys) = fetched.ok().and_then(|bytes| KeySet::parse(&bytes)) {
            known.keys = Arc::new(keys);
            known.fetched_at = Some(now);
        }
    }

    fn known(&self) -> Known {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

/// Whether the header says that the token is signed with one of the algorithms that only issuers outside use.
pub(crate) fn is_from_outside(token: &str) -> bool {
    let head = token.split('.').next().unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(
        head.get(..head.len().min(TOKEN_BYTES_MAX))
            .unwrap_or_default(),
    );
    let header: Option<Value> = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let alg = header
        .as_ref()
        .and_then(|header| header.get("alg")?.as_str());
    alg.is_some_and(|alg| OidcAlgorithm::ALL.iter().any(|it| it.text() == alg))
}

impl IssuerKey {
    fn new(decoding: DecodingKey) -> Self {
        Self { decoding }
    }
}
