//! The keys behind secrets and tokens. An extension.

use serde::{Deserialize, Serialize};

/// All keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The keys, the current one first.
    pub items: Vec<Key>,
    /// Secrets that this request has sealed anew.
    pub resealed: u64,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Its name.
    pub id: String,
    /// `current` or `former`.
    pub state: String,
    /// Since when it is a former one, in epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_since: Option<i64>,
    /// Secrets that are sealed with it.
    pub secrets: u64,
}
