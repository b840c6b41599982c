//! What will be delivered, decided once. A plan leaves no choice to execution and is never changed.

use serde::{Deserialize, Serialize};

use crate::change::{FileSlice, Position};
use crate::id::{ConnectionId, DatasetId, DeliveryId, FlowId, ResourceId, RunId, Tenant};
use crate::run::RunKind;
use crate::schema::Schema;
use crate::time::Millis;

/// What a flow asks for, frozen when its run is inserted: later edits of the flow do not touch the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportSpec {
    /// The tenant.
    pub tenant: Tenant,
    /// The flow.
    pub flow: FlowId,
    /// The flow's name, for folder templates.
    pub flow_name: String,
    /// Id of the flow spec, echoed on runs.
    pub flow_spec: String,
    /// The source connection.
    pub source_connection: ResourceId,
    /// The target connection.
    pub target_connection: ResourceId,
    /// The datasets, in the order of the source connection, with the name given there.
    pub datasets: Vec<DatasetId>,
    /// Where the files go.
    pub sink: SinkRef,
    /// The target's folder, without leading or trailing slash; may be empty.
    pub path: String,
    /// How rows become bytes.
    pub encoding: OutputEncoding,
    /// The folder template, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_template: Option<String>,
    /// What a rewrite in an incremental range means.
    pub on_rewrite: OnRewrite,
    /// Whether the documented manifest is written beside ours.
    pub include_file_manifest: bool,
    /// How rows are divided into files.
    #[serde(default, skip_serializing_if = "FileRules::none")]
    pub file_rules: FileRules,
}

/// How many rows and bytes a delivered file holds, as the target asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRules {
    /// Most rows of a file; exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
    /// Bytes that a file should have; estimated from the source's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_bytes: Option<u64>,
}

impl FileRules {
    /// Whether nothing is asked for.
    pub const fn none(&self) -> bool {
        self.max_rows.is_none() && self.target_bytes.is_none()
    }
}

/// File type and compression of the delivered files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputEncoding {
    /// The file type.
    pub file_type: FileType,
    /// The compression.
    pub compression: Compression,
    /// How gzip is made, where it is asked for.
    #[serde(default, skip_serializing_if = "usual")]
    pub gzip: GzipRules,
}

/// How gzip is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GzipRules {
    /// Time or bytes.
    #[serde(skip_serializing_if = "usual")]
    pub level: GzipLevel,
    /// How many members a file of JSON has.
    #[serde(skip_serializing_if = "usual")]
    pub members: GzipMembers,
}

/// What gzip saves: bytes or time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GzipLevel {
    /// As small as `gzip -6`.
    #[default]
    Default,
    /// As fast as `gzip -1` makes them, and as large.
    Fast,
}

/// Of how many members (RFC 1952, 2.2) a gzip file may consist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GzipMembers {
    /// Several, where that is smaller.
    #[default]
    Several,
    /// One, for readers that stop after the first.
    Single,
}

/// Whether a wish was not expressed.
fn usual<T: Default + PartialEq>(wish: &T) -> bool {
    *wish == T::default()
}

impl OutputEncoding {
    /// The encoding as the documented parameters say it.
    pub const fn new(file_type: FileType, compression: Compression) -> Self {
        Self {
            file_type,
            compression,
            gzip: GzipRules {
                level: GzipLevel::Default,
                members: GzipMembers::Several,
            },
        }
    }

    /// The ending of a file's name (contract, 7.3), with its dot.
    pub const fn extension(self) -> &'static str {
        match (self.file_type, self.compression) {
            (FileType::Json, Compression::None) => ".json",
            (FileType::Json, Compression::Gzip) => ".json.gz",
            (FileType::Parquet, Compression::None) => ".parquet",
            (FileType::Parquet, Compression::Gzip) => ".gz.parquet",
        }
    }
}

/// The documented `datasetFileType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FileType {
    /// One JSON object per line.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// The documented `compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compression {
    /// None (for Parquet: uncompressed pages).
    None,
    /// gzip around JSON, inside Parquet.
    Gzip,
}

/// What to do when rows were deleted, updated or rewritten in an incremental range (contract, D2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRewrite {
    /// End the delivery with a clear error.
    #[default]
    Fail,
    /// Send the whole snapshot and replace the cursor.
    Full,
}

/// The platform a sink speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationKind {
    /// Amazon S3 and compatibles.
    S3,
    /// Azure Blob Storage.
    AzureBlob,
    /// Azure Data Lake Storage Gen2.
    AdlsGen2,
    /// The data landing zone.
    LandingZone,
    /// Google Cloud Storage.
    Gcs,
    /// SFTP.
    Sftp,
}

/// Names a sink without its secrets: a task carries a reference, credentials are revealed only where it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkRef {
    /// The platform.
    pub kind: DestinationKind,
    /// The tenant whose connection it is.
    pub tenant: Tenant,
    /// The base connection that holds the credentials.
    pub connection: ConnectionId,
    /// The bucket or container where the platform has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// Everything about one delivery that execution needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportPlan {
    /// Version of this form.
    pub format_version: u32,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its run.
    pub run: RunId,
    /// Its dataset.
    pub dataset: DatasetId,
    /// The dataset's name when it was planned.
    pub dataset_name: String,
    /// The run's kind.
    pub kind: RunKind,
    /// The nominal instant that names folders.
    pub occurrence: Millis,
    /// The flow's wishes as frozen with the run.
    pub spec: ExportSpec,
    /// Whether the whole snapshot or an increment is sent, and why.
    pub mode: PlanMode,
    /// Where the cursor stood; absent before the first delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// Where the cursor will stand.
    pub to: Position,
    /// The number this delivery gives the cursor: one more than it had.
    pub seq: u64,
    /// The schema that every file has.
    pub schema: Schema,
    /// SHA-256 of the schema's canonical JSON, in hexadecimal.
    pub schema_fingerprint: String,
    /// The dataset's folder for this occurrence.
    pub folder: String,
    /// The files to write, numbered from 0 without gaps.
    pub tasks: Vec<PlannedTask>,
    /// Key of our manifest.
    pub manifest_key: String,
    /// Key of the documented manifest, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_manifest_key: Option<String>,
}

impl ExportPlan {
    /// The version written today. Tasks of version 1 repeated what all tasks share; that is passed over.
    pub const FORMAT_VERSION: u32 = 2;

    /// The plan without its tasks.
    pub fn head(&self) -> Self {
        Self {
            format_version: self.format_version,
            delivery: self.delivery,
            run: self.run,
            dataset: self.dataset.clone(),
            dataset_name: self.dataset_name.clone(),
            kind: self.kind,
            occurrence: self.occurrence,
            spec: self.spec.clone(),
            mode: self.mode,
            from: self.from.clone(),
            to: self.to.clone(),
            seq: self.seq,
            schema: self.schema.clone(),
            schema_fingerprint: self.schema_fingerprint.clone(),
            folder: self.folder.clone(),
            tasks: Vec::new(),
            manifest_key: self.manifest_key.clone(),
            file_manifest_key: self.file_manifest_key.clone(),
        }
    }

    /// The task of that ordinal, with everything that it shares with the others.
    pub fn file_task(&self, index: u32) -> Option<FileTask> {
        let task = self.tasks.get(usize::try_from(index).ok()?)?;
        Some(FileTask {
            delivery: self.delivery,
            index: task.index,
            key: task.key.clone(),
            slices: task.slices.clone(),
            schema: self.schema.clone(),
            encoding: self.spec.encoding,
            sink: self.spec.sink.clone(),
        })
    }
}

/// What one file of a plan has for itself; the rest of its [`FileTask`] is the plan's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedTask {
    /// Ordinal within the delivery.
    pub index: u32,
    /// Final key of the file.
    pub key: String,
    /// What to read, in order.
    pub slices: Vec<FileSlice>,
}

/// Why a delivery sends what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanMode {
    /// The first delivery, or a flow that always sends everything.
    Full,
    /// What was committed after the cursor.
    Incremental,
    /// The whole snapshot because a rewrite was found (`onRewrite: full`); replaces the cursor.
    FullAfterRewrite,
    /// The whole snapshot because a person asked (`params.full`); replaces the cursor.
    FullResync,
}

/// One file to write. Self-contained: it can be sent to another process or machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileTask {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Ordinal within the delivery.
    pub index: u32,
    /// Final key of the file.
    pub key: String,
    /// What to read, in order.
    pub slices: Vec<FileSlice>,
    /// The schema to write.
    pub schema: Schema,
    /// How rows become bytes.
    pub encoding: OutputEncoding,
    /// Where the bytes go.
    pub sink: SinkRef,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A task as it travels, and as plans of version 1 held it.
    fn whole_task() -> Value {
        json!({
            "delivery": "e6c988a6-ee03-596f-b743-4ad0fce7152e",
            "index": 0,
            "key": "out/part-0.json",
            "slices": [{"source": {"root": "lake", "path": "a.parquet"}, "bytes": 10, "rows": 2}],
            "schema": {"fields": [{"name": "row_id", "type": "int64", "nullable": false}]},
            "encoding": {"fileType": "JSON", "compression": "NONE"},
            "sink": {
                "kind": "landing-zone",
                "tenant": {"org": "0123456789ABCDEF01234567@AdobeOrg", "sandbox": "prod"},
                "connection": "68936e2b-4b0c-4b7a-9f0e-0d6a3c9f0b11"
            }
        })
    }

    fn plan_of_version_1() -> Value {
        json!({
            "formatVersion": 1,
            "delivery": "e6c988a6-ee03-596f-b743-4ad0fce7152e",
            "run": "c71ea47c-9f76-5d5c-b23d-696343b5610d",
            "dataset": "5ef3e3259ad2a1191ab7dd7d",
            "datasetName": "Orders",
            "kind": "scheduled",
            "occurrence": 1_675_901_210_000_u64,
            "spec": {
                "tenant": {"org": "0123456789ABCDEF01234567@AdobeOrg", "sandbox": "prod"},
                "flow": "7a6e0d3a-6b7e-4b47-8a4e-4b5d1f6a7c11",
                "flowName": "Orders to the zone",
                "flowSpec": "cd2fc47e-e838-4f38-a581-8fff2f99b63a",
                "sourceConnection": "s",
                "targetConnection": "t",
                "datasets": ["5ef3e3259ad2a1191ab7dd7d"],
                "sink": {
                    "kind": "landing-zone",
                    "tenant": {"org": "0123456789ABCDEF01234567@AdobeOrg", "sandbox": "prod"},
                    "connection": "68936e2b-4b0c-4b7a-9f0e-0d6a3c9f0b11"
                },
                "path": "out",
                "encoding": {"fileType": "JSON", "compression": "NONE"},
                "onRewrite": "fail",
                "includeFileManifest": false
            },
            "mode": "full",
            "to": {"kind": "delta", "table": "5a1f", "version": 3},
            "seq": 1,
            "schema": {"fields": [{"name": "row_id", "type": "int64", "nullable": false}]},
            "schemaFingerprint": "00",
            "folder": "out",
            "tasks": [whole_task()],
            "manifestKey": "out/_offtake/m.manifest"
        })
    }

    #[test]
    fn a_plan_whose_tasks_repeat_what_they_share_is_still_read() {
        let plan: ExportPlan = serde_json::from_value(plan_of_version_1()).unwrap();
        let task = plan.file_task(0).unwrap();
        assert_eq!(serde_json::to_value(task).unwrap(), whole_task());
        assert_eq!(plan.file_task(1), None);
    }
}
