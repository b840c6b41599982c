//! Bodies of searches (contract, 4.3): the parameters of a list, sent in a body.

use offtake_model::{ErrorCode, Fault};
use offtake_service::{ListParams, Listed};
use serde::Serialize;
use serde_json::Value;

use crate::query::Pairs;

const FIELDS: [&str; 5] = [
    "queryString",
    "limit",
    "orderby",
    "count",
    "projectionFields",
];

/// A search: which rows, and which of their top-level fields.
pub(crate) struct Search {
    pub(crate) params: ListParams,
    fields: Vec<String>,
}

impl Search {
    /// Reads the body; a continuation token stands in the query.
    pub(crate) fn parse(body: &Value, query: &Pairs) -> Result<Self, Fault> {
        let Value::Object(body) = body else {
            return Err(invalid("the body must be a JSON object".to_owned()));
        };
        if let Some(key) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(invalid(format!(
                "the body has no field `{key}`; it has {}",
                FIELDS.join(", ")
            )));
        }
        let text = |key: &str| match body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) if key == "limit" => Ok(Some(number.to_string())),
            Some(Value::Bool(flag)) if key == "count" => Ok(Some(flag.to_string())),
            Some(other) => Err(invalid(format!("`{key}` cannot be {other}"))),
        };
        let filters = text("queryString")?.unwrap_or_default();
        let fields = text("projectionFields")?.unwrap_or_default();
        Ok(Self {
            params: ListParams {
                limit: text("limit")?,
                order_by: text("orderby")?,
                count: text("count")?,
                token: query.owned("continuationToken"),
                properties: Pairs::parse(filters.as_bytes()).all("property"),
                search: true,
            },
            fields: fields
                .split(',')
                .map(|field| field.trim().to_owned())
                .filter(|field| !field.is_empty())
                .collect(),
        })
    }

    /// Leaves only the fields asked for, and all of them when none was named.
    pub(crate) fn project<T: Serialize>(&self, listed: Listed<T>) -> Result<Listed<Value>, Fault> {
        let (items, next) = match listed {
            Listed::Count(count) => return Ok(Listed::Count(count)),
            Listed::Page { items, next } => (items, next),
        };
        let items = items.iter().map(|item| self.projected(item));
        Ok(Listed::Page {
            items: items.collect::<Result<_, _>>()?,
            next,
        })
    }

    fn projected(&self, item: &impl Serialize) -> Result<Value, Fault> {
        let mut value = serde_json::to_value(item).map_err(|error| {
            Fault::new(ErrorCode::Internal, "failed to render a search").because(&error)
        })?;
        if let (Value::Object(object), false) = (&mut value, self.fields.is_empty()) {
            object.retain(|key, _| self.fields.contains(key));
        }
        Ok(value)
    }
}

fn invalid(message: String) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
