//! Connections, with what every entity has in common (contract, 1 and 4.7 to 4.9).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Object;

/// What the service sets on every entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    /// The entity's id.
    pub id: String,
    /// When it was made, in epoch milliseconds.
    pub created_at: i64,
    /// When it was last changed, in epoch milliseconds.
    pub updated_at: i64,
    /// Who made it.
    pub created_by: String,
    /// Who changed it last.
    pub updated_by: String,
    /// The API client that made it.
    pub created_client: String,
    /// The API client that changed it last.
    pub updated_client: String,
    /// The sandbox's id.
    pub sandbox_id: String,
    /// The sandbox's name.
    pub sandbox_name: String,
    /// The organisation.
    pub ims_org_id: String,
}

/// Id and version of a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecInfo {
    /// The spec's id.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// A base connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Common fields.
    #[serde(flatten)]
    pub common: Common,
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The platform.
    pub connection_spec: SpecInfo,
    /// `enabled`.
    pub state: String,
    /// Credentials, masked; none for the landing zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// As `etag`.
    pub version: String,
    /// Changes with every write; quotes included.
    pub etag: String,
}

/// The credentials of a base connection as they may be shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Name of the auth spec.
    pub spec_name: String,
    /// Parameters, secret ones as `****`, with `authorizedDate`.
    pub params: Object,
}

/// The parts of a base connection that other entities show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// The connection.
    pub id: String,
    /// Its platform.
    pub connection_spec: SpecInfo,
}

/// What a source or target connection shows of its base connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InheritedBase {
    /// The base connection, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_connection: Option<ConnectionRef>,
}

/// A source connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceConnection {
    /// Common fields.
    #[serde(flatten)]
    pub common: Common,
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `baseConnectionId` as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_connection_id: Option<String>,
    /// The data-lake spec.
    pub connection_spec: SpecInfo,
    /// `enabled`.
    pub state: String,
    /// `data` as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// The datasets.
    pub params: SourceParams,
    /// The base connection.
    pub inherited_attributes: InheritedBase,
    /// As `etag`.
    pub version: String,
    /// Changes with every write; quotes included.
    pub etag: String,
}

/// The parameters of a source connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceParams {
    /// The datasets.
    pub datasets: Vec<DatasetRef>,
}

/// A dataset of a source connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRef {
    /// The dataset's id.
    #[serde(rename = "dataSetId")]
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A target connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetConnection {
    /// Common fields.
    #[serde(flatten)]
    pub common: Common,
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The base connection.
    pub base_connection_id: String,
    /// The platform.
    pub connection_spec: SpecInfo,
    /// `enabled`.
    pub state: String,
    /// Where and how.
    pub params: Object,
    /// The base connection.
    pub inherited_attributes: InheritedBase,
    /// As `etag`.
    pub version: String,
    /// Changes with every write; quotes included.
    pub etag: String,
}
