//! JSON Lines as Spark writes them (contract, D12).
//!
//! Null members are dropped, at the top and in nested objects; nulls stay in arrays and as map values. Columns are
//! prepared once per batch, then rows are gathered from them without allocating per value.
//!
//! The one law: one row, one line, whatever the row holds.

mod column;
mod number;
mod shape;
mod text;
mod time;

use std::ops::Range;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_model::{Compression, Fault, Schema};

use crate::deflate::RowGzip;
use crate::encoder::{Encoded, RowEncoder};
use crate::gzip::Gzip;
use crate::output::{CHUNK_BYTES, Output};
use column::{Column, MemberColumn};
use shape::Shape;

/// Room beyond a full buffer, so that the row that fills it seldom moves it.
const SLACK_BYTES: usize = 64 << 10;

/// Where the general compressor takes fewer bytes than these hundredths of a table's first block, the table has too
/// little structure for the other one.
const GENERAL_WINS_BELOW: usize = 91;

/// What rows are written to.
pub(crate) trait Lines {
    /// The open row, behind others.
    fn text(&mut self) -> &mut Vec<u8>;

    /// Says that what was written since `start` is a value of that path.
    fn leaf(&mut self, ordinal: u32, start: usize);

    /// Ends a row; answers whether there are enough of them for now.
    fn end_row(&mut self) -> bool;
}

/// Writes rows as lines.
pub struct JsonLines {
    shape: Shape,
    body: Body,
    output: Output,
    rows: u64,
}

/// Rows on their way to the output.
enum Body {
    Plain(Text),
    /// Compressed by what is known of their structure.
    Rows(Box<RowGzip>, Verdict),
    /// Compressed member by member, whatever they are.
    Members(Text, Box<Gzip>),
}

/// Whether a table has enough structure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// To be found with the first block.
    Open,
    Enough,
}

/// Plain lines, about [`CHUNK_BYTES`] of them.
#[derive(Default)]
struct Text(Vec<u8>);

impl Lines for Text {
    #[inline]
    fn text(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    #[inline]
    fn leaf(&mut self, _ordinal: u32, _start: usize) {}

    #[inline]
    fn end_row(&mut self) -> bool {
        self.0.len() >= CHUNK_BYTES
    }
}

impl Lines for RowGzip {
    #[inline]
    fn text(&mut self) -> &mut Vec<u8> {
        Self::text(self)
    }

    #[inline]
    fn leaf(&mut self, ordinal: u32, start: usize) {
        Self::leaf(self, ordinal, start);
    }

    #[inline]
    fn end_row(&mut self) -> bool {
        self.row()
    }
}

impl JsonLines {
    /// Starts a file of that schema.
    pub fn open(schema: &Schema, compression: Compression) -> Result<Self, Fault> {
        Ok(Self {
            shape: Shape::of_rows(schema)?,
            body: match compression {
                Compression::None => Body::Plain(Text::default()),
                Compression::Gzip => Body::Rows(Box::new(RowGzip::new()), Verdict::Open),
            },
            output: Output::new(),
            rows: 0,
        })
    }

    fn write(&mut self, rows: &[MemberColumn<'_>], count: usize) -> Result<(), Fault> {
        let mut range = 0..count;
        while !range.is_empty() {
            let full = match &mut self.body {
                Body::Plain(text) | Body::Members(text, _) => fill(text, rows, &mut range),
                Body::Rows(gzip, _) => fill(gzip.as_mut(), rows, &mut range),
            };
            if full {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Moves rows to the output.
    fn flush(&mut self) -> Result<(), Fault> {
        match &mut self.body {
            Body::Plain(text) => {
                let empty = Vec::with_capacity(CHUNK_BYTES + SLACK_BYTES);
                self.output.adopt(std::mem::replace(&mut text.0, empty));
            }
            Body::Members(text, gzip) => {
                self.output.append(gzip.member(&text.0)?);
                text.0.clear();
            }
            Body::Rows(gzip, Verdict::Enough) => {
                gzip.close_block();
                self.output.append(&gzip.take());
            }
            Body::Rows(gzip, verdict @ Verdict::Open) => {
                let mut general = Gzip::new();
                let general_bytes = general.member(gzip.open_block())?.len();
                gzip.close_block();
                let block = gzip.take();
                self.output.append(&block);
                *verdict = Verdict::Enough;
                if general_bytes * 100 < block.len() * GENERAL_WINS_BELOW {
                    gzip.finish();
                    self.output.append(&gzip.take());
                    self.body = Body::Members(Text::default(), Box::new(general));
                }
            }
        }
        Ok(())
    }

    fn finish_body(&mut self) -> Result<(), Fault> {
        match &mut self.body {
            Body::Plain(text) | Body::Members(text, _) if text.0.is_empty() => Ok(()),
            Body::Plain(_) | Body::Members(..) => self.flush(),
            Body::Rows(gzip, _) => {
                gzip.finish();
                self.output.append(&gzip.take());
                Ok(())
            }
        }
    }
}

/// Writes rows of the range until there are enough, and shortens it by them; answers whether there are enough.
fn fill(lines: &mut impl Lines, rows: &[MemberColumn<'_>], range: &mut Range<usize>) -> bool {
    for row in range.by_ref() {
        column::object(rows, row, lines);
        lines.text().push(b'\n');
        if lines.end_row() {
            return true;
        }
    }
    false
}

impl RowEncoder for JsonLines {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        // The columns borrow the shape for as long as they live, which `flush` must not.
        let shape = std::mem::take(&mut self.shape);
        let rows = Column::of_rows(&shape, batch);
        let outcome = rows.and_then(|rows| self.write(&rows, batch.num_rows()));
        self.shape = shape;
        self.rows += batch.num_rows() as u64;
        outcome
    }

    fn drain(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    fn finish(&mut self) -> Result<Encoded, Fault> {
        self.finish_body()?;
        Ok(self.output.finish(self.rows))
    }
}
