//! The open row group, whose columns are encoded apart from each other.
//!
//! Where a row group ends depends on the rows alone, as `ArrowWriter` has it: the same rows make the same bytes,
//! whoever encodes the columns.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use offtake_model::{ErrorCode, Fault};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, compute_leaves,
};

use crate::parquet::failed;

/// Rows of a row group at most.
pub(super) const ROWS_MAX: usize = 1_000_000;

/// Encoded bytes of a row group at most; also what a task holds in memory for it.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// What is to be done for one column before the file goes on, on any thread.
pub struct ColumnWork {
    nth: usize,
    column: ArrowColumnWriter,
    step: Step,
}

enum Step {
    Encode(ArrowLeafColumn),
    Close,
}

/// A column whose work is done.
pub struct ColumnDone {
    nth: usize,
    state: State,
}

#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each column, and most are the larger one"
)]
enum State {
    Open(ArrowColumnWriter),
    Closed(ArrowColumnChunk),
}

/// Does the work of the columns, in any order and on any threads, and gives all of them back.
pub type Run<'a, E> = dyn FnMut(Vec<ColumnWork>) -> Result<Vec<ColumnDone>, E> + 'a;

impl State {
    fn open(self) -> Option<ArrowColumnWriter> {
        match self {
            Self::Open(column) => Some(column),
            Self::Closed(_) => None,
        }
    }

    fn closed(self) -> Option<ArrowColumnChunk> {
        match self {
            Self::Open(_) => None,
            Self::Closed(chunk) => Some(chunk),
        }
    }
}

impl ColumnWork {
    /// Does it.
    pub fn run(self) -> Result<ColumnDone, Fault> {
        let Self {
            nth,
            mut column,
            step,
        } = self;
        let state = match step {
            Step::Encode(values) => {
                column.write(&values).map_err(|error| failed(&error))?;
                State::Open(column)
            }
            Step::Close => State::Closed(column.close().map_err(|error| failed(&error))?),
        };
        Ok(ColumnDone { nth, state })
    }
}

/// A row group that takes rows.
pub(super) struct RowGroup {
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl RowGroup {
    pub(super) const fn of(columns: Vec<ArrowColumnWriter>) -> Self {
        Self { columns, rows: 0 }
    }

    /// How many of so many rows fit, as far as can be told by those before.
    pub(super) fn room(&self, rows: usize) -> usize {
        let rows = rows.min(ROWS_MAX.saturating_sub(self.rows));
        let bytes = self.bytes();
        let Some(average) = bytes.checked_div(self.rows).filter(|bytes| *bytes > 0) else {
            return rows;
        };
        rows.min(BYTES_MAX.saturating_sub(bytes) / average)
    }

    pub(super) fn full(&self) -> bool {
        self.rows >= ROWS_MAX || self.bytes() >= BYTES_MAX
    }

    /// Takes the rows, once their columns' work is done.
    pub(super) fn encode<E: From<Fault>>(
        &mut self,
        schema: &SchemaRef,
        batch: &RecordBatch,
        run: &mut Run<'_, E>,
    ) -> Result<(), E> {
        let mut leaves = Vec::with_capacity(self.columns.len());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            leaves.extend(compute_leaves(field, array).map_err(|error| failed(&error))?);
        }
        let columns = std::mem::take(&mut self.columns);
        let count = columns.len();
        let steps = leaves.into_iter().map(Step::Encode);
        let done = run(work(columns, steps))?;
        self.columns = in_order(done, count, State::open)?;
        self.rows += batch.num_rows();
        Ok(())
    }

    /// The columns as the file holds them.
    pub(super) fn close<E: From<Fault>>(
        self,
        run: &mut Run<'_, E>,
    ) -> Result<Vec<ArrowColumnChunk>, E> {
        let count = self.columns.len();
        let steps = std::iter::repeat_with(|| Step::Close);
        let done = run(work(self.columns, steps))?;
        Ok(in_order(done, count, State::closed)?)
    }

    fn bytes(&self) -> usize {
        let columns = self.columns.iter();
        columns
            .map(ArrowColumnWriter::get_estimated_total_bytes)
            .sum()
    }
}

fn work(columns: Vec<ArrowColumnWriter>, steps: impl Iterator<Item = Step>) -> Vec<ColumnWork> {
    let columns = columns.into_iter().zip(steps).enumerate();
    let work = columns.map(|(nth, (column, step))| ColumnWork { nth, column, step });
    work.collect()
}

/// The columns in the file's order, whoever was first. None may be missing.
fn in_order<T>(
    mut done: Vec<ColumnDone>,
    count: usize,
    state: fn(State) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    done.sort_unstable_by_key(|column| column.nth);
    let columns = done.into_iter().filter_map(|column| state(column.state));
    let columns: Vec<T> = columns.collect();
    if columns.len() == count {
        return Ok(columns);
    }
    Err(Fault::new(
        ErrorCode::Internal,
        format!(
            "write Parquet rows: {} of {count} columns came back",
            columns.len()
        ),
    ))
}
