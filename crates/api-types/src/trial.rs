//! What the test of a connection and a look into its destination answer (contract, 4.7).

use serde::{Deserialize, Serialize};

/// The documented result, and why it is no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionTest {
    /// Whether the connection works.
    pub result: bool,
    /// Extension: what failed, when something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<TestFailure>,
}

/// Extension: the first thing that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFailure {
    /// The bucket or container that was tried, where the platform has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Name of the error, also of its page.
    pub code: String,
    /// What was attempted and went wrong.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// The error's page.
    pub page: String,
}

/// A folder or file at a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExploredObject {
    /// `folder` or `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its path from the top; a folder's ends with a slash.
    pub path: String,
    /// Whether its rows can be looked at: they can't.
    pub can_preview: bool,
    /// Whether its schema can be asked for: it can't.
    pub can_fetch_schema: bool,
}
