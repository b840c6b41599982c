//! Lists: filters, order, pages, counts (contract, 4.2 and 4.3).
//!
//! A page is read from the store in its own order, newest first. A filter or another order needs the rows as
//! the wire shows them; the surface hands in how to render one.
//!
//! The one law: whatever is asked, at most [`SCAN_ROWS_MAX`] rows are read for one answer.

use std::cmp::Ordering;
use std::future::Future;

use offtake_core::filter::Filter;
use offtake_model::{ErrorCode, Fault, FlowId};
use offtake_ports::{Page, PageRequest};
use serde::Serialize;
use serde_json::Value;

use cursor::Cursor;
pub(crate) use params::{PAGE_ITEMS_MAX, parse_limit};
use params::{SEARCH_ITEMS_MAX, SortField, compare_values, fields, parse_flag, parse_order};

mod cursor;
mod params;

/// Most rows read for one answer.
const SCAN_ROWS_MAX: usize = 50_000;

/// Rows read at a time while scanning.
const SCAN_PAGE_ROWS: u32 = 500;

/// Most rows sorted for one answer.
const SORT_ROWS_MAX: usize = 10_000;

/// List parameters as they stand in the query.
#[derive(Clone, Debug, Default)]
pub struct ListParams {
    /// `limit`.
    pub limit: Option<String>,
    /// `orderby`.
    pub order_by: Option<String>,
    /// `count`.
    pub count: Option<String>,
    /// `continuationToken`.
    pub token: Option<String>,
    /// Every `property`.
    pub properties: Vec<String>,
    /// Whether they are of a search, whose pages may be larger.
    pub search: bool,
}

/// A parsed list request.
pub struct Listing {
    limit: usize,
    count: bool,
    cursor: Cursor,
    order: Vec<SortField>,
    pub(crate) filter: Filter,
}

/// The answer to a list request.
pub enum Listed<T> {
    /// A page.
    Page {
        /// The items, rendered.
        items: Vec<T>,
        /// The continuation token of the next page.
        next: Option<String>,
    },
    /// Only how many there are.
    Count(u64),
}

/// A row that knows its place in the store's order.
pub(crate) trait Placed {
    /// Creation instant and id.
    fn place(&self) -> (i64, String);
}

impl Listing {
    /// Reads the parameters of a list of `collection`. A continuation token carries the filters and the order
    /// of its first page; what the request repeats of them is ignored.
    pub fn parse(collection: &'static str, params: &ListParams) -> Result<Self, Fault> {
        let cursor = match &params.token {
            Some(token) => Cursor::read(collection, token)?,
            None => Cursor {
                c: collection.to_owned(),
                p: params.properties.clone(),
                o: params.order_by.clone().filter(|it| !it.is_empty()),
                ..Cursor::default()
            },
        };
        let filter = Filter::parse(&cursor.p)?;
        filter.check_fields(fields(collection))?;
        Ok(Self {
            limit: parse_limit(params.limit.as_deref(), most(params.search))? as usize,
            count: parse_flag(params.count.as_deref())?,
            order: parse_order(cursor.o.as_deref())?,
            filter,
            cursor,
        })
    }

    /// Whether only the number of rows is asked for, without any filter.
    pub(crate) fn plain_count(&self) -> bool {
        self.count && self.filter.is_empty()
    }

    /// The flow that every item must belong to, when the filter says so.
    pub(crate) fn only_flow(&self) -> Option<FlowId> {
        match self.filter.equal_to("flowId") {
            Some([only]) => only.parse().ok(),
            Some(_) | None => None,
        }
    }

    /// Answers the request from pages of rows that `fetch` reads.
    pub(crate) async fn answer<V, T, F, R>(
        &self,
        fetch: impl Fn(PageRequest) -> F,
        render: R,
    ) -> Result<Listed<T>, Fault>
    where
        V: Placed,
        T: Serialize,
        F: Future<Output = Result<Page<V>, Fault>>,
        R: Fn(&V) -> T,
    {
        if self.count {
            return self.count(fetch, render).await.map(Listed::Count);
        }
        if self.order.is_empty() {
            return self.page(fetch, render).await;
        }
        self.sorted(fetch, render).await
    }

    async fn page<V, T, F, R>(
        &self,
        fetch: impl Fn(PageRequest) -> F,
        render: R,
    ) -> Result<Listed<T>, Fault>
    where
        V: Placed,
        T: Serialize,
        F: Future<Output = Result<Page<V>, Fault>>,
        R: Fn(&V) -> T,
    {
        let mut items = Vec::new();
        let mut after = self.cursor.a.clone();
        let mut seen = 0;
        while seen < SCAN_ROWS_MAX {
            let rows = fetch(self.request(after.clone())).await?;
            seen += rows.items.len();
            for row in &rows.items {
                if items.len() == self.limit {
                    break;
                }
                let item = render(row);
                after = Some(row.place());
                if self.matches(&item)? {
                    items.push(item);
                }
            }
            let last = rows.items.last().map(Placed::place);
            let exhausted = rows.next.is_none() && after == last;
            if exhausted || rows.items.is_empty() {
                return Ok(Listed::Page { items, next: None });
            }
            if items.len() == self.limit {
                break;
            }
        }
        let next = Some(self.cursor_at(after, None).token()?);
        Ok(Listed::Page { items, next })
    }

    async fn count<V, T, F, R>(
        &self,
        fetch: impl Fn(PageRequest) -> F,
        render: R,
    ) -> Result<u64, Fault>
    where
        V: Placed,
        T: Serialize,
        F: Future<Output = Result<Page<V>, Fault>>,
        R: Fn(&V) -> T,
    {
        let mut count = 0;
        let mut seen = 0;
        let mut after = None;
        while seen < SCAN_ROWS_MAX {
            let rows = fetch(scan_request(after)).await?;
            seen += rows.items.len();
            for row in &rows.items {
                count += u64::from(self.matches(&render(row))?);
            }
            after = rows.next;
            if after.is_none() {
                return Ok(count);
            }
        }
        Err(too_many("count", SCAN_ROWS_MAX))
    }

    async fn sorted<V, T, F, R>(
        &self,
        fetch: impl Fn(PageRequest) -> F,
        render: R,
    ) -> Result<Listed<T>, Fault>
    where
        V: Placed,
        T: Serialize,
        F: Future<Output = Result<Page<V>, Fault>>,
        R: Fn(&V) -> T,
    {
        let mut rows = Vec::new();
        let mut after = None;
        let mut seen = 0;
        while seen < SCAN_ROWS_MAX {
            let page = fetch(scan_request(after)).await?;
            seen += page.items.len();
            for row in &page.items {
                let item = render(row);
                if self.matches(&item)? {
                    rows.push((self.sort_key(&item)?, item));
                }
            }
            if rows.len() > SORT_ROWS_MAX {
                return Err(too_many("sort", SORT_ROWS_MAX));
            }
            after = page.next;
            if after.is_none() {
                return self.sorted_page(rows);
            }
        }
        Err(too_many("sort", SCAN_ROWS_MAX))
    }

    fn sorted_page<T>(&self, mut rows: Vec<(Vec<Value>, T)>) -> Result<Listed<T>, Fault> {
        rows.sort_by(|(a, _), (b, _)| self.compare(a, b));
        let mut rest: Vec<(Vec<Value>, T)> = rows
            .into_iter()
            .filter(|(key, _)| {
                let after = self.cursor.k.as_ref();
                after.is_none_or(|after| self.compare(key, after) == Ordering::Greater)
            })
            .collect();
        let more = rest.len() > self.limit;
        rest.truncate(self.limit);
        let next = match rest.last() {
            Some((key, _)) if more => Some(self.cursor_at(None, Some(key.clone())).token()?),
            Some(_) | None => None,
        };
        let items = rest.into_iter().map(|(_, item)| item).collect();
        Ok(Listed::Page { items, next })
    }

    fn request(&self, after: Option<(i64, String)>) -> PageRequest {
        if !self.filter.is_empty() {
            return scan_request(after);
        }
        PageRequest {
            limit: u32::try_from(self.limit).unwrap_or(SEARCH_ITEMS_MAX),
            after,
            offset: 0,
        }
    }

    fn matches(&self, item: &impl Serialize) -> Result<bool, Fault> {
        if self.filter.is_empty() {
            return Ok(true);
        }
        self.filter.matches(&to_value(item)?)
    }

    /// Values of the ordering fields, and the id so that no two rows are equal.
    fn sort_key(&self, item: &impl Serialize) -> Result<Vec<Value>, Fault> {
        let value = to_value(item)?;
        let names = self.order.iter().map(|field| field.name);
        Ok(names
            .chain(["id"])
            .map(|name| value.get(name).cloned().unwrap_or_default())
            .collect())
    }

    fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        let directions = self.order.iter().map(|field| field.descending);
        a.iter()
            .zip(b)
            .zip(directions.chain([false]))
            .map(|((a, b), descending)| {
                let order = compare_values(a, b);
                if descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn cursor_at(&self, after: Option<(i64, String)>, key: Option<Vec<Value>>) -> Cursor {
        Cursor {
            a: after,
            k: key,
            ..self.cursor.clone()
        }
    }
}

const fn most(search: bool) -> u32 {
    if search {
        SEARCH_ITEMS_MAX
    } else {
        PAGE_ITEMS_MAX
    }
}

pub(crate) fn page_invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::PageInvalid, message)
}

fn scan_request(after: Option<(i64, String)>) -> PageRequest {
    PageRequest {
        limit: SCAN_PAGE_ROWS,
        after,
        offset: 0,
    }
}

fn to_value(item: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(item).map_err(|error| not_rendered(&error))
}

fn not_rendered(error: &serde_json::Error) -> Fault {
    Fault::new(ErrorCode::Internal, "failed to render a list").because(error)
}

fn too_many(verb: &str, rows: usize) -> Fault {
    page_invalid(format!(
        "too many rows to {verb}: more than {rows}; narrow the list with property filters"
    ))
}

#[cfg(test)]
mod tests;
