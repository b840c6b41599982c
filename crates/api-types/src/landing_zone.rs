//! The data landing zone (contract, 10.4), in the two documented shapes: a container of a storage account, or a folder
//! of a bucket. Clients tell them apart by `dlzProvider`.

use serde::{Deserialize, Serialize};

/// The container of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneContainer {
    /// Its name.
    #[serde(rename = "containerName")]
    pub container: String,
    /// Days that files stay, as text; `0` means for ever.
    #[serde(rename = "containerTTL")]
    pub ttl: String,
}

/// How to get at the files of a container.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSignature {
    /// Its name.
    #[serde(rename = "containerName")]
    pub container: String,
    /// The query that lets in.
    #[serde(rename = "SASToken")]
    pub token: String,
    /// The storage account; a name of ours where the files lie in a folder.
    #[serde(rename = "storageAccountName")]
    pub account: String,
    /// The container's address with that query.
    #[serde(rename = "SASUri")]
    pub uri: String,
    /// When it ends, in epoch seconds. An extension here.
    #[serde(rename = "expiryTime")]
    pub expires_at: i64,
}

/// The folder of a sandbox in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneFolder {
    /// Where it is.
    pub dlz_path: ZonePath,
    /// How long files stay.
    #[serde(rename = "dataTTL")]
    pub data_ttl: DataTtl,
    /// `Amazon S3`.
    pub dlz_provider: String,
}

/// A folder of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZonePath {
    /// The bucket.
    pub bucket_name: String,
    /// The folder, without slashes around it.
    pub dlz_folder: String,
}

/// A time that files stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataTtl {
    /// `days`.
    pub time_unit: String,
    /// How many; 0 means for ever.
    pub time_quantity: u32,
}

/// How to get at the files of a folder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneAccess {
    /// Short-lived keys.
    pub credentials: ZoneAwsKeys,
    /// What they are for.
    pub dlz_path: ZonePath,
    /// `Amazon S3`.
    pub dlz_provider: String,
    /// When they end, in epoch seconds.
    pub expiry_time: i64,
}

/// Short-lived keys of a bucket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneAwsKeys {
    /// The access key.
    pub aws_access_key_id: String,
    /// Its secret.
    pub aws_secret_access_key: String,
    /// The token that goes with both.
    pub aws_session_token: String,
}

/// A page of a zone's files, for clients that don't speak the blob service's XML. An extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneListing {
    /// The files.
    pub files: Vec<ListedFile>,
    /// Folders, each with a slash at its end, when `delimiter=/` was asked for.
    pub folders: Vec<String>,
    /// The `marker` of the next page, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
}

/// A file of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedFile {
    /// Its name from the top of the zone.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it became what it is, in epoch milliseconds.
    pub modified_at: i64,
    /// Its tag.
    pub etag: String,
}
