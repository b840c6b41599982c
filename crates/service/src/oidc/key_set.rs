//! An issuer's keys, read from its document (RFC 7517).
//!
//! The one law: a key is used with the one algorithm that its type stands for.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Largest document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Most keys of a document.
const KEYS_MAX: usize = 100;

/// Bits of an RSA key; larger ones take too long to check.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// How an issuer outside may sign. Nothing with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OidcAlgorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl OidcAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// As it stands in a header.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(super) const fn name(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// A key that signatures are checked with.
pub(super) struct IssuerKey {
    pub(super) decoding: DecodingKey,
}

/// The keys by name and algorithm.
#[derive(Default)]
pub(super) struct KeySet(HashMap<(String, OidcAlgorithm), Arc<IssuerKey>>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Row {
    kid: String,
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

impl KeySet {
    /// The keys of a document that can be used here; the others are none of our business.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return None;
        }
        let document: Document = serde_json::from_slice(bytes).ok()?;
        if document.keys.len() > KEYS_MAX {
            return None;
        }
        let rows = document
            .keys
            .iter()
            .filter_map(|key| Row::deserialize(key).ok());
        let keys = rows.filter_map(|row| {
            let (algorithm, decoding) = row.key()?;
            Some(((row.kid, algorithm), Arc::new(IssuerKey::new(decoding))))
        });
        Some(Self(keys.collect()))
    }

    pub(super) fn find(&self, kid: &str, algorithm: OidcAlgorithm) -> Option<Arc<IssuerKey>> {
        self.0.get(&(kid.to_owned(), algorithm)).map(Arc::clone)
    }
}

impl Row {
    fn key(&self) -> Option<(OidcAlgorithm, DecodingKey)> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let (algorithm, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (self.n.as_deref()?, self.e.as_deref()?);
                let bits = URL_SAFE_NO_PAD.decode(n).ok()?.len() * 8;
                if !RSA_BITS.contains(&bits) {
                    return None;
                }
                (OidcAlgorithm::Rs256, DecodingKey::from_rsa_components(n, e))
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
                (OidcAlgorithm::Es256, DecodingKey::from_ec_components(x, y))
            }
            ("OKP", Some("Ed25519")) => (
                OidcAlgorithm::EdDsa,
                DecodingKey::from_ed_components(self.x.as_deref()?),
            ),
            _ => return None,
        };
        if self
            .alg
            .as_deref()
            .is_some_and(|alg| alg != algorithm.text())
        {
            return None;
        }
        Some((algorithm, key.ok()?))
    }
}
