//! Failures on the wire (contract, 2.2 and 3): one body that satisfies every reader.

use serde::{Deserialize, Serialize};

/// A failure of the gateway layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayProblem {
    /// The documented code.
    pub error_code: String,
    /// The documented text.
    pub message: String,
}

/// A call with a body but without a usable content type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentTypeProblem {
    /// A placeholder, as documented.
    #[serde(rename = "type")]
    pub kind: String,
    /// HTTP status.
    pub status: u16,
    /// Title.
    pub title: String,
    /// Text.
    pub detail: String,
}

/// Every other failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `http://ns.adobe.com/aep/errors/FLOW-<number>-<status>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The documented title.
    pub title: String,
    /// HTTP status, repeated: clients look for it in the body.
    pub status: u16,
    /// What was attempted, on which object, and what is wrong.
    pub detail: String,
    /// Tenant and our code.
    pub report: Report,
    /// One link: this service.
    #[serde(rename = "error-chain")]
    pub error_chain: Vec<ChainLink>,
    /// As `detail`.
    #[serde(rename = "errorMessage")]
    pub error_message: String,
    /// As `detail`.
    #[serde(rename = "errorDetails")]
    pub error_details: String,
    /// As `detail`; on 400 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Where the failure belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whose request it was; null when nobody was recognised.
    pub tenant_info: Option<TenantInfo>,
    /// Extension: our code, advice and page.
    pub additional_context: AdditionalContext,
}

/// The tenant of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantInfo {
    /// The sandbox's name.
    pub sandbox_name: String,
    /// The sandbox's id.
    pub sandbox_id: String,
    /// The organisation.
    pub ims_org_id: String,
}

/// Our own word on a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdditionalContext {
    /// Name of the failure.
    pub code: String,
    /// What to do.
    pub advice: String,
    /// Its page in the documentation.
    pub page: String,
}

/// A service that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainLink {
    /// `FLOW`.
    pub service_id: String,
    /// `FLOW-<number>-<status>`.
    pub error_code: String,
    /// Empty: nobody is in between.
    pub invoking_service_id: String,
    /// When, in epoch milliseconds.
    pub unix_time_stamp_ms: i64,
}
