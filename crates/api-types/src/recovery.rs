//! Catching up after a restore. An extension.

use serde::{Deserialize, Serialize};

/// A flow that waits until it is reconciled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldFlow {
    /// The flow's id.
    pub id: String,
    /// Its name, unless it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its organisation.
    pub ims_org_id: String,
    /// Its sandbox.
    pub sandbox_name: String,
    /// Why it was not let go on, when it was reconciled before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Reason>,
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Name of the error, also of its page.
    pub code: String,
    /// What was attempted and went wrong.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// The error's page.
    pub page: String,
}

/// What became of a flow that was reconciled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// The flow's id.
    pub flow_id: String,
    /// Whether it goes on.
    pub released: bool,
    /// Whether this was only a look.
    pub dry_run: bool,
    /// What was found of each dataset.
    pub datasets: Vec<ReconciledDataset>,
    /// Why it is held further on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Reason>,
}

/// What was found of one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconciledDataset {
    /// The dataset's id.
    pub data_set_id: String,
    /// `current`: nothing was delivered since the backup; `caughtUp`: the store takes over what was; `refused`.
    pub outcome: String,
    /// Number of the flow's last delivery as the store knew it.
    pub seq_before: u64,
    /// The same, as the destination shows it.
    pub seq_after: u64,
    /// Deliveries taken over.
    pub deliveries: u64,
    /// Rows of these.
    pub rows: u64,
    /// Unfinished deliveries that are given up, because others have sent their rows.
    pub superseded: u64,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Reason>,
}
