use offtake_model::resource::Object;
use offtake_model::{DestinationKind, ErrorCode};
use serde_json::{Value, json};

use super::super::{connection_specs, destination};
use super::ParamSchema;

fn object(value: &Value) -> Object {
    value.as_object().unwrap().clone()
}

#[test]
fn every_published_schema_compiles() {
    for spec in connection_specs() {
        let rules = spec.target().into_iter();
        let rules = rules.chain(spec.auth_specs().iter().map(|it| &it.params));
        let relaxed = spec
            .auth_specs()
            .iter()
            .filter_map(|it| it.relaxed.as_ref());
        for rules in rules.chain(relaxed) {
            assert!(rules.validator().is_ok(), "{}", spec.name());
        }
    }
}

#[test]
fn reaching_the_backtrack_limit_is_a_violation_of_the_pattern() {
    let schema = json!({
        "type": "object",
        "properties": {"it": {"type": "string", "pattern": "^(a|a)*\\1b"}},
    });
    let rules = ParamSchema::new(schema, false);
    let fault = rules
        .check("params", &object(&json!({"it": "a".repeat(40) + "!"})))
        .unwrap_err();
    assert_eq!(fault.code, ErrorCode::FieldInvalid);
    assert!(
        fault
            .message
            .contains("`params.it` must match the pattern ^(a|a)*\\1b"),
        "{}",
        fault.message
    );
}

#[test]
fn all_violations_are_named_at_once() {
    let rules = destination(DestinationKind::S3).target().unwrap();
    let fault = rules
        .check(
            "params",
            &object(&json!({"bucketName": "A", "compression": "ZIP", "nope": 1})),
        )
        .unwrap_err();
    for part in [
        "`params.bucketName` must match the pattern (?=",
        "got \"A\"",
        "`params.compression` must be one of [\"NONE\",\"GZIP\"], got \"ZIP\"",
        "`params.path` is required",
        "`params.datasetFileType` is required",
        "`params` has no parameter \"nope\"",
    ] {
        assert!(
            fault.message.contains(part),
            "{part} is not in {}",
            fault.message
        );
    }
    assert!(!fault.message.contains("`params.fileType` is required"));
}
