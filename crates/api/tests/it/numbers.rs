//! The documented numbers: each is shown by a test, or cannot arise.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use offtake_api::{ApiSettings, router};
use offtake_model::ErrorCode;
use serde_json::json;

use crate::world::{FLOW_SERVICE, World};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");

/// Codes that batches have, whose documentation numbers them apart.
const OF_BATCHES: [&str; 2] = ["106", "118"];

/// Number and status, our code, and the test or the reason.
fn rows() -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(format!("{ROOT}docs/reference/error-numbers.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| {
        let mut cells = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned());
        let mut cell = || cells.next().unwrap();
        (cell(), cell(), cell())
    })
    .collect()
}

#[test]
fn every_number_is_shown_by_a_test_or_has_a_reason() {
    let rows = rows();
    assert!(rows.len() > 80, "{}", rows.len());
    let numbers: BTreeSet<&String> = rows.iter().map(|(number, _, _)| number).collect();
    assert_eq!(numbers.len(), rows.len(), "a number stands twice");
    for (number, code, shown) in &rows {
        if code == "–" {
            assert!(
                shown.len() > 4 && !shown.contains("::"),
                "{number}: {shown}"
            );
            continue;
        }
        let (file, name) = shown.trim_matches('`').split_once("::").unwrap();
        let source = std::fs::read_to_string(format!("{ROOT}{file}")).unwrap();
        assert!(
            source.contains(&format!("fn {name}(")),
            "{number}: no test {shown}"
        );
    }
}

#[test]
fn every_code_with_a_number_stands_in_the_table() {
    let rows = rows();
    for code in ErrorCode::ALL {
        let Some(number) = code.number().filter(|it| !OF_BATCHES.contains(it)) else {
            continue;
        };
        let written = match number.len() {
            6 => number.to_owned(),
            _ => format!("{number}-{}", code.status()),
        };
        let row = rows.iter().find(|(number, _, _)| *number == written);
        let (_, ours, _) = row.unwrap_or_else(|| panic!("{written} of {code} is missing"));
        assert!(ours.starts_with('['), "{written} can arise: {code}");
    }
    for (number, ours, _) in rows.iter().filter(|(_, ours, _)| ours != "–") {
        let name = ours.trim_start_matches('[').split(']').next().unwrap();
        let code = ErrorCode::ALL
            .iter()
            .find(|code| code.name() == name)
            .unwrap();
        assert!(
            number.starts_with(code.number().unwrap()),
            "{number}: {name}"
        );
    }
}

#[tokio::test]
async fn a_service_without_a_free_place_says_so() {
    let mut world = World::new().await;
    let full = ApiSettings {
        requests_max: 0,
        ..ApiSettings::default()
    };
    world.router = router(Arc::clone(&world.service), &full);
    let answer = world.get("/flows").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("FLOW-1103-503"), "{}", answer.text);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(
        answer.body["report"]["tenantInfo"],
        json!(null),
        "nobody was asked for yet"
    );
    let health = Request::get("/health/live").body(Body::empty()).unwrap();
    assert_eq!(
        world.send(health).await.status,
        200,
        "health answers however busy it is"
    );
    assert_eq!(world.get(&format!("{FLOW_SERVICE}/runs")).await.status, 503);
}
