use offtake_model::ErrorCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Bounds, Filter};

fn flow() -> Value {
    json!({
        "id": "a1", "name": "Orders, daily", "state": "enabled", "createdAt": 1_790_000_000_000i64, "ratio": 1.5, "zone": "b",
        "sourceConnectionIds": ["s1", "s2"], "description": null,
        "inheritedAttributes": {
            "properties": {"isDestinationFlow": true},
            "targetConnections": [{"data": {"outputType": "DATASET_EXPORT"}}, {"data": {}}],
        },
        "metrics": {"statusSummary": {"status": "success"}},
    })
}

fn matches(properties: &[&str]) -> bool {
    Filter::parse(properties).unwrap().matches(&flow()).unwrap()
}

fn refusal(property: &str) -> ErrorCode {
    match Filter::parse(&[property]) {
        Ok(filter) => filter.matches(&flow()).unwrap_err().code,
        Err(fault) => fault.code,
    }
}

#[test]
fn documented_filters_match() {
    for property in [
        "id==a1",
        "id==b,a1",
        "id=a1",
        "name==\"Orders, daily\"",
        "state==ENABLED",
        "sourceConnectionIds[]==x,s2",
        "sourceConnectionIds==s1",
        "inheritedAttributes.properties.isDestinationFlow==true",
        "inheritedAttributes.properties.isDestinationFlow==True",
        "inheritedAttributes.targetConnections[].data.outputType==DATASET_EXPORT",
        "createdAt>=1790000000000",
        "createdAt<=1790000000000",
        "createdAt>1789999999999",
        "createdAt<1790000000000.5",
        "ratio==1.5",
        "metrics.statusSummary.status==Success",
        "name",
        "id!=b",
        "description!=x",
        " id == a1 ",
    ] {
        assert!(matches(&[property]), "{property}");
    }
}

#[test]
fn what_differs_does_not_match() {
    for property in [
        "id==b",
        "id!=a1",
        "id!=b,a1",
        "name==orders",
        "sourceConnectionIds[]!=s1",
        "createdAt>1790000000000",
        "description",
        "missing",
        "missing.deeper==x",
        "inheritedAttributes.properties.isDestinationFlow==false",
    ] {
        assert!(!matches(&[property]), "{property}");
    }
}

#[test]
fn all_conditions_must_hold_and_none_is_all() {
    assert!(matches(&["id==a1", "state==enabled"]));
    assert!(!matches(&["id==a1", "state==disabled"]));
    assert!(matches(&[]));
}

#[test]
fn refusals_carry_their_documented_code() {
    for (property, code) in [
        ("name=~x", ErrorCode::FilterOperatorInvalid),
        ("name===x", ErrorCode::FilterOperatorInvalid),
        ("name<>x", ErrorCode::FilterOperatorInvalid),
        ("metrics==x", ErrorCode::FilterOperatorMismatch),
        (
            "inheritedAttributes.properties.isDestinationFlow>true",
            ErrorCode::FilterOperatorMismatch,
        ),
        ("state>=enabled", ErrorCode::FilterOperatorMismatch),
        ("zone<z", ErrorCode::FilterOperatorMismatch),
        ("name==", ErrorCode::FilterValueEmpty),
        ("name==a,", ErrorCode::FilterValueEmpty),
        ("name==\"\"", ErrorCode::FilterValueEmpty),
        ("createdAt>=", ErrorCode::FilterValueEmpty),
        ("name==\"a", ErrorCode::FilterValueInvalid),
        ("createdAt<=1,2", ErrorCode::FilterListInvalid),
        ("createdAt>=yesterday", ErrorCode::FilterValueInvalid),
        (
            "inheritedAttributes.properties.isDestinationFlow==maybe",
            ErrorCode::FilterValueInvalid,
        ),
        ("==a", ErrorCode::FilterFieldInvalid),
        ("", ErrorCode::FilterFieldInvalid),
        ("a..b==c", ErrorCode::FilterFieldInvalid),
        ("a[0]==c", ErrorCode::FilterFieldInvalid),
    ] {
        assert_eq!(refusal(property), code, "{property}");
    }
}

#[test]
fn text_is_never_ordered_though_no_resource_is_there_to_compare() {
    for property in [
        "name>a",
        "lastRunDetails.state<failed",
        "sourceConnectionIds[]>=a",
        "metrics.statusSummary.status<=success",
    ] {
        let fault = Filter::parse(&[property]).unwrap_err();
        assert_eq!(fault.code, ErrorCode::FilterOperatorMismatch, "{property}");
    }
}

#[test]
fn a_field_of_another_kind_is_refused_by_name() {
    let filter = Filter::parse(&["id==a", "flowName==b"]).unwrap();
    assert!(filter.check_fields(&["id", "flowName"]).is_ok());
    let fault = filter.check_fields(&["id"]).unwrap_err();
    assert_eq!(fault.code, ErrorCode::FilterFieldInvalid);
    assert!(fault.message.contains("flowName"));
}

#[test]
fn what_a_store_can_select_by_can_be_handed_to_it() {
    let asked = [
        "flowId==a",
        "id==a,b",
        "createdAt>5",
        "createdAt<=9",
        "createdAt<100",
        "metrics.durationSummary.startedAtUTC==7",
        "updatedAt>=1.5",
    ];
    let filter = Filter::parse(&asked).unwrap();
    assert_eq!(filter.equal_to("flowId"), Some("a"));
    assert_eq!(filter.equal_to("id"), None, "one of two");
    let between = |least, most| Bounds { least, most };
    assert_eq!(filter.bounds("createdAt"), between(Some(6), Some(9)));
    let started = filter.bounds("metrics.durationSummary.startedAtUTC");
    assert_eq!(started, between(Some(7), Some(7)));
    assert_eq!(
        filter.bounds("updatedAt"),
        Bounds::default(),
        "no whole number"
    );
    assert_eq!(filter.bounds("startedAtUTC"), Bounds::default());
}

#[test]
fn a_filter_knows_whether_a_store_can_select_by_all_of_it() {
    let table: [(&[&str], bool); 8] = [
        (&[], true),
        (&["flowId==a", "createdAt>5"], true),
        (&["createdAt==5"], true),
        (&["flowId==a,b"], false),
        (&["flowId!=a"], false),
        (&["flowId"], false),
        (&["createdAt>5.5"], false),
        (&["flowId==a", "kind==now"], false),
    ];
    for (asked, whole) in table {
        let filter = Filter::parse(asked).unwrap();
        assert_eq!(
            filter.asks_only(&["flowId"], &["createdAt"]),
            whole,
            "{asked:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_an_answer(text in "[a-c.\\[\\]=!<>~,\" 1]{0,16}") {
        if let Ok(filter) = Filter::parse(&[text]) {
            let _ = filter.matches(&json!({"a": {"b": [1, "c", true, null, {}]}, "c": 1}));
        }
    }

    #[test]
    fn an_inequality_is_the_opposite_of_an_equality(value in "[ab]{1,2}", wanted in "[ab]{1,2}(,[ab]{1,2}){0,2}") {
        let resource = json!({"x": value});
        let check = |operator: &str| {
            Filter::parse(&[format!("x{operator}{wanted}")]).unwrap().matches(&resource).unwrap()
        };
        prop_assert_ne!(check("=="), check("!="));
    }
}
