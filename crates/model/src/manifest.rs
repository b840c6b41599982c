//! The manifest: what a delivery put where, for ever. Its bytes are canonical JSON and never change.

use serde::{Deserialize, Serialize};

use crate::change::Position;
use crate::delivery::Passage;
use crate::id::{DatasetId, DeliveryId, FlowId, RunId};
use crate::plan::{OutputEncoding, PlanMode};
use crate::run::RunKind;
use crate::schema::Schema;
use crate::time::Millis;

/// The complete answer of a delivery. Fields are in alphabetical order because the bytes are canonical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// SHA-256, in hexadecimal, of the manifest's own bytes with this field empty: tells an edited manifest.
    pub checksum: String,
    /// The dataset.
    pub dataset: DatasetId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// File type and compression.
    pub encoding: OutputEncoding,
    /// The files, in task order; empty for a delivery without rows.
    pub files: Vec<ManifestFile>,
    /// The flow.
    pub flow: FlowId,
    /// Version of this form; 1 today.
    pub format_version: u32,
    /// Where the range begins, exclusive; null for a snapshot.
    pub from: Option<Position>,
    /// The run's kind; only `scheduled` and `now` move the cursor.
    pub kind: RunKind,
    /// Why the delivery holds what it holds.
    pub mode: PlanMode,
    /// The nominal instant, in milliseconds since the epoch.
    pub occurrence: Millis,
    /// The software that wrote it.
    pub producer: String,
    /// The run.
    pub run: RunId,
    /// The schema of every file.
    pub schema: Schema,
    /// SHA-256 of the schema's canonical JSON, in hexadecimal.
    pub schema_fingerprint: String,
    /// The number of this delivery for its flow and dataset, from 1, without gaps.
    pub seq: u64,
    /// Where the range ends, inclusive.
    pub to: Position,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Rows of all files.
    pub total_rows: u64,
}

/// One file of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestFile {
    /// The tag the destination gave the file, when it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Key relative to the root of the bucket, container or zone.
    pub key: String,
    /// How the rows got there, unless they were decoded and encoded.
    #[serde(default, skip_serializing_if = "Passage::encoded")]
    pub passage: Passage,
    /// Rows.
    pub rows: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}
