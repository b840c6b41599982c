//! The `property` filter of lists (contract, 4.3), evaluated over a resource as its JSON is shown.
//!
//! It knows no resource: a field that no resource of the list shows simply matches nothing, except that
//! [`Filter::check_fields`] can refuse a first segment that the kind of resource never has.
//!
//! The one law: what cannot be compared is refused with its documented code, never answered with an empty list.

mod parse;
mod pattern;

use std::cmp::Ordering;

use offtake_model::{ErrorCode, Fault};
use serde_json::{Number, Value};

pub use pattern::Pattern;

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

/// Whole numbers from one to another, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Not less.
    pub least: Option<i64>,
    /// Not more.
    pub most: Option<i64>,
}

impl Bounds {
    /// What both allow.
    fn and(self, other: Self) -> Self {
        Self {
            // The greater lower bound: one that is there is greater than none.
            least: self.least.max(other.least),
            most: [self.most, other.most].into_iter().flatten().min(),
        }
    }
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

    /// The one value that a field must equal, when the filter says so; for a store that can select by it.
    pub fn equal_to(&self, field: &str) -> Option<&str> {
        self.of(field).find_map(Condition::only_value)
    }

    /// The whole numbers between which a field must lie; for a store that can select by them.
    pub fn bounds(&self, field: &str) -> Bounds {
        let all = self.of(field).filter_map(Condition::bounds);
        all.fold(Bounds::default(), Bounds::and)
    }

    /// Whether it asks nothing but one value of each of `texts` and bounds of `numbers`.
    pub fn asks_only(&self, texts: &[&str], numbers: &[&str]) -> bool {
        self.conditions.iter().all(|it| {
            let text = texts.iter().any(|field| it.is_of(field));
            let number = numbers.iter().any(|field| it.is_of(field));
            (text && it.only_value().is_some()) || (number && it.bounds().is_some())
        })
    }

    fn of(&self, field: &str) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().filter(move |it| it.is_of(field))
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
    fn is_of(&self, field: &str) -> bool {
        self.path.iter().map(String::as_str).eq(field.split('.'))
    }

    fn only_value(&self) -> Option<&str> {
        match &self.test {
            Test::OneOf(values) => match values.as_slice() {
                [only] => Some(only),
                [] | [_, ..] => None,
            },
            Test::Exists | Test::NoneOf(_) | Test::Ordered(..) => None,
        }
    }

    /// The bounds that the condition sets, unless its value is no whole number.
    fn bounds(&self) -> Option<Bounds> {
        let (least, most) = match &self.test {
            Test::Ordered(order, limit) => {
                let limit: i64 = limit.parse().ok()?;
                match order {
                    Order::Less => (None, Some(limit.checked_sub(1)?)),
                    Order::LessOrEqual => (None, Some(limit)),
                    Order::Greater => (Some(limit.checked_add(1)?), None),
                    Order::GreaterOrEqual => (Some(limit), None),
                }
            }
            Test::OneOf(_) => {
                let only = self.only_value()?.parse().ok()?;
                (Some(only), Some(only))
            }
            Test::Exists | Test::NoneOf(_) => return None,
        };
        Some(Bounds { least, most })
    }

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
