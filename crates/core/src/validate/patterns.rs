//! The documented patterns of 5.4, each beside the rule in words that it stands for.

use offtake_model::DestinationKind;
use offtake_model::resource::Object;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::specs;

/// Whether the published schema takes this value for this field.
fn accepts(kind: DestinationKind, key: &str, value: &str) -> bool {
    let mut params = Object::new();
    for (other, given) in [
        ("bucketName", "bucket"),
        ("container", "container"),
        ("path", "p"),
    ] {
        let shown = specs::destination(kind).shown();
        if shown["targetSpec"]["spec"]["properties"]
            .get(other)
            .is_some()
        {
            params.insert(other.to_owned(), Value::from(given));
        }
    }
    params.insert("compression".to_owned(), json!("NONE"));
    params.insert("datasetFileType".to_owned(), json!("JSON"));
    params.insert(key.to_owned(), Value::from(value));
    specs::destination(kind)
        .target()
        .unwrap()
        .check("params", &params)
        .is_ok()
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Not empty, of lower-case letters, digits and `inner`, beginning and ending with a letter or digit.
fn label(text: &str, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|it| alphanumeric(*it))
        && bytes.last().is_some_and(|it| alphanumeric(*it));
    ends && bytes
        .iter()
        .all(|it| alphanumeric(*it) || inner.contains(it))
}

/// At least two numbers with dots between them.
fn like_an_address(text: &str) -> bool {
    text.contains('.')
        && text
            .split('.')
            .all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

fn s3_bucket(text: &str) -> bool {
    (3..=63).contains(&text.chars().count())
        && !like_an_address(text)
        && text.split('.').all(|it| label(it, b"-"))
}

fn azure_container(text: &str) -> bool {
    (3..=63).contains(&text.chars().count()) && label(text, b"-") && !text.contains("--")
}

fn gcs_bucket(text: &str) -> bool {
    let brand = ["google", "g0ogle", "go0gle", "g00gle"];
    let length = text.chars().count();
    if text.starts_with("goog") || brand.into_iter().any(|it| text.contains(it)) {
        return false;
    }
    let plain = (3..=63).contains(&length) && label(text, b"-_");
    let dotted = (3..=222).contains(&length)
        && !like_an_address(text)
        && text.split('.').all(|it| it.len() <= 63 && label(it, b"-_"));
    plain || dotted
}

const PATH_SIGNS: &str = "/!-_.*'()";

fn plain_path(text: &str) -> bool {
    text.chars()
        .all(|it| it.is_ascii_alphanumeric() || PATH_SIGNS.contains(it))
}

fn blob_path(text: &str) -> bool {
    !text.is_empty() && plain_path(text)
}

/// A plain path, then macros and slashes.
fn s3_path(text: &str) -> bool {
    let start = text.find('%').unwrap_or(text.len());
    let (plain, mut rest) = text.split_at(start);
    while !rest.is_empty() {
        let before = rest.len();
        rest = ["%SEGMENT_NAME%", "%SEGMENT_ID%"]
            .into_iter()
            .find_map(|it| rest.strip_prefix(it))
            .unwrap_or(rest);
        rest = rest.strip_prefix('/').unwrap_or(rest);
        if rest.len() == before {
            return false;
        }
    }
    plain_path(plain)
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c0-2._-]{0,8}",
        "(goog|g0ogle|go0gle|google|g00gle|[a-z]|\\.|-){0,5}",
        "[0-9]{1,3}(\\.[0-9]{1,3}){0,4}",
        "[a-z0-9]{58,66}",
        "([a-z0-9-]{0,64}\\.){0,4}[a-z0-9_-]{0,66}",
        "(aa\\.){0,80}-?",
        "[aA0_-]{200,230}",
        "\\PC{0,6}",
        "[a-z]{3}\n?",
    ]
}

fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c/!_.*'()-]{0,12}",
        "[a-c/]{0,3}(%SEGMENT_NAME%|%SEGMENT_ID%|%SEGMENT_|/|%|a){0,5}",
        "\\PC{0,6}",
        "[a-z/]{0,4}\n?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bucket_patterns_are_their_rules(name in names()) {
        prop_assert_eq!(accepts(DestinationKind::S3, "bucketName", &name), s3_bucket(&name));
        prop_assert_eq!(accepts(DestinationKind::AzureBlob, "container", &name), azure_container(&name));
        prop_assert_eq!(accepts(DestinationKind::Gcs, "bucketName", &name), gcs_bucket(&name));
    }

    #[test]
    fn path_patterns_are_their_rules(path in paths()) {
        prop_assert_eq!(accepts(DestinationKind::S3, "path", &path), s3_path(&path));
        prop_assert_eq!(accepts(DestinationKind::Gcs, "path", &path), s3_path(&path));
        prop_assert_eq!(accepts(DestinationKind::AzureBlob, "path", &path), blob_path(&path));
    }
}

#[test]
fn values_made_to_exhaust_the_engine_are_violations() {
    for name in [
        format!("{}-", "aaa.".repeat(55)),
        "a-".repeat(111),
        "a".repeat(100_000),
        "1.".repeat(110),
    ] {
        assert!(!accepts(DestinationKind::Gcs, "bucketName", &name));
        assert!(!accepts(DestinationKind::S3, "bucketName", &name));
    }
    let path = format!("{}$", "%SEGMENT_ID%/".repeat(70));
    assert!(!accepts(DestinationKind::S3, "path", &path));
}
