//! Batches, their uploads and their files (contract, 10.1 to 10.3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Object;

/// Batches keyed by id, the form of the catalogue's answers.
pub type Batches = BTreeMap<String, Batch>;

/// A batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// The organisation.
    pub ims_org: String,
    /// Where it stands.
    pub status: String,
    /// When it was made, in epoch milliseconds.
    pub created: i64,
    /// When it was last changed.
    pub updated: i64,
    /// When it was completed by the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<i64>,
    /// Its dataset.
    pub related_objects: Vec<RelatedObject>,
    /// Semantic version, grows with every write.
    pub version: String,
    /// Tags as given.
    pub tags: Object,
    /// Who made it.
    pub created_user: String,
    /// Who changed it last.
    pub updated_user: String,
    /// The API client that made it.
    pub created_client: String,
    /// `inputFormat` as given.
    pub input_format: Object,
    /// What the client calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Its numbers.
    pub metrics: BatchMetrics,
    /// Why it failed, or what holds it up.
    pub errors: Vec<BatchError>,
}

/// Something that a batch belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelatedObject {
    /// `dataSet`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// Numbers of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchMetrics {
    /// Bytes uploaded.
    pub input_byte_size: u64,
    /// Rows read.
    pub input_record_count: u64,
    /// Files uploaded.
    pub input_file_count: u64,
    /// Bytes of the dataset's new files.
    pub output_byte_size: u64,
    /// Rows of the dataset's new files.
    pub output_record_count: u64,
    /// The dataset's new files.
    pub output_file_count: u64,
    /// Always 1: managed datasets have no partitions.
    pub partition_count: u64,
    /// Rows that could not be read.
    pub failed_record_count: u64,
}

/// A failure of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchError {
    /// Our code.
    pub code: String,
    /// What happened.
    pub description: String,
    /// What to do.
    pub advice: String,
    /// The first of the rows that could not be read.
    pub rows: Vec<BadRow>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The uploaded file.
    pub file: String,
    /// The line it begins on, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadedFile {
    /// Its name.
    pub name: String,
    /// Bytes that are there without a gap.
    pub size_in_bytes: u64,
}

/// A list of data access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataOf<T> {
    /// The items.
    pub data: Vec<T>,
    /// How many.
    #[serde(rename = "_page")]
    pub page: DataPage,
    /// Links to other pages; there are none.
    #[serde(rename = "_links")]
    pub links: Object,
}

/// How many items a list of data access has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPage {
    /// At most.
    pub limit: usize,
    /// Here.
    pub count: usize,
}

/// The first rows of a batch's uploads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadPreview {
    /// The options by which CSV files were read.
    pub format_params: Object,
    /// What was read.
    pub preview: PreviewedRows,
}

/// Rows to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewedRows {
    /// The columns, in the order in which they were met.
    pub columns: Vec<String>,
    /// The rows, values by column.
    pub rows: Vec<Object>,
}

/// A data file of a batch. Numbers are texts, as documented.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFile {
    /// `<batch>-<n>`.
    pub data_set_file_id: String,
    /// The dataset's view.
    pub data_set_view_id: String,
    /// `1.0.0`.
    pub version: String,
    /// When its batch was made.
    pub created: String,
    /// When its batch ended.
    pub updated: String,
    /// Rows.
    pub records: String,
    /// Bytes.
    pub size: String,
    /// `false`, as documented.
    pub is_valid: bool,
    /// Where its listing is.
    #[serde(rename = "_links")]
    pub links: SelfLinks,
}

/// A file that can be downloaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DownloadableFile {
    /// Its name.
    pub name: String,
    /// Bytes, as text.
    pub length: String,
    /// Where its bytes are.
    #[serde(rename = "_links")]
    pub links: SelfLinks,
}

/// A link to the thing itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfLinks {
    /// The link.
    #[serde(rename = "self")]
    pub own: crate::Link,
}
