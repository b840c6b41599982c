//! A look at the files of a batch before it is completed (contract, 10.2): how would they be read?
//!
//! The one law: it reads no more of a file than it shows rows, and changes nothing.

use offtake_core::validate;
use offtake_model::batch::{BatchState, InputFormat, UploadPreview};
use offtake_model::resource::Object;
use offtake_model::{ErrorCode, Fault};
use serde_json::{Value, json};

use super::UploadTarget;
use crate::identity::Caller;
use crate::listing::page_invalid;
use crate::service::Service;

/// Rows shown when the request does not say, and at most.
const ROWS: usize = 5;
const ROWS_MAX: usize = 9;

/// How a preview reads, as the query says it. Options of CSV files stand in for the batch's own.
#[derive(Clone, Debug, Default)]
pub struct UploadPreviewQuery {
    /// `delimiter`, `quote`, `escape` and `charset`.
    pub options: [Option<String>; 4],
    /// `header`: whether files begin with the names of their columns, in any case.
    pub header: Option<String>,
    /// `nrow`.
    pub rows: Option<String>,
}

/// The names of [`UploadPreviewQuery::options`], in order.
pub const PREVIEW_OPTIONS: [&str; 4] = ["delimiter", "quote", "escape", "charset"];

impl Service {
    /// The first rows of the files that a batch has so far, with the options that they were read by.
    pub async fn preview_uploads(
        &self,
        caller: &Caller,
        target: &UploadTarget,
        query: &UploadPreviewQuery,
    ) -> Result<(Object, UploadPreview), Fault> {
        let mut batch = self.batch_of(caller, target).await?;
        let rows = rows(query.rows.as_deref())?;
        if !matches!(
            batch.state,
            BatchState::Loading | BatchState::Loaded | BatchState::Staging
        ) {
            return Err(Fault::new(
                ErrorCode::BatchStateInvalid,
                format!(
                    "batch {} is {}, and its uploads are gone; look at its dataset instead",
                    batch.id,
                    batch.state.name()
                ),
            ));
        }
        let mut options = Object::new();
        if matches!(batch.details.format, InputFormat::Csv(_)) {
            (batch.details.format, options) = csv(&batch.details.given_format, query)?;
        }
        let preview = self.intake.preview_uploads(&batch, rows).await?;
        Ok((options, preview))
    }
}

fn rows(given: Option<&str>) -> Result<usize, Fault> {
    let Some(text) = given else {
        return Ok(ROWS);
    };
    let rows = text.parse().ok().filter(|it| (1..=ROWS_MAX).contains(it));
    rows.ok_or_else(|| page_invalid(format!("nrow must be 1 to {ROWS_MAX}, not [{text}]")))
}

/// The batch's format with the query's options, and those as they are.
fn csv(given: &Object, query: &UploadPreviewQuery) -> Result<(InputFormat, Object), Fault> {
    let mut asked = given.clone();
    for (name, value) in PREVIEW_OPTIONS.into_iter().zip(&query.options) {
        if let Some(value) = value {
            asked.insert(name.to_owned(), json!(value));
        }
    }
    let listed = asked.get("header").is_some_and(Value::is_array);
    let header = match query.header.as_deref() {
        None => !listed,
        Some(text) if text.eq_ignore_ascii_case("true") => true,
        Some(text) if text.eq_ignore_ascii_case("false") => false,
        Some(text) => {
            return Err(Fault::new(
                ErrorCode::InputFormatInvalid,
                format!(
                    "`header` must be true or false, got {}",
                    validate::quoted(text)
                ),
            ));
        }
    };
    if header {
        asked.remove("header");
    }
    let mut format = validate::input_format(&asked)?;
    if let InputFormat::Csv(csv) = &mut format
        && !header
    {
        // Without names from anywhere, columns are told by their places.
        csv.header.get_or_insert_default();
    }
    let mut options = Object::new();
    for name in PREVIEW_OPTIONS {
        options.extend(
            asked
                .get(name)
                .map(|value| (name.to_owned(), value.clone())),
        );
    }
    options.insert("header".to_owned(), json!(header));
    Ok((format, options))
}
