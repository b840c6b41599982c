//! The file of `offtake run`: what to deliver, where to and how.
//!
//! It is checked here as far as its own shape goes; what the values mean is checked by the service.
//!
//! The one law: no secret stands in the file, only references to where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use offtake_core::specs;
use offtake_model::DestinationKind;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::secret::SecretRef;

/// Most bytes of a file.
const BYTES_MAX: u64 = 1024 * 1024;

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportFile {
    /// Names the export among those of one state directory; the file's name without its ending when absent.
    pub(super) name: Option<String>,
    /// What is delivered.
    pub(super) dataset: DatasetPart,
    /// Where it is delivered to.
    pub(super) destination: DestinationPart,
    /// How rows become bytes.
    #[serde(default)]
    pub(super) format: FormatPart,
    /// Folder template below the destination's path.
    pub(super) folder: Option<String>,
    /// How rows are divided into files.
    #[serde(default)]
    pub(super) files: FilesPart,
    /// `fail` or `full`.
    #[serde(rename = "onRewrite")]
    pub(super) on_rewrite: Option<String>,
}

/// `dataset:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetPart {
    /// An absolute path, or `lake://<root>/<path>` with a root of the configuration.
    pub(super) location: String,
    /// The dataset's name, for folder templates; the table's folder when absent.
    pub(super) name: Option<String>,
}

/// `destination:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DestinationPart {
    /// The platform.
    #[serde(rename = "type")]
    pub(super) kind: DestinationKind,
    /// The landing zone's folder on this machine.
    pub(super) folder: Option<PathBuf>,
    /// The documented name of the way to authenticate; not needed where there is only one.
    pub(super) auth: Option<String>,
    /// Documented parameters of the base connection; secrets as `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub(super) credentials: BTreeMap<String, Value>,
    /// Documented parameters of the target connection, such as `bucketName` and `path`.
    #[serde(default)]
    pub(super) params: BTreeMap<String, Value>,
}

/// `format:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FormatPart {
    /// `JSON` or `PARQUET`.
    #[serde(rename = "type")]
    pub(super) file_type: String,
    /// `NONE` or `GZIP`.
    pub(super) compression: String,
    /// `default` or `fast`.
    #[serde(rename = "compressionLevel")]
    pub(super) compression_level: Option<String>,
    /// `several` or `single`.
    #[serde(rename = "gzipMembers")]
    pub(super) gzip_members: Option<String>,
}

impl Default for FormatPart {
    fn default() -> Self {
        Self {
            file_type: "JSON".to_owned(),
            compression: "GZIP".to_owned(),
            compression_level: None,
            gzip_members: None,
        }
    }
}

/// `files:`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct FilesPart {
    /// Most rows of a file.
    pub(super) max_rows_per_file: Option<u64>,
    /// Bytes a file should have.
    pub(super) target_file_bytes: Option<u64>,
    /// Whether the documented manifest is written beside the files.
    pub(super) include_file_manifest: bool,
}

impl ExportFile {
    /// Reads and parses the file. Unknown keys are errors that name their line.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let about = || format!("reading {}", path.display());
        let size = std::fs::metadata(path).with_context(about)?.len();
        if size > BYTES_MAX {
            bail!(
                "{} has {size} bytes; at most {BYTES_MAX} are read",
                path.display()
            );
        }
        let text = std::fs::read_to_string(path).with_context(about)?;
        let file = Self::parse(&text).with_context(|| path.display().to_string())?;
        if file.destination.folder.is_some()
            && file.destination.kind != DestinationKind::LandingZone
        {
            bail!(
                "{}: `destination.folder` is for `type: landing-zone`",
                path.display()
            );
        }
        Ok(file)
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(serde_saphyr::from_str(text)?)
    }

    /// The `auth` object of the base connection, with its secrets; none where the platform needs none.
    pub(super) fn auth(&self) -> Result<Option<Value>> {
        let spec = specs::destination(self.destination.kind);
        let name = match (&self.destination.auth, spec.auth_specs()) {
            (Some(name), _) => name.clone(),
            (None, []) => return Ok(None),
            (None, [only]) => only.name().to_owned(),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(specs::AuthSpec::name).collect();
                bail!("`destination.auth` must be one of: {}", names.join(", "));
            }
        };
        let mut params = Map::new();
        for (key, value) in &self.destination.credentials {
            let secret = spec.auth_spec(&name).is_some_and(|it| it.secret(key));
            let setting = format!("destination.credentials.{key}");
            params.insert(key.clone(), revealed(&setting, value, secret)?);
        }
        Ok(Some(json!({ "specName": name, "params": params })))
    }

    /// The parameters of the target connection.
    pub(super) fn target_params(&self) -> Value {
        let mut params: Map<String, Value> = self.destination.params.clone().into_iter().collect();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                params.insert(key.to_owned(), value);
            }
        };
        set("datasetFileType", Some(json!(self.format.file_type)));
        set("compression", Some(json!(self.format.compression)));
        set(
            "includeFileManifest",
            Some(json!(self.files.include_file_manifest)),
        );
        set(
            "maxRowsPerFile",
            self.files.max_rows_per_file.map(Value::from),
        );
        set(
            "targetFileBytes",
            self.files.target_file_bytes.map(Value::from),
        );
        let named = |wish: &Option<String>| wish.clone().map(Value::from);
        set("compressionLevel", named(&self.format.compression_level));
        set("gzipMembers", named(&self.format.gzip_members));
        set("onRewrite", named(&self.on_rewrite));
        Value::Object(params)
    }
}

/// The value, read from where it is named. A secret must be named and not written down.
fn revealed(setting: &str, value: &Value, secret: bool) -> Result<Value> {
    let named = |text: &str| text.starts_with("env:") || text.starts_with("file:");
    match value {
        Value::String(text) if secret || named(text) => {
            let reference: SecretRef =
                serde_json::from_value(value.clone()).context("a reference is text")?;
            Ok(json!(reference.read(setting)?.expose_secret()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)
            if secret =>
        {
            bail!("`{setting}` must be `env:NAME` or `file:PATH`")
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::ExportFile;

    const SMALLEST: &str =
        "dataset:\n  location: /lake/orders\ndestination:\n  type: landing-zone\n";

    #[test]
    fn the_smallest_file_has_defaults() {
        let file = ExportFile::parse(SMALLEST).unwrap();
        assert_eq!(
            file.target_params().to_string(),
            r#"{"compression":"GZIP","datasetFileType":"JSON","includeFileManifest":false}"#
        );
        assert!(file.auth().unwrap().is_none());
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_its_line() {
        let error = ExportFile::parse(&format!("{SMALLEST}foldr: x\n")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("foldr") && text.contains("line 5"), "{text}");
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_shown() {
        let text = "dataset: {location: /l/o}\ndestination:\n  type: s3\n  auth: Access Key\n  \
                    credentials: {s3AccessKey: A, s3SecretKey: hunter2}\n";
        let error = ExportFile::parse(text).unwrap().auth().unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("s3SecretKey") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
