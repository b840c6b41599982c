//! Parts of a file that are encoded apart from each other, so that several threads can work on one file.
//!
//! Where a part ends depends on the rows and on where they are cut, which follows their source: the same rows of the
//! same files make the same bytes, whoever encodes them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::gzip::Sum;

/// Batches of a part at most.
const BATCHES_MAX: usize = 4 << 10;

/// What a number, an instant or a flag takes as text, about.
const SHORT_BYTES: usize = 8;

/// Quotes, colon and comma of a member.
const MEMBER_BYTES: usize = 4;

/// Gathers batches into parts.
pub struct Parts {
    open: Rows,
    /// Text that a part has about.
    enough_bytes: usize,
}

/// The rows of one part.
#[derive(Default)]
pub struct Rows {
    /// Ordinal of the part.
    pub(crate) nth: u64,
    /// Its batches.
    pub(crate) batches: Vec<RecordBatch>,
    /// Bytes that they take as text, about.
    pub(crate) text_bytes: usize,
}

/// An encoded part.
pub struct Part {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    /// Of its text, when parts are joined to one gzip member.
    pub(crate) sum: Option<Sum>,
}

impl Rows {
    /// Adds rows.
    pub fn add(&mut self, batch: RecordBatch) {
        let names = batch.schema_ref().fields().iter();
        let names: usize = names.map(|field| field.name().len() + MEMBER_BYTES).sum();
        let values: usize = batch
            .columns()
            .iter()
            .map(|it| text_bytes(it.as_ref()))
            .sum();
        self.text_bytes += values + names * batch.num_rows();
        self.batches.push(batch);
    }
}

impl Part {
    /// Rows of the part.
    pub const fn rows(&self) -> u64 {
        self.rows
    }
}

impl Parts {
    pub(crate) const fn of(enough_bytes: usize) -> Self {
        Self {
            open: Rows {
                nth: 0,
                batches: Vec::new(),
                text_bytes: 0,
            },
            enough_bytes,
        }
    }

    /// Adds rows; answers a part when there are enough of them.
    pub fn push(&mut self, batch: RecordBatch) -> Option<Rows> {
        self.open.add(batch);
        let enough =
            self.open.text_bytes >= self.enough_bytes || self.open.batches.len() >= BATCHES_MAX;
        enough.then(|| self.take())
    }

    /// The rows so far, as a part, if there are any.
    pub fn cut(&mut self) -> Option<Rows> {
        (!self.open.batches.is_empty()).then(|| self.take())
    }

    /// The rows that are left, as a part. A file without rows has one without rows.
    pub fn rest(&mut self) -> Option<Rows> {
        (self.open.nth == 0 || !self.open.batches.is_empty()).then(|| self.take())
    }

    /// The rows so far, as a part, even if there are none: others may be added to it.
    pub fn take(&mut self) -> Rows {
        let next = Rows {
            nth: self.open.nth + 1,
            ..Rows::default()
        };
        std::mem::replace(&mut self.open, next)
    }
}

/// Bytes that the values take as text, about.
fn text_bytes(array: &dyn Array) -> usize {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other type is a short value, or is not encoded at all"
    )]
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            let members = columns.map(|(column, field)| {
                let present = column.len() - column.null_count();
                text_bytes(column.as_ref()) + present * (field.name().len() + MEMBER_BYTES)
            });
            members.sum()
        }
        DataType::List(_) => text_bytes(array.as_list::<i32>().values()),
        DataType::Map(..) => {
            let map = array.as_map();
            text_bytes(map.keys()) + text_bytes(map.values())
        }
        DataType::Utf8 => array.as_string::<i32>().value_data().len(),
        DataType::Binary => array.as_binary::<i32>().value_data().len(),
        DataType::Utf8View => view_bytes(array.as_string_view().views()),
        DataType::BinaryView => view_bytes(array.as_binary_view().views()),
        _ => (array.len() - array.null_count()) * SHORT_BYTES,
    }
}

/// A view's length is its lowest 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper bits are no length"
)]
fn view_bytes(views: &[u128]) -> usize {
    views.iter().map(|view| *view as u32 as usize).sum()
}
