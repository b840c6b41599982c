//! Offset-paged lists of the catalogue: everything is read once, filtered, put in order and cut.
//!
//! The one law: a list that is longer than its bound is refused, never cut in silence.

use std::future::Future;

use offtake_model::Fault;
use offtake_ports::{Page, PageRequest};

use crate::listing::{PAGE_ITEMS_MAX, page_invalid, parse_limit};

/// Most rows looked at for one answer.
const ROWS_MAX: usize = 50_000;

/// Rows read at a time.
const READ_ROWS: u32 = 500;

/// An offset page.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// Index of the first one.
    pub start: u64,
    /// How many there are.
    pub total: u64,
}

/// Every row that `fetch` reads page by page.
pub(crate) async fn all<T, F>(what: &str, fetch: impl Fn(PageRequest) -> F) -> Result<Vec<T>, Fault>
where
    F: Future<Output = Result<Page<T>, Fault>>,
{
    let mut rows = Vec::new();
    let mut after = None;
    while rows.len() < ROWS_MAX {
        let request = PageRequest {
            limit: READ_ROWS,
            after,
            offset: 0,
        };
        let page = fetch(request).await?;
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
    Err(page_invalid(format!(
        "more than {ROWS_MAX} {what} cannot be listed"
    )))
}

/// Index of the first item and number of items, as the query has them.
pub(crate) fn offsets(start: Option<&str>, limit: Option<&str>) -> Result<(u64, u32), Fault> {
    let text = start.unwrap_or("0");
    let start = text
        .parse()
        .map_err(|_| page_invalid(format!("start must be a whole number from 0, not [{text}]")))?;
    Ok((start, parse_limit(limit, PAGE_ITEMS_MAX)?))
}

/// Cuts the page out.
pub(crate) fn page<T>(all: Vec<T>, start: u64, limit: u32) -> OffsetPage<T> {
    let total = all.len() as u64;
    let skip = usize::try_from(start).unwrap_or(usize::MAX);
    OffsetPage {
        items: all.into_iter().skip(skip).take(limit as usize).collect(),
        start,
        total,
    }
}
