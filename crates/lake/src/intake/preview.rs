//! The first rows of a table, to look at.
//!
//! The one law: what could not be shown truly is refused, not approximated.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use arrow::json::ArrayWriter;
use bytes::Bytes;
use offtake_model::batch::Row;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::RangeReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

use crate::file::SourceFile;
use crate::log::LogListing;
use crate::root::{Roots, TableDir};
use crate::table::TableVersion;

/// A file of the lake as the Parquet reader wants it. The caller is not of the runtime's own threads and may wait.
struct Chunks(Arc<dyn RangeReader>);

/// A place in such a file.
struct Cursor {
    reader: Arc<dyn RangeReader>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self
            .reader
            .size()
            .min(self.at.saturating_add(buffer.len() as u64));
        if end <= self.at {
            return Ok(0);
        }
        let read = Handle::current().block_on(self.reader.read(self.at..end));
        let bytes = read.map_err(io::Error::other)?;
        self.at = end;
        bytes.as_ref().read(buffer)
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(Cursor {
            reader: Arc::clone(&self.0),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let range = start..start.saturating_add(length as u64);
        Handle::current()
            .block_on(self.0.read(range))
            .map_err(|fault| ParquetError::External(Box::new(fault)))
    }
}

/// The first rows of the latest version, in the order of its files' paths.
pub(crate) fn rows(table: &TableDir, roots: &Roots, wanted: usize) -> Result<Vec<Row>, Fault> {
    let listing = LogListing::read(table)?;
    let latest = listing.latest().unwrap_or_default();
    let version = TableVersion::load(table, &listing, latest)?;
    let mut rows = Vec::new();
    for slice in version.files(table, &listing, roots)?.slices {
        if rows.len() >= wanted {
            break;
        }
        let undecodable = |error: &(dyn std::error::Error + 'static)| {
            Fault::new(
                ErrorCode::SourceCorrupt,
                format!("source file `{}` cannot be decoded", slice.source.path),
            )
            .because(error)
        };
        if slice.mask.is_some() {
            return Err(Fault::new(
                ErrorCode::SourceFeatureUnsupported,
                format!(
                    "table `{}` has deletion vectors, which a preview cannot show",
                    table.name()
                ),
            ));
        }
        let file = Chunks(SourceFile::open(roots, &slice)?.into_reader());
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|it| it.with_limit(wanted - rows.len()).build())
            .map_err(|error| undecodable(&error))?;
        for batch in batches {
            let batch = batch.map_err(|error| undecodable(&error))?;
            let mut writer = ArrayWriter::new(Vec::new());
            writer
                .write(&batch)
                .and_then(|()| writer.finish())
                .map_err(|error| undecodable(&error))?;
            let bytes = writer.into_inner();
            let some: Vec<Row> =
                serde_json::from_slice(&bytes).map_err(|error| undecodable(&error))?;
            rows.extend(some.into_iter().map(|mut row| {
                let known = slice.constants.iter();
                let shown = known.filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
                row.extend(shown.map(|(name, value)| (name, value.into())));
                row
            }));
        }
    }
    rows.truncate(wanted);
    Ok(rows)
}
