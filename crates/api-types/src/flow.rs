//! Flows (contract, 4.10).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Object;
use crate::entity::{Common, ConnectionRef, SpecInfo};

/// A flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Common fields.
    #[serde(flatten)]
    pub common: Common,
    /// Name.
    pub name: String,
    /// Description; empty when none was given.
    pub description: String,
    /// The flow spec.
    pub flow_spec: SpecInfo,
    /// `enabled`, `disabled` or `draft`.
    pub state: String,
    /// As `etag`.
    pub version: String,
    /// Changes with every write, not with runs; quotes included.
    pub etag: String,
    /// One source connection.
    pub source_connection_ids: Vec<String>,
    /// One target connection.
    pub target_connection_ids: Vec<String>,
    /// What it shows of its connections.
    pub inherited_attributes: InheritedAttributes,
    /// The schedule as given.
    pub schedule_params: Object,
    /// Empty for datasets.
    pub transformations: Value,
    /// Path of its runs, relative to the service's prefix.
    pub runs: String,
    /// What was last done to it.
    pub last_operation: LastOperation,
    /// Its newest run, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_details: Option<LastRunDetails>,
    /// Extension: the next occurrence in epoch milliseconds, while one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<i64>,
}

/// What a flow shows of its connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InheritedAttributes {
    /// That it delivers to a destination.
    pub properties: FlowProperties,
    /// The source connections.
    pub source_connections: Vec<ConnectionRef>,
    /// The target connections.
    pub target_connections: Vec<InheritedTarget>,
}

/// Properties of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowProperties {
    /// Always true here.
    pub is_destination_flow: bool,
}

/// What a flow shows of a target connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InheritedTarget {
    /// The target connection.
    pub id: String,
    /// Its platform.
    pub connection_spec: SpecInfo,
    /// Its base connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_connection: Option<ConnectionRef>,
    /// What it exports.
    pub data: OutputData,
}

/// What a flow exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputData {
    /// `DATASET_EXPORT`.
    pub output_type: String,
}

/// The last operation on a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastOperation {
    /// When it began, in epoch milliseconds.
    pub started: i64,
    /// When it ended, in epoch milliseconds.
    pub updated: i64,
    /// Always 100: operations are done when they are answered.
    pub percent_completed: u8,
    /// Its outcome.
    pub status: OperationStatus,
    /// The patch operations, for `update`.
    pub ops: Value,
    /// `create`, `update`, `enable` or `disable`.
    pub operation: String,
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStatus {
    /// `completed`.
    pub value: String,
    /// Always null.
    pub properties: Option<Object>,
    /// Empty.
    pub errors: Vec<Value>,
}

/// The newest run of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRunDetails {
    /// The run.
    pub id: String,
    /// Its status.
    pub state: String,
    /// When it started, in epoch milliseconds.
    #[serde(
        rename = "startedAtUTC",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub started_at_utc: Option<i64>,
    /// When it ended, in epoch milliseconds.
    #[serde(
        rename = "completedAtUTC",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub completed_at_utc: Option<i64>,
}
