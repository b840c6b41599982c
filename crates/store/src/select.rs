//! Pages of a table in the order of lists, newest first, selected by what the table has an index for.
//!
//! The one law: a page reads a bounded number of rows, whatever is asked and however few of them match.

use offtake_model::{Fault, Millis, Tenant};
use offtake_ports::{Page, PageRequest, Span};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use crate::failure::Attempting;
use crate::rows::{counter, signed};

/// Most rows looked at for one page when a condition is tested on each.
const WINDOW_ROWS: i64 = 50_000;

/// The place of a row in the order of lists: its creation instant and its id.
type Place = (i64, String);

/// The place before every row.
const NEWEST: (i64, &str) = (i64::MAX, "");

/// Rows of one tenant.
pub(crate) struct Selection {
    table: &'static str,
    /// The index that is read; the database's own guess knows no numbers.
    index: &'static str,
    /// What the index leads to, in its order.
    led: Vec<Condition>,
    /// What is tested on each row that the index leads to.
    tested: Vec<Condition>,
    /// The place that rows begin after at the earliest.
    begin: (i64, &'static str),
}

struct Condition {
    column: &'static str,
    operator: &'static str,
    value: Value,
}

enum Value {
    Text(String),
    Number(i64),
}

impl Selection {
    /// Every row of the tenant.
    pub(crate) fn of(table: &'static str, index: &'static str, tenant: &Tenant) -> Self {
        let mut selection = Self {
            table,
            index,
            led: Vec::new(),
            tested: Vec::new(),
            begin: NEWEST,
        };
        selection.led_to("org", tenant.org.as_str());
        selection.led_to("sandbox", tenant.sandbox.as_str());
        selection
    }

    /// Narrows by an equality that stands in the index beside those before.
    pub(crate) fn led_to(&mut self, column: &'static str, value: &str) {
        self.led.push(Condition {
            column,
            operator: "=",
            value: Value::Text(value.to_owned()),
        });
    }

    /// Narrows by equalities with an index each: the first that is asked for leads, others are tested.
    pub(crate) fn by_first_of(&mut self, columns: &[(&'static str, &'static str, Option<&str>)]) {
        let mut asked = columns
            .iter()
            .filter_map(|(column, index, value)| value.map(|value| (*column, *index, value)));
        if let Some((column, index, value)) = asked.next() {
            self.index = index;
            self.led_to(column, value);
        }
        for (column, _, value) in asked {
            self.tested.push(Condition {
                column,
                operator: "=",
                value: Value::Text(value.to_owned()),
            });
        }
    }

    /// Narrows by the creation instant, in whose order every index is.
    pub(crate) fn created(&mut self, span: &Span) {
        let from = Span { to: None, ..*span };
        self.led.extend(within("created_at", &from));
        // An index is entered at one place only: the end of the span is where the first page begins.
        if let Some(to) = span.to {
            self.begin = (to.0.saturating_add(1), "");
        }
    }

    /// Narrows by an instant that is tested.
    pub(crate) fn tested_within(&mut self, column: &'static str, span: &Span) {
        self.tested.extend(within(column, span));
    }

    /// Narrows by a number that is tested, and that nearly every row has.
    pub(crate) fn with(&mut self, column: &'static str, number: i64) {
        self.led.push(Condition {
            column,
            operator: "=",
            value: Value::Number(number),
        });
    }

    /// A page. It may have fewer rows than asked for, even none, and still name a next page: then so many rows were
    /// looked at that the rest is left to another call.
    pub(crate) async fn page<R>(
        &self,
        db: &mut SqliteConnection,
        page: &PageRequest,
        place: impl Fn(&R) -> Place,
    ) -> Result<Page<R>, Fault>
    where
        R: for<'row> FromRow<'row, SqliteRow> + Send + Unpin,
    {
        let after = page
            .after
            .as_ref()
            .map_or(NEWEST, |(at, id)| (*at, id.as_str()));
        let window = if self.tested.is_empty() {
            None
        } else {
            self.window(&mut *db, after).await?
        };
        let mut query = self.begin("SELECT *", after);
        if let Some((at, id)) = &window {
            query.push(" AND (created_at, id) >= (");
            query
                .push_bind(*at)
                .push(", ")
                .push_bind(id.as_str())
                .push(")");
        }
        push_all(&mut query, "+", &self.tested);
        query.push(" ORDER BY created_at DESC, id DESC LIMIT ");
        query.push_bind(i64::from(page.limit) + 1).push(" OFFSET ");
        query.push_bind(signed(page.offset));
        let mut items: Vec<R> = query
            .build_query_as()
            .fetch_all(db)
            .await
            .attempting(format_args!("list rows of {}", self.table))?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more {
            items.last().map(place)
        } else {
            window
        };
        Ok(Page { items, next })
    }

    /// How many rows there are.
    pub(crate) async fn count(&self, db: &mut SqliteConnection) -> Result<u64, Fault> {
        let mut query = self.begin("SELECT count(*)", NEWEST);
        push_all(&mut query, "+", &self.tested);
        let count: i64 = query
            .build_query_scalar()
            .fetch_one(db)
            .await
            .attempting(format_args!("count rows of {}", self.table))?;
        counter(count, "count")
    }

    /// Where the rows end that may be looked at, unless all may.
    async fn window(
        &self,
        db: &mut SqliteConnection,
        after: (i64, &str),
    ) -> Result<Option<Place>, Fault> {
        let mut query = self.begin("SELECT created_at, id", after);
        query.push(" ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ");
        query.push_bind(WINDOW_ROWS - 1);
        query
            .build_query_as()
            .fetch_optional(db)
            .await
            .attempting(format_args!("look ahead in {}", self.table))
    }

    fn begin(&self, what: &str, after: (i64, &str)) -> QueryBuilder<Sqlite> {
        let after = after.min(self.begin);
        let mut query = QueryBuilder::new(format!(
            "{what} FROM {} INDEXED BY {} WHERE (created_at, id) < (",
            self.table, self.index
        ));
        query
            .push_bind(after.0)
            .push(", ")
            .push_bind(after.1.to_owned())
            .push(")");
        push_all(&mut query, "", &self.led);
        query
    }
}

fn within(column: &'static str, span: &Span) -> Vec<Condition> {
    let bound = |operator, instant: Option<Millis>| {
        instant.map(|at| Condition {
            column,
            operator,
            value: Value::Number(at.0),
        })
    };
    let bounds = [bound(">=", span.from), bound("<=", span.to)];
    bounds.into_iter().flatten().collect()
}

/// Adds conditions; before one that is tested a plus, so that it isn't taken for one that leads.
fn push_all(query: &mut QueryBuilder<Sqlite>, plus: &str, conditions: &[Condition]) {
    for condition in conditions {
        query.push(format!(
            " AND {plus}{} {} ",
            condition.column, condition.operator
        ));
        match &condition.value {
            Value::Text(text) => query.push_bind(text.clone()),
            Value::Number(number) => query.push_bind(*number),
        };
    }
}

#[cfg(test)]
mod tests;
