//! Which datasets a list of the catalogue is about (contract, 10.1).
//!
//! Every filter must hold. A filter judges a dataset as it was given, with the catalogue's own few fields added.
//!
//! The one law: a filter that isn't understood is refused, never left out.

use offtake_core::filter::{Filter, Pattern};
use offtake_model::Fault;
use offtake_model::resource::Dataset;
use serde_json::Value;

use super::{DatasetQuery, name_matches};
use crate::entity::Entity;
use crate::listing::page_invalid;

/// Fields that stand as parameters of their own. Any other parameter is left to others.
const FILTER_FIELDS: [&str; 8] = [
    "description",
    "schemaRef",
    "fileDescription",
    "classification",
    "observableSchema",
    "enableErrorDiagnostics",
    "extensions",
    "persistence",
];

/// Filters of one list.
pub(super) struct DatasetFilter<'a> {
    name: Option<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
    created_after: Option<i64>,
    created_before: Option<i64>,
    equal: Vec<(&'a str, &'a str)>,
    present: Filter,
    absent: Vec<Filter>,
    patterns: Vec<Pattern>,
    unlike: Vec<Pattern>,
}

impl<'a> DatasetFilter<'a> {
    pub(super) fn parse(query: &'a DatasetQuery) -> Result<Self, Fault> {
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        let (mut patterns, mut unlike) = (Vec::new(), Vec::new());
        for text in &query.properties {
            let (negated, text) = match text.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, text.as_str()),
            };
            match (Pattern::parse(text)?, negated) {
                (Some(pattern), false) => patterns.push(pattern),
                (Some(pattern), true) => unlike.push(pattern),
                (None, false) => present.push(text),
                (None, true) => absent.push(Filter::parse(&[text])?),
            }
        }
        Ok(Self {
            name: query.name.as_deref(),
            tags: tags(query.tags.as_deref())?,
            created_after: instant(query.created_after.as_deref())?,
            created_before: instant(query.created_before.as_deref())?,
            equal: query
                .others
                .iter()
                .filter(|(field, _)| is_field(field))
                .map(|(field, value)| (field.as_str(), value.as_str()))
                .collect(),
            present: Filter::parse(&present)?,
            absent,
            patterns,
            unlike,
        })
    }

    pub(super) fn matches(&self, dataset: &Entity<Dataset>) -> Result<bool, Fault> {
        let created = dataset.audit.created_at.0;
        let body = &dataset.body;
        let plain = self.name.is_none_or(|it| name_matches(&body.name, it))
            && self.created_after.is_none_or(|after| created > after)
            && self.created_before.is_none_or(|before| created < before)
            && self.tags.iter().all(|tag| has_tag(body, *tag));
        if !plain {
            return Ok(false);
        }
        let object = shown(dataset);
        for (field, wanted) in &self.equal {
            let found = field.split('.').try_fold(&object, |at, key| at.get(key));
            let text = found.map_or_else(String::new, text_of);
            if !name_matches(&text, wanted) {
                return Ok(false);
            }
        }
        let like = self.patterns.iter().all(|it| it.matches(&object))
            && !self.unlike.iter().any(|it| it.matches(&object));
        if !like {
            return Ok(false);
        }
        for filter in &self.absent {
            if filter.matches(&object)? {
                return Ok(false);
            }
        }
        self.present.matches(&object)
    }
}

fn shown(dataset: &Entity<Dataset>) -> Value {
    let mut object = dataset.body.extra.clone();
    object.insert("id".to_owned(), dataset.id.clone().into());
    object.insert("name".to_owned(), dataset.body.name.clone().into());
    object.insert("created".to_owned(), dataset.audit.created_at.0.into());
    object.insert("updated".to_owned(), dataset.audit.updated_at.0.into());
    Value::Object(object)
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn is_field(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    FILTER_FIELDS.contains(&first)
}

/// `key:value,key2:*`.
fn tags(given: Option<&str>) -> Result<Vec<(&str, &str)>, Fault> {
    let Some(given) = given else {
        return Ok(Vec::new());
    };
    given
        .split(',')
        .map(|tag| {
            tag.split_once(':')
                .ok_or_else(|| page_invalid(format!("tags must be key:value pairs, not [{tag}]")))
        })
        .collect()
}

fn has_tag(dataset: &Dataset, (key, wanted): (&str, &str)) -> bool {
    let values = dataset.extra.get("tags").and_then(|tags| tags.get(key));
    match values {
        Some(Value::Array(values)) => values
            .iter()
            .any(|value| name_matches(&text_of(value), wanted)),
        Some(value) => name_matches(&text_of(value), wanted),
        None => false,
    }
}

fn instant(given: Option<&str>) -> Result<Option<i64>, Fault> {
    given
        .map(|text| {
            text.parse().map_err(|_| {
                page_invalid(format!(
                    "a time must be in epoch milliseconds, not [{text}]"
                ))
            })
        })
        .transpose()
}
