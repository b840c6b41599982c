//! `path~pattern`: the catalogue's filter by a regular expression (contract, 10.1).
//!
//! The one law: the pattern is a caller's, so it runs on the engine whose time grows with the text alone.

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use offtake_model::{ErrorCode, Fault};
use serde_json::{Value, json};

use super::{collect, parse};

/// Longest pattern, in characters.
const PATTERN_CHARS_MAX: usize = 1_024;

/// Most memory of a compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// A condition that a text of the resource matches a regular expression somewhere.
pub struct Pattern {
    path: Vec<String>,
    compiled: Validator,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Pattern {
    /// Reads a `property` whose operator is `~`; none when it has another.
    pub fn parse(property: &str) -> Result<Option<Self>, Fault> {
        let Some(start) = property.find(parse::OPERATOR_SIGNS) else {
            return Ok(None);
        };
        let (field, rest) = property.split_at(start);
        let Some(pattern) = rest.strip_prefix('~') else {
            return Ok(None);
        };
        let path = parse::path(field.trim())?;
        if pattern.is_empty() {
            return Err(Fault::new(
                ErrorCode::FilterValueEmpty,
                format!(
                    "`property` {} has an empty pattern",
                    crate::validate::quoted(property)
                ),
            ));
        }
        let unfit = || {
            Fault::new(
                ErrorCode::FilterValueInvalid,
                format!(
                    "`property` {} has no pattern that can be used: a regular expression without look-around and \
                     back-references, of at most {PATTERN_CHARS_MAX} characters",
                    crate::validate::quoted(property)
                ),
            )
        };
        if pattern.chars().count() > PATTERN_CHARS_MAX {
            return Err(unfit());
        }
        let engine = PatternOptions::regex()
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX);
        let compiled = jsonschema::options()
            .with_pattern_options(engine)
            .build(&json!({"type": "string", "pattern": pattern}))
            .map_err(|_| unfit())?;
        Ok(Some(Self { path, compiled }))
    }

    /// Whether any text that the path leads to matches. What is no text doesn't.
    pub fn matches(&self, resource: &Value) -> bool {
        let mut found = Vec::new();
        collect(resource, &self.path, &mut found);
        found.iter().any(|value| self.compiled.is_valid(value))
    }
}

#[cfg(test)]
mod tests {
    use offtake_model::ErrorCode;
    use serde_json::json;

    use super::Pattern;

    fn matches(property: &str) -> bool {
        let resource = json!({
            "name": "Orders 2026", "tags": {"team": ["red", "blue"]}, "created": 7,
            "schemaRef": {"id": "https://ns.example.com/a~b"}
        });
        Pattern::parse(property)
            .unwrap()
            .unwrap()
            .matches(&resource)
    }

    #[test]
    fn a_text_matches_anywhere_unless_the_pattern_is_anchored() {
        for (property, expected) in [
            ("name~Ord", true),
            ("name~^Orders \\d{4}$", true),
            ("name~ders", true),
            ("name~^ders", false),
            ("name~(?i)ORDERS", true),
            ("tags.team~^bl", true),
            ("tags.team[]~^bl", true),
            ("tags.team~^gr", false),
            ("schemaRef.id~a~b$", true),
            ("name~a|=|Orders", true),
            ("created~7", false),
            ("missing~.*", false),
        ] {
            assert_eq!(matches(property), expected, "{property}");
        }
    }

    #[test]
    fn other_operators_are_not_patterns() {
        for property in ["name", "name==~x", "name!=a~b", "created>=1"] {
            assert!(Pattern::parse(property).unwrap().is_none(), "{property}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_used_is_refused() {
        for (property, code) in [
            ("name~", ErrorCode::FilterValueEmpty),
            ("name~(", ErrorCode::FilterValueInvalid),
            ("name~(?=a)b", ErrorCode::FilterValueInvalid),
            ("name~(a)\\1", ErrorCode::FilterValueInvalid),
            (
                "name~((a{1000}){1000}){1000}",
                ErrorCode::FilterValueInvalid,
            ),
            ("~a", ErrorCode::FilterFieldInvalid),
        ] {
            assert_eq!(
                Pattern::parse(property).unwrap_err().code,
                code,
                "{property}"
            );
        }
        let long = format!("name~{}", "a".repeat(1_025));
        assert_eq!(
            Pattern::parse(&long).unwrap_err().code,
            ErrorCode::FilterValueInvalid
        );
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_the_text() {
        let pattern = Pattern::parse("name~(a+)+$").unwrap().unwrap();
        let resource = json!({"name": format!("{}b", "a".repeat(10_000))});
        assert!(!pattern.matches(&resource));
    }
}
