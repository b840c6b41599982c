//! Schemas of the types of the wire by the types themselves.

use std::any::type_name;

use offtake_api_types::SCHEMAS;
use serde_json::{Map, Value, json};

/// The schemas that the document refers to.
pub(crate) struct Schemas(Map<String, Value>);

impl Schemas {
    /// All types of the wire.
    pub(super) fn of_wire() -> Self {
        Self(serde_json::from_str(SCHEMAS).unwrap_or_default())
    }

    /// The schema of a type: a reference, or for a wrapper, which has no name of its own, what it wraps.
    pub(crate) fn of<T>(&self) -> Value {
        self.named(type_name::<T>())
    }

    /// The schema of the type of that path, as the compiler writes it.
    fn named(&self, path: &str) -> Value {
        let (head, inner) = match path.split_once('<') {
            Some((head, rest)) => (head, rest.strip_suffix('>').unwrap_or(rest)),
            None => (path, ""),
        };
        match head.rsplit("::").next().unwrap_or(head) {
            "String" => json!({"type": "string"}),
            "Value" => json!({}),
            "Vec" => json!({"type": "array", "items": self.named(inner)}),
            "BTreeMap" => {
                let (_, value) = inner.split_once(", ").unwrap_or(("", inner));
                json!({"type": "object", "additionalProperties": self.named(value)})
            }
            name if inner.is_empty() => reference(name),
            wrapper => {
                let mut schema = self.0.get(wrapper).cloned().unwrap_or_default();
                fill(&mut schema, &self.named(inner));
                schema
            }
        }
    }

    /// Those that have a name of their own.
    pub(super) fn into_named(self) -> Map<String, Value> {
        let wrapper = |schema: &Value| schema.to_string().contains(r#""$ref":"T""#);
        let all = self.0.into_iter();
        all.filter(|(_, schema)| !wrapper(schema)).collect()
    }
}

/// A reference to a named schema.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Puts a schema in the place of a wrapper's parameter.
fn fill(schema: &mut Value, inner: &Value) {
    if schema["$ref"] == "T" {
        *schema = inner.clone();
        return;
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(|it| fill(it, inner)),
        Value::Array(items) => items.iter_mut().for_each(|it| fill(it, inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
