//! Where an export would put its files. An extension.

use serde::{Deserialize, Serialize};

use crate::recovery::Reason;

/// The folders of one occurrence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderPreview {
    /// The datasets.
    pub datasets: Vec<DatasetPreview>,
    /// What may not be expected, in whole sentences.
    pub warnings: Vec<String>,
}

/// The folder of one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetPreview {
    /// The dataset's id.
    pub data_set_id: String,
    /// Its name.
    pub name: String,
    /// Its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// What the key of a file looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example_file: Option<String>,
    /// The folder of our manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<String>,
    /// Why a run would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Reason>,
}
