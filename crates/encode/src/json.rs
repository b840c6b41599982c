//! JSON Lines as Spark writes them (contract, D12).
//!
//! Null members are dropped, at the top and in nested objects; nulls stay in arrays and as map values. Columns are
//! prepared once per batch, then rows are gathered from them without allocating per value.
//!
//! The one law: one row, one line, whatever the row holds.

mod body;
mod column;
mod number;
mod shape;
mod text;
mod time;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_model::{Compression, Fault, OutputEncoding, Schema};

use crate::encoder::{Encoded, RowEncoder};
use crate::gzip::Member;
use crate::output::Output;
use crate::part::{Part, Parts, Rows};
use crate::spare::Spares;
use body::{Body, Verdict};
use column::Column;
use shape::Shape;

pub(crate) use body::Lines;

/// Text of a part: plain, so that it stays in the processor's caches; and to be compressed, where every part begins
/// without anything to point back at.
const PLAIN_PART_BYTES: usize = 1 << 20;
const GZIP_PART_BYTES: usize = 2 << 20;

/// Room beyond what a part's rows are thought to take.
const SLACK_BYTES: usize = 64 << 10;

/// Room for a compressed part; some are larger.
const GZIP_ROOM_BYTES: usize = 1 << 20;

/// Writes rows as lines.
pub struct JsonLines {
    encoder: Arc<JsonParts>,
    parts: Parts,
    output: Output,
    /// The gzip member that parts are joined to, once there is one.
    member: Option<Member>,
    rows: u64,
}

/// Encodes the parts of one file, on as many threads as call it.
pub struct JsonParts {
    shape: Shape,
    compression: Compression,
    verdict: Verdict,
    spares: Spares,
}

impl JsonLines {
    /// Starts a file of that schema.
    pub fn open(schema: &Schema, encoding: OutputEncoding, spares: &Spares) -> Result<Self, Fault> {
        let encoder = JsonParts {
            shape: Shape::of_rows(schema)?,
            compression: encoding.compression,
            verdict: Verdict::under(encoding.gzip),
            spares: spares.clone(),
        };
        Ok(Self {
            parts: encoder.gather(),
            encoder: Arc::new(encoder),
            output: Output::new(),
            member: None,
            rows: 0,
        })
    }

    /// What encodes the parts of this file. Gather them, begin them in their order, and
    /// [`append`](Self::append) them in their order.
    pub fn parts(&self) -> Arc<JsonParts> {
        Arc::clone(&self.encoder)
    }

    /// Adds the next part.
    pub fn append(&mut self, part: Part) {
        self.rows += part.rows;
        if let Some(sum) = part.sum {
            let member = self.member.get_or_insert_with(|| {
                let (member, head) = Member::begin();
                self.output.append(&head);
                member
            });
            member.add(sum);
        }
        self.output.adopt(part.bytes);
    }

    /// Completes the file after its last part.
    pub fn complete(&mut self) -> Encoded {
        if let Some(member) = self.member.take() {
            self.output.append(&member.end());
        }
        self.output.finish(self.rows)
    }
}

impl JsonParts {
    /// Gathers rows into parts of this file.
    pub const fn gather(&self) -> Parts {
        Parts::of(match self.compression {
            Compression::None => PLAIN_PART_BYTES,
            Compression::Gzip => GZIP_PART_BYTES,
        })
    }

    /// Encodes a part. Every part but the first may wait until the first is encoded far enough to know how.
    pub fn encode(&self, rows: &Rows) -> Result<Part, Fault> {
        // Others must not wait for a first part that failed.
        let _settled = (rows.nth == 0).then(|| self.verdict.settled());
        let (mut body, mut out) = self.body(rows);
        let mut count = 0;
        for batch in &rows.batches {
            let columns = Column::of_rows(&self.shape, batch)?;
            body.write(&columns, batch.num_rows(), &mut out)?;
            count += batch.num_rows() as u64;
        }
        let sum = body.finish(&mut out)?.map(|(sum, compressor)| {
            self.spares.keep(*compressor);
            sum
        });
        Ok(Part {
            bytes: self.spares.texts().lend(out),
            rows: count,
            sum,
        })
    }

    /// Lets parts go on that wait for the first one, which will not come.
    pub fn give_up(&self) {
        drop(self.verdict.settled());
    }

    /// A part's rows on their way, and the buffer that they go to.
    fn body(&self, rows: &Rows) -> (Body<'_>, Vec<u8>) {
        let compressed = || self.spares.texts().take(GZIP_ROOM_BYTES);
        match self.compression {
            Compression::None => {
                let room = rows.text_bytes + SLACK_BYTES;
                let lines = self.spares.texts().take(room);
                (Body::plain(lines), Vec::new())
            }
            Compression::Gzip if rows.nth == 0 => (Body::first(&self.verdict), compressed()),
            Compression::Gzip => {
                let spare = self.spares.compressor().map(Box::new);
                (Body::other(&self.verdict, spare), compressed())
            }
        }
    }
}

impl RowEncoder for JsonLines {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        if let Some(rows) = self.parts.push(batch.clone()) {
            let part = self.encoder.encode(&rows)?;
            self.append(part);
        }
        Ok(())
    }

    fn drain(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    fn finish(&mut self) -> Result<Encoded, Fault> {
        if let Some(rows) = self.parts.rest() {
            let part = self.encoder.encode(&rows)?;
            self.append(part);
        }
        Ok(self.complete())
    }
}
