//! What the test of a connection answers (contract, 4.7).

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
