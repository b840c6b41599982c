//! Lists: filters, order, pages, counts (contract, 4.2 and 4.3).
//!
//! A page is read from the store in its own order, newest first, among rows that the store selects (`narrow`). A
//! filter or another order needs the rows as the wire shows them; the surface hands in how to render one.
//!
//! The one law: whatever is asked, at most [`SCAN_ROWS_MAX`] rows are read for one answer.

use std::cmp::Ordering;
use std::future::Future;
use std::ops::ControlFlow;

use offtake_core::filter::Filter;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::{Page, PageRequest, ResourceQuery, RunQuery};
use serde::Serialize;
use serde_json::Value;

use cursor::Cursor;
pub(crate) use params::{PAGE_ITEMS_MAX, parse_limit};
use params::{SEARCH_ITEMS_MAX, SortField, compare_values, fields, parse_flag, parse_order};

mod cursor;
mod narrow;
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
    filter: Filter,
    /// Whether a store can select by all of the filter.
    narrow: bool,
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

/// A row's place in the store's order: its creation instant and its id.
pub(crate) type Place = (i64, String);

/// A row that knows its place.
pub(crate) trait Placed {
    /// Creation instant and id.
    fn place(&self) -> Place;
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
            narrow: narrow::whole(collection, &filter),
            filter,
            cursor,
        })
    }

    /// Whether only a number is asked for, which a store can count.
    pub(crate) fn plain_count(&self) -> bool {
        self.count && self.narrow
    }

    /// The runs among which those of the list are.
    pub(crate) fn runs(&self) -> RunQuery {
        narrow::runs(&self.filter)
    }

    /// The flows among which those of the list are.
    pub(crate) fn flows(&self) -> ResourceQuery {
        narrow::flows(&self.filter)
    }

    /// The connections of any kind among which those of the list are.
    pub(crate) fn connections(&self) -> ResourceQuery {
        narrow::connections(&self.filter)
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
        let rest = walk(self.cursor.a.clone(), self.rows(), fetch, |row| {
            let item = render(row);
            if self.matches(&item)? {
                items.push(item);
            }
            Ok(until(items.len() == self.limit))
        })
        .await?;
        let next = match rest {
            Some(place) => Some(self.cursor_at(Some(place), None).token()?),
            None => None,
        };
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
        let rest = walk(None, SCAN_PAGE_ROWS, fetch, |row| {
            count += u64::from(self.matches(&render(row))?);
            Ok(ControlFlow::Continue(()))
        })
        .await?;
        match rest {
            None => Ok(count),
            Some(_) => Err(too_many("count", SCAN_ROWS_MAX)),
        }
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
        let rest = walk(None, SCAN_PAGE_ROWS, fetch, |row| {
            let item = render(row);
            if self.matches(&item)? {
                rows.push((self.sort_key(&item)?, item));
            }
            Ok(until(rows.len() > SORT_ROWS_MAX))
        })
        .await?;
        if rows.len() > SORT_ROWS_MAX {
            return Err(too_many("sort", SORT_ROWS_MAX));
        }
        match rest {
            None => self.sorted_page(rows),
            Some(_) => Err(too_many("sort", SCAN_ROWS_MAX)),
        }
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

    /// Rows to read at a time: no more than are answered when every row that is read is one of the list.
    fn rows(&self) -> u32 {
        if self.narrow {
            return u32::try_from(self.limit).unwrap_or(SEARCH_ITEMS_MAX);
        }
        SCAN_PAGE_ROWS
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

/// Shows `visit` row after row until it has enough, the rows end, or as many were read as one answer may read. Tells
/// where to go on, unless the rows ended.
async fn walk<V, F>(
    after: Option<Place>,
    rows: u32,
    fetch: impl Fn(PageRequest) -> F,
    mut visit: impl FnMut(&V) -> Result<ControlFlow<()>, Fault>,
) -> Result<Option<Place>, Fault>
where
    V: Placed,
    F: Future<Output = Result<Page<V>, Fault>>,
{
    let mut after = after;
    let mut seen = 0;
    while seen < SCAN_ROWS_MAX {
        let page = fetch(PageRequest {
            limit: rows,
            after,
            offset: 0,
        })
        .await?;
        let count = page.items.len();
        for (row, more) in page.items.iter().zip((0..count).rev()) {
            if visit(row)?.is_break() {
                let rest = more > 0 || page.next.is_some();
                return Ok(rest.then(|| row.place()));
            }
        }
        seen += count;
        after = page.next;
        // A short page that is not the last is the store's own bound.
        if after.is_none() || count < rows as usize {
            return Ok(after);
        }
    }
    Ok(after)
}

const fn until(enough: bool) -> ControlFlow<()> {
    if enough {
        return ControlFlow::Break(());
    }
    ControlFlow::Continue(())
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
