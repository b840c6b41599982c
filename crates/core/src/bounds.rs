//! How large a document may grow. Edits add to what is stored, one request at a time, so that the limit of a request
//! alone bounds nothing.

use offtake_model::{ErrorCode, Fault};
use serde_json::Value;

/// Most bytes of text and keys in a document.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Most values in a document, nested ones included.
pub const DOCUMENT_VALUES_MAX: usize = 20_000;

/// How deep arrays and objects may be nested, in documents and in requests.
pub const DEPTH_MAX: usize = 64;

/// Bytes that a number, a word or a pair of brackets counts for.
const PLAIN_BYTES: usize = 8;

/// Refuses a document that has grown too large or too deep.
pub fn check(document: &Value) -> Result<(), Fault> {
    let mut weight = Weight::default();
    weight.add(document, 1)
}

#[derive(Default)]
struct Weight {
    bytes: usize,
    values: usize,
}

impl Weight {
    /// Stops at the first limit, so that its own recursion is as bounded as the document should be.
    fn add(&mut self, value: &Value, depth: usize) -> Result<(), Fault> {
        self.values += 1;
        self.bytes += match value {
            Value::String(text) => text.len(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => PLAIN_BYTES,
        };
        if depth > DEPTH_MAX {
            return Err(too_large(&format!(
                "is nested deeper than {DEPTH_MAX} levels"
            )));
        }
        if self.values > DOCUMENT_VALUES_MAX {
            return Err(too_large(&format!(
                "has more than {DOCUMENT_VALUES_MAX} values"
            )));
        }
        if self.bytes > DOCUMENT_BYTES_MAX {
            return Err(too_large(&format!(
                "has more than {DOCUMENT_BYTES_MAX} bytes"
            )));
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.add(item, depth + 1)),
            Value::Object(fields) => fields.iter().try_for_each(|(key, field)| {
                self.bytes += key.len();
                self.add(field, depth + 1)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

fn too_large(what: &str) -> Fault {
    Fault::new(ErrorCode::DocumentTooLarge, format!("the document {what}"))
}

#[cfg(test)]
mod tests {
    use offtake_model::ErrorCode;
    use serde_json::{Value, json};

    use super::{DEPTH_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_VALUES_MAX, check};

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!([]), |inner, _| json!([inner]))
    }

    #[test]
    fn a_document_at_the_limit_passes_and_one_above_it_does_not() {
        let text = |bytes: usize| json!("x".repeat(bytes));
        let values = |count: usize| json!(vec![0; count - 1]);
        for (fits, too_large) in [
            (text(DOCUMENT_BYTES_MAX), text(DOCUMENT_BYTES_MAX + 1)),
            (values(DOCUMENT_VALUES_MAX), values(DOCUMENT_VALUES_MAX + 1)),
            (nested(DEPTH_MAX), nested(DEPTH_MAX + 1)),
        ] {
            assert_eq!(check(&fits), Ok(()));
            let fault = check(&too_large).unwrap_err();
            assert_eq!(fault.code, ErrorCode::DocumentTooLarge);
        }
    }

    #[test]
    fn keys_count_as_text_does() {
        let mut object = serde_json::Map::new();
        object.insert("k".repeat(DOCUMENT_BYTES_MAX), json!(1));
        assert!(check(&Value::Object(object)).is_err());
    }
}
