//! Target connections: where and how (contract, 4.9 and 5.4).

use offtake_model::resource::{Object, SpecRef};
use offtake_model::{
    Compression, ConnectionId, DestinationKind, ErrorCode, Fault, FileType, GzipLevel, GzipMembers,
    GzipRules, OnRewrite, OutputEncoding,
};
use serde_json::Value;

use super::body::{Body, invalid, quoted, spec_not_valid};
use crate::naming::{self, KEY_BYTES_MAX, NAME_BYTES_RESERVED};
use crate::specs;

const FIELDS: [&str; 5] = [
    "name",
    "description",
    "baseConnectionId",
    "connectionSpec",
    "params",
];

/// Most bytes of one folder's name where folders are files of a file system.
const FOLDER_BYTES_MAX: usize = 255;

/// A legal target connection.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetDraft {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The base connection; must exist and have the same spec.
    pub base_connection_id: ConnectionId,
    /// The platform's spec.
    pub spec: SpecRef,
    /// The platform.
    pub kind: DestinationKind,
    /// The parameters as given, enumerations in their documented spelling.
    pub params: Object,
    /// What the parameters mean.
    pub settings: TargetSettings,
}

/// What a target's parameters mean to an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSettings {
    /// The bucket or container where the platform has one.
    pub container: Option<String>,
    /// The folder, without leading or trailing slash; empty for the root.
    pub path: String,
    /// File type and compression.
    pub encoding: OutputEncoding,
    /// What a rewrite in an incremental range means.
    pub on_rewrite: OnRewrite,
    /// Whether the documented manifest is written.
    pub include_file_manifest: bool,
}

/// Checks the body of a create call.
pub fn target(body: &Value) -> Result<TargetDraft, Fault> {
    let body = Body::new(body, &FIELDS)?;
    let name = body.name()?;
    let description = body.description()?;
    let spec = body.connection_spec()?;
    let kind = spec
        .kind()
        .ok_or_else(|| spec_not_valid("connectionSpec", "the data lake's, which is no target"))?;
    let base_connection_id = base_connection(&body)?;
    let given = body
        .object("params")?
        .ok_or_else(|| invalid("`params` is required: an object"))?;
    let params = normalised(given);
    let settings = target_settings(kind, &params)?;
    Ok(TargetDraft {
        name,
        description,
        base_connection_id,
        spec: spec.reference(),
        kind,
        params,
        settings,
    })
}

/// Refuses a base connection of another platform than the target connection's.
pub fn check_base_connection(
    target: &SpecRef,
    id: ConnectionId,
    base: &SpecRef,
) -> Result<(), Fault> {
    if target.id == base.id {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!(
            "`baseConnectionId` {id} is a connection of spec {}, the target connection is of spec {}",
            base.id, target.id
        ),
    ))
}

/// Checks a target's parameters, in their documented spelling, and tells what they mean.
pub fn target_settings(kind: DestinationKind, params: &Object) -> Result<TargetSettings, Fault> {
    if let Some(rules) = specs::destination(kind).target() {
        rules.check("params", params)?;
    }
    let (container_key, path_key) = location_keys(kind);
    let path = path(kind, path_key, text(params, path_key))?;
    Ok(TargetSettings {
        container: container_key.map(|key| text(params, key).to_owned()),
        path,
        encoding: encoding(params).map_err(invalid)?,
        on_rewrite: match text(params, "onRewrite") {
            "full" => OnRewrite::Full,
            _ => OnRewrite::Fail,
        },
        include_file_manifest: params
            .get("includeFileManifest")
            .and_then(Value::as_bool)
            .unwrap_or(false),
    })
}

/// How rows become bytes, in whatever case it was written; else which parameter says nothing that is known.
pub(crate) fn encoding(params: &Object) -> Result<OutputEncoding, &'static str> {
    let word = |key| text(params, key).to_ascii_uppercase();
    Ok(OutputEncoding {
        file_type: match word("datasetFileType").as_str() {
            "JSON" => FileType::Json,
            "PARQUET" => FileType::Parquet,
            _ => return Err("datasetFileType is not JSON or PARQUET"),
        },
        compression: match word("compression").as_str() {
            "NONE" => Compression::None,
            "GZIP" => Compression::Gzip,
            _ => return Err("compression is not NONE or GZIP"),
        },
        gzip: GzipRules {
            level: match word("compressionLevel").as_str() {
                "" | "DEFAULT" => GzipLevel::Default,
                "FAST" => GzipLevel::Fast,
                _ => return Err("compressionLevel is not default or fast"),
            },
            members: match word("gzipMembers").as_str() {
                "" | "SEVERAL" => GzipMembers::Several,
                "SINGLE" => GzipMembers::Single,
                _ => return Err("gzipMembers is not several or single"),
            },
        },
    })
}

/// The names of the parameters that say where, in the words of each platform.
const fn location_keys(kind: DestinationKind) -> (Option<&'static str>, &'static str) {
    match kind {
        DestinationKind::S3 | DestinationKind::Gcs => (Some("bucketName"), "path"),
        DestinationKind::AzureBlob => (Some("container"), "path"),
        DestinationKind::AdlsGen2 | DestinationKind::LandingZone => (None, "path"),
        DestinationKind::Sftp => (None, "remotePath"),
    }
}

fn path(kind: DestinationKind, key: &str, given: &str) -> Result<String, Fault> {
    let path = naming::normalise_path(given)
        .map_err(|fault| Fault::new(fault.code, format!("`params.{key}`: {}", fault.message)))?;
    let longest = KEY_BYTES_MAX - NAME_BYTES_RESERVED;
    if path.len() > longest {
        return Err(invalid(format!(
            "`params.{key}` leaves no room for file names: at most {longest} bytes, got {}",
            path.len()
        )));
    }
    let on_file_system = matches!(kind, DestinationKind::LandingZone | DestinationKind::Sftp);
    let long = path.split('/').find(|it| it.len() > FOLDER_BYTES_MAX);
    if let Some(folder) = long.filter(|_| on_file_system) {
        return Err(invalid(format!(
            "`params.{key}` has a folder name longer than {FOLDER_BYTES_MAX} bytes: {}",
            quoted(folder)
        )));
    }
    Ok(path)
}

fn base_connection(body: &Body<'_>) -> Result<ConnectionId, Fault> {
    let given = body
        .text("baseConnectionId")?
        .ok_or_else(|| invalid("`baseConnectionId` is required: the id of a base connection"))?;
    given.parse().map_err(|_| {
        Fault::new(
            ErrorCode::ConnectionNotUsable,
            format!(
                "`baseConnectionId` {} names no base connection",
                quoted(given)
            ),
        )
    })
}

/// Clients write the enumerations in either case; the documented one is kept. Null is absent.
fn normalised(given: &Object) -> Object {
    let mut params = Object::new();
    for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let value = match (key.as_str(), value) {
            ("datasetFileType" | "compression", Value::String(text)) => {
                Value::from(text.to_ascii_uppercase())
            }
            ("onRewrite" | "compressionLevel" | "gzipMembers", Value::String(text)) => {
                Value::from(text.to_ascii_lowercase())
            }
            (_, value) => value.clone(),
        };
        params.insert(key.clone(), value);
    }
    params
}

fn text<'a>(params: &'a Object, key: &str) -> &'a str {
    params.get(key).and_then(Value::as_str).unwrap_or_default()
}
