//! JSON files: looked through once for their columns and their bad rows, then read once for their values.
//!
//! The one law: what the first look accepted, the second reads.

use std::sync::Arc;

use arrow::datatypes::{Fields, SchemaRef};
use arrow::json::reader::{Decoder, ReaderBuilder};
use offtake_model::Fault;
use offtake_model::batch::UploadPreview;
use serde_json::{Map, Value};

use super::pack::Packer;
use super::parts::Upload;
use super::records::{Record, Records};
use super::report::Report;
use super::shape::{Members, Node};
use super::{Format, unconvertible, unread};

/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;

/// Bytes of rows decoded at once.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Rows that a look reads for one that it shows.
const LOOKED_AT_FOR_ONE: usize = 100;

/// The JSON files of a batch.
pub(crate) struct Json {
    documents: bool,
    columns: Members,
}

impl Json {
    /// Files for a table of those columns.
    pub(crate) fn new(table: &Fields, documents: bool) -> Self {
        Self {
            documents,
            columns: Members::of_table(table),
        }
    }
}

impl Format for Json {
    fn survey(&mut self, file: &Upload, report: &mut Report) -> Result<(), Fault> {
        let mut records = Records::new(file.reader(), self.documents);
        while let Some((line, record)) = records.next().map_err(|error| unread(file, &error))? {
            report.rows += 1;
            let row = match record {
                Record::Row(row) => row,
                Record::Broken(reason) => {
                    report.bad(&file.name, line, reason);
                    continue;
                }
            };
            match serde_json::from_slice::<Node<'_>>(row) {
                Err(error) => report.bad(
                    &file.name,
                    line + error.line().saturating_sub(1) as u64,
                    what_is_wrong(&error),
                ),
                Ok(node) => {
                    if let Err(conflict) = self.columns.take(&node) {
                        report.bad(&file.name, line, conflict);
                    }
                }
            }
        }
        Ok(())
    }

    fn columns(&self) -> Fields {
        self.columns.to_fields()
    }

    fn convert(
        &self,
        file: &Upload,
        schema: &SchemaRef,
        packer: &mut Packer<'_>,
    ) -> Result<(), Fault> {
        let mut decoder = ReaderBuilder::new(Arc::clone(schema))
            .with_batch_size(BATCH_ROWS)
            .build_decoder()
            .map_err(|error| unconvertible(file, &error))?;
        let mut records = Records::new(file.reader(), self.documents);
        let (mut rows, mut bytes) = (0, 0);
        while let Some((_, record)) = records.next().map_err(|error| unread(file, &error))? {
            let Record::Row(row) = record else { continue };
            let read = decoder
                .decode(row)
                .and_then(|read| Ok(read + decoder.decode(b"\n")?))
                .map_err(|error| unconvertible(file, &error))?;
            rows += 1;
            bytes += read;
            if rows == BATCH_ROWS || bytes >= BATCH_BYTES {
                flush(file, &mut decoder, packer)?;
                (rows, bytes) = (0, 0);
            }
        }
        flush(file, &mut decoder, packer)
    }

    fn look(&self, file: &Upload, wanted: usize, preview: &mut UploadPreview) -> Result<(), Fault> {
        let mut records = Records::new(file.reader(), self.documents);
        // Rows that cannot be read count, too, so that a file of nothing else is not read to its end.
        for _ in 0..wanted.saturating_mul(LOOKED_AT_FOR_ONE) {
            if preview.rows.len() >= wanted {
                break;
            }
            let Some((_, record)) = records.next().map_err(|error| unread(file, &error))? else {
                break;
            };
            if let Record::Row(row) = record
                && let Ok(row) = serde_json::from_slice::<Map<String, Value>>(row)
            {
                preview.push(row.into_iter().collect());
            }
        }
        Ok(())
    }
}

fn flush(file: &Upload, decoder: &mut Decoder, packer: &mut Packer<'_>) -> Result<(), Fault> {
    match decoder
        .flush()
        .map_err(|error| unconvertible(file, &error))?
    {
        Some(batch) => packer.write(&batch),
        None => Ok(()),
    }
}

/// The parser's reason without its place, which is counted from the row's own beginning.
fn what_is_wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    format!("not JSON: {reason} at column {}", error.column())
}
