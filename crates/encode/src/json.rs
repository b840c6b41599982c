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

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_model::{Compression, Fault, Schema};

use crate::encoder::{Encoded, RowEncoder};
use crate::gzip::{Gzip, MEMBER_BYTES};
use crate::output::{CHUNK_BYTES, Output};
use column::Column;
use shape::Shape;

/// Room beyond a full buffer, so that the row that fills it seldom moves it.
const SLACK_BYTES: usize = 64 << 10;

/// Writes rows as lines.
pub struct JsonLines {
    shape: Shape,
    text: Vec<u8>,
    gzip: Option<Gzip>,
    output: Output,
    rows: u64,
}

impl JsonLines {
    /// Starts a file of that schema.
    pub fn open(schema: &Schema, compression: Compression) -> Result<Self, Fault> {
        Ok(Self {
            shape: Shape::of_rows(schema)?,
            text: Vec::new(),
            gzip: match compression {
                Compression::None => None,
                Compression::Gzip => Some(Gzip::new()),
            },
            output: Output::new(),
            rows: 0,
        })
    }

    const fn full(&self) -> usize {
        if self.gzip.is_some() {
            MEMBER_BYTES
        } else {
            CHUNK_BYTES
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if let Some(gzip) = &mut self.gzip {
            self.output.append(gzip.member(&self.text)?);
            self.text.clear();
            return Ok(());
        }
        let empty = Vec::with_capacity(CHUNK_BYTES + SLACK_BYTES);
        self.output.adopt(std::mem::replace(&mut self.text, empty));
        Ok(())
    }
}

impl RowEncoder for JsonLines {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        let full = self.full();
        // The columns borrow the shape for as long as they live, which `flush` must not.
        let shape = std::mem::take(&mut self.shape);
        let rows = Column::of_rows(&shape, batch);
        let outcome = rows.and_then(|rows| {
            for row in 0..batch.num_rows() {
                column::object(&rows, row, &mut self.text);
                self.text.push(b'\n');
                if self.text.len() >= full {
                    self.flush()?;
                }
            }
            Ok(())
        });
        self.shape = shape;
        self.rows += batch.num_rows() as u64;
        outcome
    }

    fn drain(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    fn finish(&mut self) -> Result<Encoded, Fault> {
        // An empty file would be no gzip file at all.
        if !self.text.is_empty() || (self.rows == 0 && self.gzip.is_some()) {
            self.flush()?;
        }
        Ok(self.output.finish(self.rows))
    }
}
