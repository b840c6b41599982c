//! Answers to exports on demand (contract, 9).

use serde::{Deserialize, Serialize};

/// What was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdhocAnswer {
    /// One per flow.
    pub destinations: Vec<AdhocDestination>,
}

/// What was started for one flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdhocDestination {
    /// The datasets.
    pub datasets: Vec<AdhocDataset>,
}

/// Where one dataset's export can be watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdhocDataset {
    /// The dataset.
    pub id: String,
    /// Address of the run.
    #[serde(rename = "statusURL")]
    pub status_url: String,
    /// The flow.
    pub flow_id: String,
}
