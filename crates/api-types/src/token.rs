//! The token call (contract, 2.4).

use serde::{Deserialize, Serialize};

/// A granted token.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The token.
    pub access_token: String,
    /// Always `bearer`.
    pub token_type: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}

impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenResponse")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// A refused token request, in the form OAuth 2.0 gives it (RFC 6749, 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRefused {
    /// `invalid_client` or `unsupported_grant_type`.
    pub error: String,
    /// What was wrong and what to do.
    pub error_description: String,
    /// Extension: our code for it.
    #[serde(default)]
    pub code: String,
}
