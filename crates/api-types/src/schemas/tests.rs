//! Reads the types off their source: their fields, with the words of serde that are used here, and their docs.
//!
//! It knows the forms that rustfmt gives and nothing more; what it doesn't know it refuses.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value, json};

use super::SCHEMAS;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas.json");

/// A struct of the wire.
#[derive(Default)]
struct Struct {
    docs: String,
    camel: bool,
    fields: Vec<Field>,
}

struct Field {
    docs: String,
    attributes: String,
    name: String,
    kind: String,
}

/// `OFFTAKE_WRITE_DOCS=1` writes the file anew instead of failing.
#[test]
fn the_schemas_are_those_of_the_types() {
    let text = format!("{:#}\n", Value::Object(schemas()));
    if std::env::var_os("OFFTAKE_WRITE_DOCS").is_some() {
        fs::write(FILE, text).unwrap();
        return;
    }
    assert!(
        text == SCHEMAS,
        "crates/api-types/schemas.json is behind; run this test with OFFTAKE_WRITE_DOCS=1"
    );
}

fn schemas() -> Map<String, Value> {
    let mut structs = BTreeMap::new();
    for entry in fs::read_dir(SOURCES).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "rs") {
            read(&fs::read_to_string(path).unwrap(), &mut structs);
        }
    }
    assert!(structs.len() > 40, "{}", structs.len());
    structs
        .iter()
        .map(|(name, it)| (name.clone(), schema(it, &structs)))
        .collect()
}

fn read(source: &str, structs: &mut BTreeMap<String, Struct>) {
    let (mut docs, mut attributes) = (String::new(), String::new());
    let mut open: Option<String> = None;
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            docs.push_str(text);
        } else if line.starts_with("#[") {
            attributes.push_str(line);
            while attributes.matches('[').count() > attributes.matches(']').count() {
                attributes.push_str(lines.next().unwrap().trim());
            }
        } else {
            if let Some(rest) = line.strip_prefix("pub struct ") {
                let name = rest
                    .trim_end_matches(" {")
                    .trim_end_matches("<T>")
                    .to_owned();
                let new = Struct {
                    docs: docs.trim().to_owned(),
                    camel: attributes.contains("rename_all = \"camelCase\""),
                    fields: Vec::new(),
                };
                structs.insert(name.clone(), new);
                open = Some(name);
            } else if line == "}" {
                open = None;
            } else if let (Some(name), Some(rest)) = (&open, line.strip_prefix("pub ")) {
                let (field, kind) = rest.trim_end_matches(',').split_once(": ").unwrap();
                structs.get_mut(name).unwrap().fields.push(Field {
                    docs: docs.trim().to_owned(),
                    attributes: attributes.clone(),
                    name: field.to_owned(),
                    kind: kind.to_owned(),
                });
            }
            docs.clear();
            attributes.clear();
        }
    }
}

fn schema(it: &Struct, all: &BTreeMap<String, Struct>) -> Value {
    let mut schema = json!({"type": "object", "properties": {}, "required": []});
    add_fields(it, all, &mut schema);
    schema["description"] = it.docs.clone().into();
    if schema["required"] == json!([]) {
        schema.as_object_mut().unwrap().remove("required");
    }
    schema
}

fn add_fields(it: &Struct, all: &BTreeMap<String, Struct>, schema: &mut Value) {
    for field in &it.fields {
        if field.attributes.contains("flatten") {
            match all.get(&field.kind) {
                Some(inner) => add_fields(inner, all, schema),
                None => schema["additionalProperties"] = true.into(),
            }
            continue;
        }
        let renamed = field.attributes.split_once("rename = \"");
        let name = match renamed.and_then(|(_, rest)| rest.split_once('"')) {
            Some((name, _)) => name.to_owned(),
            None if it.camel => camel(&field.name),
            None => field.name.clone(),
        };
        let left_out = field.attributes.contains("skip_serializing_if");
        let kind = if left_out {
            let inner = field.kind.strip_prefix("Option<");
            inner
                .and_then(|it| it.strip_suffix('>'))
                .unwrap_or(&field.kind)
        } else {
            let required = schema["required"].as_array_mut().unwrap();
            required.push(name.clone().into());
            &field.kind
        };
        let mut value = of_kind(kind, all);
        value["description"] = field.docs.clone().into();
        schema["properties"][name] = value;
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |so_far, part| {
        let (initial, rest) = part.split_at(1);
        so_far + &initial.to_uppercase() + rest
    })
}

fn of_kind(kind: &str, all: &BTreeMap<String, Struct>) -> Value {
    let within = |head: &str| kind.strip_prefix(head).and_then(|it| it.strip_suffix('>'));
    if let Some(inner) = within("Vec<") {
        return json!({"type": "array", "items": of_kind(inner, all)});
    }
    if let Some(inner) = within("BTreeMap<String, ") {
        return json!({"type": "object", "additionalProperties": of_kind(inner, all)});
    }
    if let Some(inner) = within("Option<") {
        return json!({"anyOf": [of_kind(inner, all), {"type": "null"}]});
    }
    match kind.trim_start_matches("crate::") {
        "String" => json!({"type": "string"}),
        "bool" => json!({"type": "boolean"}),
        "i64" => json!({"type": "integer"}),
        "u8" | "u16" | "u32" | "u64" | "usize" => json!({"type": "integer", "minimum": 0}),
        "Object" => json!({"type": "object"}),
        "Value" => json!({}),
        "T" => json!({"$ref": "T"}),
        other if all.contains_key(other) => {
            json!({"$ref": format!("#/components/schemas/{other}")})
        }
        other => panic!("{other} is no type that schemas are made for"),
    }
}
