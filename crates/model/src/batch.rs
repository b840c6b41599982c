//! Batches: files that a client uploads and that become rows of a managed dataset all at once (contract, 10.2).
//!
//! The one law: a batch is in the dataset as a whole or not at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::id::{BatchId, DatasetId, Tenant};
use crate::resource::{Audit, Object, Revision};
use crate::time::Millis;

/// A batch as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its id, unique everywhere.
    pub id: BatchId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The dataset its rows go to.
    pub dataset: DatasetId,
    /// Grows with every write.
    pub revision: Revision,
    /// When and by whom it was made and changed.
    pub audit: Audit,
    /// Where it stands.
    pub state: BatchState,
    /// What the client calls it; a repeated create with the same one answers the same batch.
    pub external_id: Option<String>,
    /// Everything else.
    pub details: BatchDetails,
}

/// What is told of a batch beside its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchDetails {
    /// How its files are to be read.
    pub format: InputFormat,
    /// `inputFormat` as given, echoed.
    #[serde(default)]
    pub given_format: Object,
    /// Tags as given, echoed.
    #[serde(default)]
    pub tags: Object,
    /// When it was completed by the client.
    #[serde(default)]
    pub started_at: Option<Millis>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Millis>,
    /// Promotions begun; a failure that may pass is tried again.
    #[serde(default)]
    pub attempts: u32,
    /// Not to be tried before.
    #[serde(default)]
    pub not_before: Option<Millis>,
    /// The table version that brought its rows.
    #[serde(default)]
    pub version: Option<u64>,
    /// Its numbers.
    #[serde(default)]
    pub metrics: BatchMetrics,
    /// Why it failed.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// Rows that could not be read, the first of them.
    #[serde(default)]
    pub bad_rows: Vec<BadRow>,
    /// The files that the client had uploaded when it completed the batch. Their bytes go with the promotion.
    #[serde(default)]
    pub input_files: Vec<InputFile>,
}

impl BatchDetails {
    /// Of a batch that has just been made.
    pub fn new(format: InputFormat) -> Self {
        Self {
            format,
            given_format: Object::new(),
            tags: Object::new(),
            started_at: None,
            ended_at: None,
            attempts: 0,
            not_before: None,
            version: None,
            metrics: BatchMetrics::default(),
            fault: None,
            bad_rows: Vec::new(),
            input_files: Vec::new(),
        }
    }
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchState {
    /// Takes files.
    Loading,
    /// Completed by the client, waiting to be promoted.
    Loaded,
    /// Being promoted.
    Staging,
    /// Its rows are in the dataset.
    Success,
    /// Could not be promoted; nothing of it is in the dataset.
    Failed,
    /// Given up before it was completed.
    Aborted,
    /// Was in the dataset and was taken back.
    Inactive,
}

impl BatchState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Loading,
        Self::Loaded,
        Self::Staging,
        Self::Success,
        Self::Failed,
        Self::Aborted,
        Self::Inactive,
    ];

    /// The documented word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Loaded => "loaded",
            Self::Staging => "staging",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Inactive => "inactive",
        }
    }

    /// The state of that word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.name().eq_ignore_ascii_case(word))
    }
}

/// How the files of a batch are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum InputFormat {
    /// JSON: a row a line, or one array of rows.
    Json {
        /// Whether a row may take several lines outside an array.
        multi_line: bool,
    },
    /// Parquet.
    Parquet,
    /// Text with separated columns.
    Csv(CsvFormat),
}

/// How a CSV file is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CsvFormat {
    /// Between columns.
    pub delimiter: u8,
    /// Around values.
    pub quote: u8,
    /// Before a quote inside quotes, when quotes are not doubled.
    pub escape: Option<u8>,
    /// The columns' names, when the files don't begin with them.
    pub header: Option<Vec<String>>,
    /// Name of the character set.
    pub charset: String,
}

/// Numbers of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchMetrics {
    /// Bytes uploaded.
    pub input_bytes: u64,
    /// Rows read.
    pub input_rows: u64,
    /// Files uploaded.
    pub input_files: u64,
    /// Bytes of the dataset's new files.
    pub output_bytes: u64,
    /// Rows of the dataset's new files.
    pub output_rows: u64,
    /// The dataset's new files.
    pub output_files: u64,
    /// Rows that could not be read.
    pub failed_rows: u64,
}

/// A row that could not be read. Never carries the row itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BadRow {
    /// The uploaded file.
    pub file: String,
    /// The line it begins on, counted from 1; of a Parquet file the row.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

/// What became of a promotion.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Promoted {
    /// The rows are in the dataset.
    Committed {
        /// The table version that brought them.
        version: u64,
        /// Numbers.
        metrics: BatchMetrics,
    },
    /// Nothing was committed: rows could not be read, or don't fit the dataset.
    Refused {
        /// Numbers so far.
        metrics: BatchMetrics,
        /// The first of the rows.
        bad_rows: Vec<BadRow>,
    },
}

/// Which batches a list is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchQuery {
    /// Of that dataset only.
    pub dataset: Option<DatasetId>,
    /// In one of these states; any when empty.
    pub states: Vec<BatchState>,
}

/// A file that was uploaded, or is being.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedFile {
    /// Its name as the client gave it.
    pub name: String,
    /// Bytes that are there without a gap from the beginning.
    pub bytes: u64,
    /// Whether the client has finished it.
    pub complete: bool,
}

/// An uploaded file, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputFile {
    /// Its name as the client gave it.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

impl From<UploadedFile> for InputFile {
    fn from(file: UploadedFile) -> Self {
        Self {
            name: file.name,
            bytes: file.bytes,
        }
    }
}

/// A data file of a dataset that a batch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFile {
    /// The file.
    pub source: crate::change::SourceRef,
    /// Size.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
}

/// The first rows of uploaded files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UploadPreview {
    /// The columns, in the order in which they were met.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl UploadPreview {
    /// Adds a row, and columns that no row before had.
    pub fn push(&mut self, values: Vec<(String, serde_json::Value)>) {
        for (name, _) in &values {
            if !self.columns.contains(name) {
                self.columns.push(name.clone());
            }
        }
        self.rows.push(values.into_iter().collect());
    }
}

/// Values by column name: a row to look at.
pub type Row = BTreeMap<String, serde_json::Value>;
