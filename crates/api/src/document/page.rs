//! The document as a page: plain HTML that a browser shows without scripts, fonts or pictures from anywhere.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
h2{margin-top:2.5rem;text-transform:capitalize}summary{cursor:pointer;padding:.25rem 0}\
details{border-bottom:1px solid #d8dee4}details>div{padding:.25rem 0 1rem 1.5rem}\
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f4f6f8;padding:.75rem;overflow:auto}\
b.m{display:inline-block;min-width:4.5rem;font:600 13px ui-monospace,monospace}\
table{border-collapse:collapse}td{padding:.15rem 1rem .15rem 0;vertical-align:top}\
@media(prefers-color-scheme:dark){body{background:#15181c;color:#e2e6ea}pre{background:#20252b}\
details{border-color:#353c44}a{color:#8ab8ff}}";

/// Renders the whole document.
pub(super) fn render(document: &Value) -> String {
    let mut chapters: BTreeMap<&str, Vec<Entry<'_>>> = BTreeMap::new();
    for (path, methods) in object(&document["paths"]) {
        for (method, operation) in object(methods) {
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            chapters.entry(tag).or_default().push(Entry {
                method,
                path,
                operation,
            });
        }
    }
    let mut page = String::new();
    let title = text(&document["info"]["title"]);
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title} API</title><style>{STYLE}</style><h1>{title} {} API</h1><p>{}</p>\
         <p><a href=\"openapi.json\">openapi.json</a></p>",
        text(&document["info"]["version"]),
        prose(&document["info"]["description"]),
    );
    for (chapter, entries) in &chapters {
        let _ = write!(page, "<h2>{}</h2>", escape(chapter));
        for entry in entries {
            entry.render(&mut page, document);
        }
    }
    page.push_str("<h2>Schemas</h2>");
    for (name, schema) in object(&document["components"]["schemas"]) {
        let _ = write!(
            page,
            "<details id=\"{0}\"><summary><code>{0}</code></summary><div>",
            escape(name)
        );
        render_schema(&mut page, schema);
        page.push_str("</div></details>");
    }
    page
}

struct Entry<'a> {
    method: &'a str,
    path: &'a str,
    operation: &'a Value,
}

impl Entry<'_> {
    fn render(&self, page: &mut String, document: &Value) {
        let operation = self.operation;
        let _ = write!(
            page,
            "<details><summary><b class=m>{}</b> <code>{}</code> {}</summary><div><p>{}</p>",
            self.method.to_ascii_uppercase(),
            escape(self.path),
            text(&operation["summary"]),
            prose(&operation["description"]),
        );
        self.render_parameters(page);
        for (kind, content) in object(&operation["requestBody"]["content"]) {
            let _ = write!(page, "<p>Body, {}: ", escape(kind));
            link(page, &content["schema"]);
            page.push_str("</p>");
            let name = schema_name(&content["schema"]);
            let example = &document["components"]["schemas"][name]["examples"][0];
            render_json(page, example);
        }
        page.push_str("<table>");
        for (status, response) in object(&operation["responses"]) {
            let _ = write!(
                page,
                "<tr><td><code>{}</code><td>{}<td>",
                escape(status),
                prose(&response["description"])
            );
            for content in object(&response["content"]).map(|(_, content)| content) {
                link(page, &content["schema"]);
            }
        }
        page.push_str("</table></div></details>");
    }

    fn render_parameters(&self, page: &mut String) {
        let parameters = self.operation["parameters"].as_array();
        let own = parameters.into_iter().flatten();
        page.push_str("<table>");
        for parameter in own.filter(|it| it["name"].is_string()) {
            let _ = write!(
                page,
                "<tr><td><code>{}</code><td>{}{}<td>{}",
                text(&parameter["name"]),
                text(&parameter["in"]),
                if parameter["required"] == true {
                    ", required"
                } else {
                    ""
                },
                prose(&parameter["description"]),
            );
        }
        page.push_str("</table>");
    }
}

fn render_schema(page: &mut String, schema: &Value) {
    let _ = write!(page, "<p>{}</p><table>", prose(&schema["description"]));
    for (field, about) in object(&schema["properties"]) {
        let _ = write!(page, "<tr><td><code>{}</code><td>", escape(field));
        match &about["type"] {
            Value::String(kind) => page.push_str(&escape(kind)),
            Value::Array(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(text).collect();
                page.push_str(&kinds.join(" or "));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
        link(page, about);
        link(page, &about["items"]);
        let _ = write!(page, "<td>{}", prose(&about["description"]));
    }
    page.push_str("</table>");
    render_json(page, &schema["examples"][0]);
}

/// Links of the schemas named directly or as alternatives.
fn link(page: &mut String, schema: &Value) {
    let name = schema_name(schema);
    if !name.is_empty() {
        let _ = write!(page, " <a href=\"#{0}\"><code>{0}</code></a>", escape(name));
    }
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        link(page, alternative);
    }
}

fn schema_name(schema: &Value) -> &str {
    let reference = schema["$ref"].as_str().unwrap_or_default();
    reference.rsplit('/').next().unwrap_or_default()
}

fn render_json(page: &mut String, value: &Value) {
    if !value.is_null() {
        let _ = write!(page, "<pre>{}</pre>", escape(&format!("{value:#}")));
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(key, value)| (key.as_str(), value))
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

/// Text whose words in backticks are code.
fn prose(value: &Value) -> String {
    let escaped = text(value);
    let mut html = String::new();
    for (place, part) in escaped.split('`').enumerate() {
        if place % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(part);
        }
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
