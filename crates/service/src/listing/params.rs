//! List parameters: page sizes, flags, orders, and the fields that a filter may name.

use std::cmp::Ordering;

use offtake_core::validate::quoted;
use offtake_model::{ErrorCode, Fault};
use serde_json::Value;

use super::page_invalid;

/// Most items on a page.
pub(crate) const PAGE_ITEMS_MAX: u32 = 100;

/// Most items on a page of a search.
pub(super) const SEARCH_ITEMS_MAX: u32 = 1_000;

/// Items on a page when nothing is said.
const PAGE_ITEMS_DEFAULT: u32 = 20;

/// Fields that a list can be ordered by.
const SORT_FIELDS: [&str; 4] = ["createdAt", "updatedAt", "name", "id"];

/// One field of an order.
#[derive(Clone, Copy)]
pub(super) struct SortField {
    pub(super) name: &'static str,
    pub(super) descending: bool,
}

/// First segments of the fields that every entity has.
macro_rules! with_common_fields {
    ($($more:literal),*) => {
        &[
            "id", "createdAt", "updatedAt", "createdBy", "updatedBy", "createdClient", "updatedClient",
            "sandboxId", "sandboxName", "imsOrgId", "etag", $($more),*
        ]
    };
}

const CONNECTION_FIELDS: &[&str] = with_common_fields![
    "name",
    "description",
    "connectionSpec",
    "state",
    "auth",
    "version",
    "encryption"
];
const SOURCE_FIELDS: &[&str] = with_common_fields![
    "name",
    "description",
    "connectionSpec",
    "state",
    "version",
    "baseConnectionId",
    "data",
    "params",
    "inheritedAttributes"
];
const FLOW_FIELDS: &[&str] = with_common_fields![
    "name",
    "description",
    "flowSpec",
    "state",
    "version",
    "sourceConnectionIds",
    "targetConnectionIds",
    "inheritedAttributes",
    "scheduleParams",
    "transformations",
    "runs",
    "lastOperation",
    "lastRunDetails",
    "nextRunAt"
];
const RUN_FIELDS: &[&str] = with_common_fields![
    "flowId",
    "flowSpec",
    "providerRefId",
    "metrics",
    "activities",
    "kind",
    "occurrence"
];

/// Fields that a filter may begin with.
pub(super) fn fields(collection: &str) -> &'static [&'static str] {
    match collection {
        "connections" => CONNECTION_FIELDS,
        "flows" => FLOW_FIELDS,
        "runs" => RUN_FIELDS,
        _ => SOURCE_FIELDS,
    }
}

/// A number of items per page.
pub(crate) fn parse_limit(given: Option<&str>, most: u32) -> Result<u32, Fault> {
    let Some(text) = given else {
        return Ok(PAGE_ITEMS_DEFAULT);
    };
    text.parse()
        .ok()
        .filter(|limit| (1..=most).contains(limit))
        .ok_or_else(|| {
            page_invalid(format!(
                "limit must be a whole number from 1 to {most}, not [{text}]"
            ))
        })
}

pub(super) fn parse_flag(given: Option<&str>) -> Result<bool, Fault> {
    let text = given.unwrap_or("false");
    if text.eq_ignore_ascii_case("true") {
        return Ok(true);
    }
    if text.eq_ignore_ascii_case("false") || text.is_empty() {
        return Ok(false);
    }
    Err(page_invalid(format!(
        "count must be true or false, not [{text}]"
    )))
}

/// No fields when the order asked for is the store's own.
pub(super) fn parse_order(given: Option<&str>) -> Result<Vec<SortField>, Fault> {
    let Some(text) = given else {
        return Ok(Vec::new());
    };
    let fields: Vec<SortField> = text.split(',').map(parse_field).collect::<Result<_, _>>()?;
    match fields.as_slice() {
        [only] if only.name == "createdAt" && only.descending => Ok(Vec::new()),
        [] | [_, ..] => Ok(fields),
    }
}

fn parse_field(text: &str) -> Result<SortField, Fault> {
    let text = text.trim();
    let (name, descending) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    if name.starts_with(|it: char| it.is_ascii_punctuation()) {
        return Err(Fault::new(
            ErrorCode::SortSignInvalid,
            format!(
                "orderby {} has a sign that is none: one + or - may stand before a field",
                quoted(text)
            ),
        ));
    }
    SORT_FIELDS
        .into_iter()
        .find(|field| *field == name)
        .map(|name| SortField { name, descending })
        .ok_or_else(|| {
            Fault::new(
                ErrorCode::SortFieldInvalid,
                format!(
                    "orderby names {}; lists can be ordered by {}",
                    quoted(name),
                    SORT_FIELDS.join(", ")
                ),
            )
        })
}

pub(super) fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (_, _) => a.to_string().cmp(&b.to_string()),
    }
}
