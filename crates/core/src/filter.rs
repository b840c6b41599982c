//! The `property` filter of lists (contract, 4.3), evaluated over a resource as its JSON is shown.
//!
//! It knows no resource: a field that no resource of the list shows simply matches nothing, except that
//! [`Filter::check_fields`] can refuse a first segment that the kind of resource never has.
//!
//! The one law: what cannot be compared is refused with its documented code, never answered with an empty list.

mod parse;

use std::cmp::Ordering;

use offtake_model::{ErrorCode, Fault};
use serde_json::{Number, Value};

/// Every condition must hold. Without conditions it matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    path: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exists,
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
    Ordered(Order, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Parses every `property` parameter of a request, percent-decoded.
    pub fn parse<S: AsRef<str>>(properties: &[S]) -> Result<Self, Fault> {
        parse::conditions(properties).map(|conditions| Self { conditions })
    }

    /// Whether everything matches.
    pub const fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Refuses a field whose first segment is none of `fields`.
    pub fn check_fields(&self, fields: &[&str]) -> Result<(), Fault> {
        let first = |it: &Condition| it.path.first().cloned().unwrap_or_default();
        match self
            .conditions
            .iter()
            .map(first)
            .find(|it| !fields.contains(&it.as_str()))
        {
            None => Ok(()),
            Some(stranger) => Err(Fault::new(
                ErrorCode::FilterFieldInvalid,
                format!(
                    "`property` names {}, which is no field of this resource; fields are {}",
                    crate::validate::quoted(&stranger),
                    fields.join(", ")
                ),
            )),
        }
    }

    /// The values that a field must equal, when the filter says so; for a store that can select by them.
    pub fn equal_to(&self, field: &str) -> Option<&[String]> {
        self.conditions.iter().find_map(|it| match &it.test {
            Test::OneOf(values) if it.path == [field] => Some(values.as_slice()),
            Test::OneOf(_) | Test::Exists | Test::NoneOf(_) | Test::Ordered(..) => None,
        })
    }

    /// Whether the resource matches. A value that cannot be compared with the field's is a fault.
    pub fn matches(&self, resource: &Value) -> Result<bool, Fault> {
        for condition in &self.conditions {
            if !condition.holds(resource)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Condition {
    fn holds(&self, resource: &Value) -> Result<bool, Fault> {
        let mut found = Vec::new();
        collect(resource, &self.path, &mut found);
        found.retain(|value| !value.is_null());
        match &self.test {
            Test::Exists => Ok(!found.is_empty()),
            Test::OneOf(wanted) => self.any(&found, wanted),
            Test::NoneOf(wanted) => self.any(&found, wanted).map(|any| !any),
            Test::Ordered(order, limit) => {
                for value in found {
                    if order.admits(self.compare(value, limit)?) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn any(&self, found: &[&Value], wanted: &[String]) -> Result<bool, Fault> {
        for value in found {
            for text in wanted {
                if self.equal(value, text)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn equal(&self, value: &Value, wanted: &str) -> Result<bool, Fault> {
        match value {
            Value::String(text) if self.ignores_case() => Ok(text.eq_ignore_ascii_case(wanted)),
            Value::String(text) => Ok(text == wanted),
            Value::Bool(flag) => match wanted.to_ascii_lowercase().as_str() {
                "true" => Ok(*flag),
                "false" => Ok(!*flag),
                _ => Err(self.mistyped("true or false", wanted)),
            },
            Value::Number(_) => Ok(self.compare(value, wanted)?.is_eq()),
            Value::Null => Ok(false),
            Value::Array(_) | Value::Object(_) => Err(self.mismatch()),
        }
    }

    fn compare(&self, value: &Value, wanted: &str) -> Result<Ordering, Fault> {
        match value {
            Value::Number(number) => {
                compare_numbers(number, wanted).ok_or_else(|| self.mistyped("a number", wanted))
            }
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => Err(self.mismatch()),
        }
    }

    /// Documents spell states and statuses in either case.
    fn ignores_case(&self) -> bool {
        let last = self.path.last().map(String::as_str);
        matches!(last, Some("state" | "status"))
    }

    fn mistyped(&self, wanted: &str, given: &str) -> Fault {
        Fault::new(
            ErrorCode::FilterValueInvalid,
            format!(
                "`property` compares {} with {}; the field is {wanted}",
                self.path.join("."),
                crate::validate::quoted(given)
            ),
        )
    }

    fn mismatch(&self) -> Fault {
        Fault::new(
            ErrorCode::FilterOperatorMismatch,
            format!(
                "`property` compares {} by an operator that does not fit the field",
                crate::validate::quoted(&self.path.join("."))
            ),
        )
    }
}

impl Order {
    const fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Gathers what a path leads to. Any element of an array on the way counts, with or without the `[]`.
fn collect<'a>(value: &'a Value, path: &[String], found: &mut Vec<&'a Value>) {
    if let Value::Array(items) = value {
        for item in items {
            collect(item, path, found);
        }
        return;
    }
    match path.split_first() {
        None => found.push(value),
        Some((first, rest)) => {
            if let Some(next) = value.get(first) {
                collect(next, rest, found);
            }
        }
    }
}

/// Whole numbers exactly, others as floats.
fn compare_numbers(number: &Number, wanted: &str) -> Option<Ordering> {
    if let (Some(a), Ok(b)) = (number.as_i64(), wanted.parse::<i64>()) {
        return Some(a.cmp(&b));
    }
    let wanted: f64 = wanted.parse().ok()?;
    number.as_f64()?.partial_cmp(&wanted)
}

#[cfg(test)]
mod tests;
