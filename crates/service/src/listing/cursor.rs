//! Continuation tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offtake_model::Fault;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{not_rendered, page_invalid};

/// Longest continuation token, in bytes.
const TOKEN_BYTES_MAX: usize = 8192;

/// What a continuation token holds: the list it continues and where. It grants nothing, so it isn't signed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Collection.
    pub(super) c: String,
    /// Filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) p: Vec<String>,
    /// Order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) o: Option<String>,
    /// After this creation instant and id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) a: Option<(i64, String)>,
    /// After these values of the ordering fields; only with an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) k: Option<Vec<Value>>,
}

impl Cursor {
    /// Reads a token of a list of `collection`.
    pub(super) fn read(collection: &str, token: &str) -> Result<Self, Fault> {
        let invalid = || page_invalid("continuationToken is not one that this service gave");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        if cursor.c != collection {
            return Err(page_invalid(format!(
                "continuationToken is of the list of {}, not of {collection}",
                cursor.c
            )));
        }
        Ok(cursor)
    }

    /// The cursor as a token: one word, safe in a URL, without `=`.
    pub(super) fn token(&self) -> Result<String, Fault> {
        serde_json::to_vec(self)
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
            .map_err(|error| not_rendered(&error))
    }
}
