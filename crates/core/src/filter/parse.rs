//! Reads the grammar: `path op value ("," value)*`.

use offtake_model::{ErrorCode, Fault};

use super::{Condition, Order, Test};

/// Most `property` parameters of one request.
const CONDITIONS_MAX: usize = 32;

/// Most segments of a path.
const SEGMENTS_MAX: usize = 16;

/// Most values of a list.
const VALUES_MAX: usize = 1_000;

/// Documented fields that hold text or a flag on every resource, by their last segment: refused with an ordering
/// operator even where no resource shows one.
const UNORDERED: [&str; 19] = [
    "id",
    "name",
    "description",
    "state",
    "status",
    "createdBy",
    "updatedBy",
    "createdClient",
    "updatedClient",
    "flowId",
    "providerRefId",
    "baseConnectionId",
    "sourceConnectionIds",
    "targetConnectionIds",
    "isDestinationFlow",
    "outputType",
    "operation",
    "timeUnit",
    "etag",
];

pub(super) const OPERATOR_SIGNS: [char; 5] = ['=', '!', '<', '>', '~'];

pub(super) fn conditions<S: AsRef<str>>(properties: &[S]) -> Result<Vec<Condition>, Fault> {
    if properties.len() > CONDITIONS_MAX {
        return Err(value_fault(format!(
            "`property` may stand at most {CONDITIONS_MAX} times in a request"
        )));
    }
    properties
        .iter()
        .map(|text| condition(text.as_ref()))
        .collect()
}

fn condition(text: &str) -> Result<Condition, Fault> {
    let text = text.trim();
    let Some(start) = text.find(OPERATOR_SIGNS) else {
        return Ok(Condition {
            path: path(text)?,
            test: Test::Exists,
        });
    };
    let (field, rest) = text.split_at(start);
    let end = rest
        .find(|sign| !OPERATOR_SIGNS.contains(&sign))
        .unwrap_or(rest.len());
    let (operator, value) = rest.split_at(end);
    let path = path(field.trim())?;
    let test = test(text, operator, values(text, value)?)?;
    let condition = Condition { path, test };
    let last = condition.path.last().map_or("", String::as_str);
    match condition.test {
        Test::Ordered(..) if UNORDERED.contains(&last) => Err(condition.mismatch()),
        Test::Ordered(..) | Test::Exists | Test::OneOf(_) | Test::NoneOf(_) => Ok(condition),
    }
}

fn test(text: &str, operator: &str, mut values: Vec<String>) -> Result<Test, Fault> {
    let order = match operator {
        "==" | "=" => return Ok(Test::OneOf(values)),
        "!=" => return Ok(Test::NoneOf(values)),
        "<" => Order::Less,
        "<=" => Order::LessOrEqual,
        ">" => Order::Greater,
        ">=" => Order::GreaterOrEqual,
        _ => {
            return Err(Fault::new(
                ErrorCode::FilterOperatorInvalid,
                format!(
                    "`property` {} has the operator {operator}; operators are ==, !=, >, >=, < and <=",
                    crate::validate::quoted(text)
                ),
            ));
        }
    };
    match (values.pop(), values.is_empty()) {
        (Some(value), true) => Ok(Test::Ordered(order, value)),
        (_, _) => Err(Fault::new(
            ErrorCode::FilterListInvalid,
            format!(
                "`property` {}: the operator {operator} takes one value only",
                crate::validate::quoted(text)
            ),
        )),
    }
}

/// Segments separated by dots; `[]` after one means any element, which is understood anyway.
pub(super) fn path(field: &str) -> Result<Vec<String>, Fault> {
    let segments: Vec<String> = field
        .split('.')
        .map(|segment| segment.strip_suffix("[]").unwrap_or(segment).to_owned())
        .collect();
    let legal = |segment: &String| {
        !segment.is_empty()
            && !segment.contains(|it: char| it.is_whitespace() || "[]\",".contains(it))
    };
    if segments.len() <= SEGMENTS_MAX && segments.iter().all(legal) {
        return Ok(segments);
    }
    Err(Fault::new(
        ErrorCode::FilterFieldInvalid,
        format!(
            "`property` names {}, which is no field; write name or outer.inner or list[].inner",
            crate::validate::quoted(field)
        ),
    ))
}

/// Values separated by commas; a double-quoted one may hold commas.
fn values(text: &str, list: &str) -> Result<Vec<String>, Fault> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    for letter in list.trim().chars() {
        match (letter, values.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => values.push(String::new()),
            (letter, Some(value)) => value.push(letter),
            (_, None) => {}
        }
    }
    for value in &mut values {
        *value = value.trim().to_owned();
    }
    if quoted {
        return Err(value_fault(format!(
            "`property` {} has a quotation mark that is not closed",
            crate::validate::quoted(text)
        )));
    }
    if values.iter().any(String::is_empty) {
        return Err(Fault::new(
            ErrorCode::FilterValueEmpty,
            format!(
                "`property` {} has an empty value",
                crate::validate::quoted(text)
            ),
        ));
    }
    if values.len() > VALUES_MAX {
        return Err(value_fault(format!(
            "`property` may list at most {VALUES_MAX} values"
        )));
    }
    Ok(values)
}

fn value_fault(message: String) -> Fault {
    Fault::new(ErrorCode::FilterValueInvalid, message)
}
