//! Organisations, sandboxes and clients as administrators see them. An extension.

use serde::{Deserialize, Serialize};

use crate::Sandbox;

/// A list of sandboxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sandboxes {
    /// The sandboxes.
    pub sandboxes: Vec<Sandbox>,
    /// How many.
    #[serde(rename = "_page")]
    pub page: SandboxPage,
    /// Always empty: all are on one page.
    #[serde(rename = "_links", default)]
    pub links: crate::Object,
}

/// How many sandboxes a list has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxPage {
    /// On this page.
    pub limit: usize,
    /// In all.
    pub count: usize,
}

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Organisation {
    /// Its id, sent as `x-gw-ims-org-id`.
    pub id: String,
    /// Name.
    pub name: String,
    /// When it was made, in epoch milliseconds.
    pub created_at: i64,
    /// What it may use.
    #[serde(default)]
    pub quotas: Quotas,
}

/// An organisation with what it may use and what it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationDetails {
    /// The organisation.
    #[serde(flatten)]
    pub organisation: Organisation,
    /// What it uses at this moment.
    pub usage: Usage,
}

/// What an organisation may use; null is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quotas {
    /// Flows in all of its sandboxes.
    pub flows: Option<u64>,
    /// Runs worked on at the same time.
    pub concurrent_runs: Option<u64>,
    /// Bytes delivered in a day of UTC.
    pub bytes_per_day: Option<u64>,
}

/// What an organisation uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Flows in all of its sandboxes.
    pub flows: u64,
    /// Runs that are worked on.
    pub running: u64,
    /// Bytes delivered since midnight UTC.
    pub bytes_today: u64,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Its id, sent as `x-api-key`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Its organisation.
    pub org: String,
    /// Whether it may get tokens.
    pub enabled: bool,
    /// Its name at the issuer of tokens outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it may do, and where.
    pub roles: Vec<RoleBinding>,
    /// When it was made, in epoch milliseconds.
    pub created_at: i64,
    /// Its secret; only in the answer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Where a client has a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleBinding {
    /// The role.
    pub role: String,
    /// The sandbox; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
}

/// A new organisation with the client to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrganisation {
    /// The organisation's id.
    pub id: String,
    /// Its first sandbox.
    pub sandbox: String,
    /// Id of its first client.
    pub client_id: String,
    /// The client's secret, shown only now.
    pub client_secret: String,
}
