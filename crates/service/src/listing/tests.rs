use offtake_model::{ErrorCode, Fault};
use offtake_ports::{Page, PageRequest};
use serde_json::{Value, json};

use super::{ListParams, Listed, Listing, Placed, SCAN_ROWS_MAX};

/// A row of a list that nobody could keep in memory twice: its ordinal, newest first.
struct Row(i64);

impl Placed for Row {
    fn place(&self) -> (i64, String) {
        (self.0, format!("id{}", self.0))
    }
}

const ROWS: i64 = 51_000;
const _: () = assert!(SCAN_ROWS_MAX < 51_000, "one scan must not reach the end");

async fn rows(request: PageRequest) -> Result<Page<Row>, Fault> {
    let from = request.after.map_or(ROWS, |(at, _)| at) - 1;
    let items: Vec<Row> = (0..=from)
        .rev()
        .take(request.limit as usize)
        .map(Row)
        .collect();
    let next = items.last().filter(|row| row.0 > 0).map(Placed::place);
    Ok(Page { items, next })
}

fn shown(row: &Row) -> Value {
    json!({"id": row.place().1, "name": row.0, "createdAt": row.0})
}

async fn ask(params: ListParams) -> Result<Listed<Value>, Fault> {
    Listing::parse("connections", &params)?
        .answer(rows, shown)
        .await
}

fn filtered(property: &str) -> ListParams {
    ListParams {
        properties: vec![property.to_owned()],
        ..ListParams::default()
    }
}

#[tokio::test]
async fn a_filter_that_finds_little_answers_after_a_bounded_scan_and_goes_on_from_there() {
    let first = ask(filtered("name==7")).await;
    let Ok(Listed::Page {
        items,
        next: Some(token),
    }) = first
    else {
        panic!("a page with a link was expected");
    };
    assert!(items.is_empty());
    let rest = ListParams {
        token: Some(token),
        ..ListParams::default()
    };
    let Ok(Listed::Page { items, next: None }) = ask(rest).await else {
        panic!("the last page was expected");
    };
    assert_eq!(items, [shown(&Row(7))]);
}

#[tokio::test]
async fn a_count_or_an_order_over_too_many_rows_is_refused_not_guessed() {
    let count = ListParams {
        count: Some("true".to_owned()),
        ..filtered("createdAt>=0")
    };
    let order = ListParams {
        order_by: Some("name".to_owned()),
        ..ListParams::default()
    };
    let rare_order = ListParams {
        order_by: Some("name".to_owned()),
        ..filtered("name==7")
    };
    for params in [count, order, rare_order] {
        let refused = ask(params).await.err().map(|fault| fault.code);
        assert_eq!(refused, Some(ErrorCode::PageInvalid));
    }
}

#[tokio::test]
async fn without_a_filter_no_more_rows_are_read_than_answered() {
    let fetch = async |request: PageRequest| {
        assert_eq!(request.limit, 3);
        rows(request).await
    };
    let params = ListParams {
        limit: Some("3".to_owned()),
        ..ListParams::default()
    };
    let listing = Listing::parse("connections", &params).unwrap();
    let Listed::Page { items, .. } = listing.answer(fetch, shown).await.unwrap() else {
        panic!("a page was expected");
    };
    assert_eq!(items.len(), 3);
}
