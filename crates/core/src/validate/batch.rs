//! Batches: the dataset they are for and how their files are written (contract, 10.2).

use offtake_model::batch::{CsvFormat, InputFormat};
use offtake_model::resource::Object;
use offtake_model::{DatasetId, ErrorCode, Fault};
use serde_json::Value;

use super::body::{Body, invalid};
use super::{quoted, shown};

/// Most characters of an external id.
const EXTERNAL_ID_CHARS_MAX: usize = 512;

/// Fields of a create call. The last three are of no consequence here: errors are always reported.
const KNOWN: [&str; 8] = [
    "datasetId",
    "inputFormat",
    "externalId",
    "replay",
    "tags",
    "name",
    "type",
    "enableErrorDiagnostics",
];

/// A legal batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchDraft {
    /// Its dataset, as named.
    pub dataset: DatasetId,
    /// How its files are read.
    pub format: InputFormat,
    /// `inputFormat` as given.
    pub given_format: Object,
    /// What the client calls it.
    pub external_id: Option<String>,
    /// Tags as given.
    pub tags: Object,
}

/// Checks the body of a create call.
pub fn batch(body: &Value) -> Result<BatchDraft, Fault> {
    let body = Body::new(body, &KNOWN)?;
    let dataset = body.text("datasetId")?.unwrap_or_default();
    if dataset.is_empty() {
        return Err(invalid("`datasetId` is required: the dataset's id"));
    }
    if body.get("replay").is_some() {
        return Err(invalid(
            "`replay` is not available; revert the earlier batch, then send its files in this one",
        ));
    }
    let external_id = body.text("externalId")?.filter(|id| !id.is_empty());
    if external_id.is_some_and(|id| id.chars().count() > EXTERNAL_ID_CHARS_MAX) {
        return Err(invalid(format!(
            "`externalId` must be at most {EXTERNAL_ID_CHARS_MAX} characters"
        )));
    }
    let Some(given) = body.object("inputFormat")? else {
        return Err(format_invalid(
            "`inputFormat` is required, such as {\"format\":\"json\"}",
        ));
    };
    Ok(BatchDraft {
        dataset: DatasetId(dataset.to_owned()),
        format: input_format(given)?,
        given_format: given.clone(),
        external_id: external_id.map(str::to_owned),
        tags: body.object("tags")?.cloned().unwrap_or_default(),
    })
}

/// Checks `inputFormat`.
pub fn input_format(given: &Object) -> Result<InputFormat, Fault> {
    let format = text(given, "format")?.unwrap_or_default();
    match format.to_ascii_lowercase().as_str() {
        "json" => Ok(InputFormat::Json {
            multi_line: flag(given, "isMultiLineJson")?,
        }),
        "parquet" => Ok(InputFormat::Parquet),
        "csv" => csv(given).map(InputFormat::Csv),
        _ => Err(format_invalid(format!(
            "`inputFormat.format` must be json, parquet or csv, got {}",
            quoted(format)
        ))),
    }
}

fn csv(given: &Object) -> Result<CsvFormat, Fault> {
    let format = CsvFormat {
        delimiter: letter(given, "delimiter")?.unwrap_or(b','),
        quote: letter(given, "quote")?.unwrap_or(b'"'),
        escape: letter(given, "escape")?,
        header: header(given)?,
        charset: text(given, "charset")?.unwrap_or("UTF-8").to_owned(),
    };
    if format.delimiter == format.quote {
        return Err(format_invalid(
            "`inputFormat.delimiter` and `inputFormat.quote` must differ",
        ));
    }
    if encoding_rs::Encoding::for_label(format.charset.as_bytes()).is_none() {
        return Err(format_invalid(format!(
            "`inputFormat.charset` {} is unknown",
            quoted(&format.charset)
        )));
    }
    Ok(format)
}

/// One ASCII character; a tab may be spelled `\t` or `tab`.
fn letter(given: &Object, key: &str) -> Result<Option<u8>, Fault> {
    let Some(text) = text(given, key)? else {
        return Ok(None);
    };
    match (text, text.as_bytes()) {
        ("\\t" | "tab", _) => Ok(Some(b'\t')),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(Some(*byte)),
        (_, _) => Err(format_invalid(format!(
            "`inputFormat.{key}` must be one ASCII character, got {}",
            quoted(text)
        ))),
    }
}

/// `true` or nothing: the file begins with names; a list: these are the names and the file has only rows.
fn header(given: &Object) -> Result<Option<Vec<String>>, Fault> {
    let wrong = || {
        format_invalid(
            "`inputFormat.header` must be a list of column names, or true for files that begin with them",
        )
    };
    match given.get("header") {
        None | Some(Value::Null | Value::Bool(true)) => Ok(None),
        Some(Value::Array(names)) => {
            let names: Option<Vec<String>> = names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect();
            names
                .filter(|names| !names.is_empty())
                .map(Some)
                .ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

fn text<'a>(given: &'a Object, key: &str) -> Result<Option<&'a str>, Fault> {
    match given.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format_invalid(format!(
            "`inputFormat.{key}` must be a text, got {}",
            shown(other)
        ))),
    }
}

fn flag(given: &Object, key: &str) -> Result<bool, Fault> {
    match given.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(format_invalid(format!(
            "`inputFormat.{key}` must be true or false, got {}",
            shown(other)
        ))),
    }
}

fn format_invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::InputFormatInvalid, message)
}
