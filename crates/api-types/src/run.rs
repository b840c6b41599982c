//! Runs and their metrics (contract, 8).

use serde::{Deserialize, Serialize};

use crate::Object;
use crate::entity::{Common, SpecInfo};

/// A run of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Common fields.
    #[serde(flatten)]
    pub common: Common,
    /// The flow.
    pub flow_id: String,
    /// The flow's spec.
    pub flow_spec: SpecInfo,
    /// 32 hexadecimal characters, the run's name inside the provider.
    pub provider_ref_id: String,
    /// Changes whenever the run's state does; quotes included.
    pub etag: String,
    /// Counters and status.
    pub metrics: RunMetrics,
    /// One per dataset.
    pub activities: Vec<Activity>,
    /// Extension: `scheduled`, `now`, `adhoc` or `replay`.
    pub kind: String,
    /// Extension: the nominal instant in epoch milliseconds.
    pub occurrence: i64,
}

/// Counters and status of a run. All counters are there from the start and grow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunMetrics {
    /// When it started and ended.
    pub duration_summary: DurationSummary,
    /// Always empty.
    #[serde(default)]
    pub latency_summary: Object,
    /// Bytes.
    pub size_summary: SizeSummary,
    /// Rows.
    pub record_summary: RecordSummary,
    /// Files.
    pub file_summary: FileSummary,
    /// Status and reasons.
    pub status_summary: StatusSummary,
}

/// Start and end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurationSummary {
    /// Start, in epoch milliseconds.
    #[serde(
        rename = "startedAtUTC",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub started_at_utc: Option<i64>,
    /// End, in epoch milliseconds.
    #[serde(
        rename = "completedAtUTC",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub completed_at_utc: Option<i64>,
}

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SizeSummary {
    /// Bytes of the lake's files.
    pub input_bytes: u64,
    /// Bytes delivered.
    pub output_bytes: u64,
}

/// Rows of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordSummary {
    /// Rows read.
    pub input_record_count: u64,
    /// Rows that will be read, while the run is under way and the tables' statistics tell. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_record_count: Option<u64>,
    /// Rows delivered.
    pub created_record_count: u64,
    /// Rows delivered.
    pub output_record_count: u64,
    /// Rows left out by rule.
    pub skipped_record_count: u64,
    /// Rows lost to errors.
    pub failed_record_count: u64,
    /// By source connection.
    #[serde(default)]
    pub source_summaries: Vec<SideSummary>,
    /// By target connection.
    #[serde(default)]
    pub target_summaries: Vec<SideSummary>,
    /// Reasons of skips.
    #[serde(default)]
    pub skipped_info: Vec<Info>,
    /// Reasons of failures.
    #[serde(default)]
    pub failed_info: Vec<Info>,
    /// What is worth knowing of a part that succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warning_info: Vec<Info>,
}

/// Rows by connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SideSummary {
    /// The connection.
    pub id: String,
    /// Rows.
    #[serde(flatten)]
    pub counts: SideCounts,
    /// By dataset.
    pub entity_summaries: Vec<EntitySummary>,
}

/// Rows by dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitySummary {
    /// `dataSet:<id>`.
    pub id: String,
    /// Rows.
    #[serde(flatten)]
    pub counts: SideCounts,
}

/// Rows on one side: read and skipped at the source, delivered at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SideCounts {
    /// Rows read; source side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_record_count: Option<u64>,
    /// Rows left out by rule; source side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_record_count: Option<u64>,
    /// Rows delivered; target side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_record_count: Option<u64>,
    /// Rows delivered; target side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_record_count: Option<u64>,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The run-level code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Rows that it concerns; only in a record summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// `Error` or `Warning`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Extension: the name of the failure and of its page.
    #[serde(rename = "errorCode", default)]
    pub error_code: String,
    /// Extension: what to do.
    #[serde(default)]
    pub advice: String,
}

/// Files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSummary {
    /// Lake files read.
    pub input_file_count: u64,
    /// Data files delivered.
    pub output_file_count: u64,
    /// The delivered files, once a dataset's delivery has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<FileManifest>,
}

/// Delivered files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileManifest {
    /// The files.
    pub file_info: Vec<FileInfo>,
}

/// A delivered file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    /// Path from the root of the bucket, container or zone.
    pub path: String,
    /// Its size.
    pub output_bytes: u64,
    /// The target connection's folder.
    pub path_prefix: String,
    /// Extension: its rows.
    #[serde(default)]
    pub output_record_count: u64,
}

/// Status and reasons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusSummary {
    /// `waiting`, `processing`, `success` or `failed`.
    pub status: String,
    /// Why it failed or waits.
    #[serde(default)]
    pub errors: Vec<Info>,
    /// Ids of the activities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activity_refs: Vec<String>,
    /// More, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Object>,
}

/// One dataset's part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The delivery's id.
    pub id: String,
    /// `Dataset Export Activity`.
    pub name: String,
    /// When it last changed, in epoch milliseconds.
    #[serde(rename = "updatedAtUTC")]
    pub updated_at_utc: i64,
    /// When it started and ended.
    pub duration_summary: DurationSummary,
    /// Always empty.
    #[serde(default)]
    pub latency_summary: Object,
    /// Bytes.
    pub size_summary: SizeSummary,
    /// Rows.
    pub record_summary: ActivityRecords,
    /// Files.
    pub file_summary: FileSummary,
    /// Status; its extensions name the dataset, the delivery's own state and its manifest.
    pub status_summary: StatusSummary,
}

/// Rows of an activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityRecords {
    /// Rows read.
    pub input_record_count: u64,
    /// Rows delivered.
    pub output_record_count: u64,
    /// Rows delivered.
    pub created_record_count: u64,
    /// Rows left out by rule.
    pub skipped_record_count: u64,
}
