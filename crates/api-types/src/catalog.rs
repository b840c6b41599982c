//! Datasets and sandboxes (contract, 4.6, 10.1 and 10.5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Object;

/// Datasets keyed by id, the form of the catalogue's lists.
pub type CatalogDatasets = BTreeMap<String, CatalogDataset>;

/// A dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogDataset {
    /// Its id; in the `configs` answer only, the catalogue has it as the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name.
    pub name: String,
    /// The organisation.
    pub ims_org: String,
    /// The sandbox's id.
    pub sandbox_id: String,
    /// Semantic version, grows with every write.
    pub version: String,
    /// When it was made, in epoch milliseconds.
    pub created: i64,
    /// When it was last changed, in epoch milliseconds.
    pub updated: i64,
    /// The API client that made it.
    pub created_client: String,
    /// Who made it.
    pub created_user: String,
    /// Who changed it last.
    pub updated_user: String,
    /// `production`.
    pub aspect: String,
    /// `DRAFT`, as the documented service answers.
    pub state: String,
    /// Reference to the dataset's files.
    pub files: String,
    /// Extension: where the table is, `lake://<root>/<path>`.
    pub location: String,
    /// The dataset's view; the dataset itself.
    pub view_id: String,
    /// The newest batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_batch_id: Option<String>,
    /// Its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_batch_status: Option<String>,
    /// The newest batch that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_batch: Option<String>,
    /// The newest batch that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failed_batch: Option<String>,
    /// `description`, `schemaRef`, `tags`, `fileDescription`, `classification` and the rest as given.
    #[serde(flatten)]
    pub extra: Object,
}

/// The exportable datasets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigsPage {
    /// The datasets.
    pub items: Vec<CatalogDataset>,
    /// Which of them.
    pub page_info: PageInfo,
}

/// An offset page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Index of the first item.
    pub start: u64,
    /// Index of the last item, inclusive; `start` on an empty page.
    pub end: u64,
    /// How many there are.
    pub total: u64,
    /// Whether there are more.
    pub has_next: bool,
}

/// A sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sandbox {
    /// Its id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// `active`.
    pub state: String,
    /// `production`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `local`.
    pub region: String,
    /// Whether it is used when a request names none.
    pub is_default: bool,
    /// Version counter.
    pub etag: u64,
    /// When it was made, in UTC.
    pub created_date: String,
    /// When it was last changed.
    pub last_modified_date: String,
    /// Who made it.
    pub created_by: String,
    /// Who changed it last.
    pub modified_by: String,
}
