use std::sync::Arc;

use offtake_model::{Millis, OrgId, SandboxName, Tenant};
use offtake_ports::testing::ManualClock;
use offtake_ports::{PageRequest, Span};

use super::{Selection, WINDOW_ROWS};
use crate::rows::run::RunRow;
use crate::store::{Store, commit};

/// Rows older than one window and a part of the next.
const ROWS: i64 = WINDOW_ROWS + 1_000;

fn tenant() -> Tenant {
    Tenant {
        org: OrgId("o".to_owned()),
        sandbox: SandboxName("prod".to_owned()),
    }
}

async fn store(dir: &std::path::Path) -> Store {
    let store = Store::open(dir, Arc::new(ManualClock::new(Millis(0)))).await;
    store.unwrap()
}

/// Runs numbered from 1, each made in the millisecond of its number; none ever started but the oldest.
async fn fill(store: &Store) {
    let mut tx = store.write().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO run (id, org, sandbox, flow_id, flow_generation, kind, trigger_key, occurrence, whole, spec,
                          created_by, created_at, started_at)
         SELECT printf('%08d', i), 'o', 'prod', 'f' || (i % 2), 1, 'now', i, 0, 0, '{\"value\":{\"flowSpec\":\"s\"}}',
                'c', i, iif(i = 1, 7, NULL) FROM n",
    )
    .bind(ROWS)
    .execute(&mut *tx)
    .await
    .unwrap();
    commit(tx).await.unwrap();
}

fn request(after: Option<(i64, String)>) -> PageRequest {
    PageRequest {
        limit: 10,
        after,
        offset: 0,
    }
}

fn span(from: i64) -> Span {
    Span {
        from: Some(Millis(from)),
        to: None,
    }
}

#[tokio::test]
async fn a_page_that_finds_little_ends_after_its_window_and_the_next_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    fill(&store).await;
    let mut selection = Selection::of("run", "run_newest", &tenant());
    selection.tested_within("started_at", &span(1));
    let mut tx = store.read().await.unwrap();
    let place = |row: &RunRow| (row.created_at, row.id.clone());
    let first = selection
        .page(&mut tx, &request(None), place)
        .await
        .unwrap();
    assert!(first.items.is_empty());
    let after = first.next.unwrap();
    assert_eq!(after.0, ROWS - WINDOW_ROWS + 1, "the last row looked at");
    let second = selection
        .page(&mut tx, &request(Some(after)), place)
        .await
        .unwrap();
    assert_eq!(second.items.len(), 1);
    assert_eq!((second.items[0].created_at, second.next), (1, None));
    assert_eq!(selection.count(&mut tx).await, Ok(1));
}

#[tokio::test]
async fn every_selection_is_read_off_an_index_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut tx = store.read().await.unwrap();
    let table = [
        ("run", &[][..], "run_newest"),
        ("run", &["flow_id"], "run_of_flow"),
        ("run", &["status"], "run_by_status"),
        ("run", &["flow_spec"], "run_by_spec"),
        ("run", &["flow_id", "status", "flow_spec"], "run_of_flow"),
        ("resource", &["kind"], "resource_newest"),
        ("resource", &["kind", "name"], "resource_by_name"),
        ("resource", &["kind", "state"], "resource_by_state"),
        ("resource", &["kind", "spec"], "resource_by_spec"),
    ];
    for (name, columns, index) in table {
        for tested in [false, true] {
            let mut selection = Selection::of(name, index, &tenant());
            let (led, others) =
                columns.split_at(columns.len().min(1 + usize::from(name == "resource")));
            for column in led {
                selection.led_to(column, "x");
            }
            selection.by_first_of(&[]);
            for column in others {
                selection.tested.push(super::Condition {
                    column,
                    operator: "=",
                    value: super::Value::Text("x".to_owned()),
                });
            }
            selection.created(&span(5));
            if tested && name == "run" {
                selection.tested_within("started_at", &span(5));
            }
            let mut query = selection.begin("EXPLAIN QUERY PLAN SELECT *", (9, "z"));
            super::push_all(&mut query, "+", &selection.tested);
            query.push(" ORDER BY created_at DESC, id DESC LIMIT 10");
            let plan: Vec<(i64, i64, i64, String)> =
                query.build_query_as().fetch_all(&mut *tx).await.unwrap();
            let plan: Vec<String> = plan.into_iter().map(|row| row.3).collect();
            assert_eq!(plan.len(), 1, "{columns:?}: {plan:?}");
            assert!(
                plan[0].contains(&format!("USING INDEX {index} ")),
                "{columns:?}: {plan:?}"
            );
        }
    }
}
