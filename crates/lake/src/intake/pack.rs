//! Packs rows into Parquet files of sensible size, in a folder of their batch below the table.
//!
//! The one law: a file that is answered is whole and durable.

use std::fs::File;
use std::io::BufWriter;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use offtake_model::{ErrorCode, Fault};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Managed;
use super::commit::{self, DataFile};
use crate::root::TableDir;

/// A file is closed when it has about this size, in bytes.
const FILE_BYTES: usize = 128 * 1024 * 1024;

/// Encoded bytes of a row group that are held in memory.
const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 131_072;

/// Writes the files of one batch.
pub(crate) struct Packer<'a> {
    managed: &'a Managed,
    folder: &'a str,
    schema: SchemaRef,
    open: Option<Open>,
    files: Vec<DataFile>,
}

struct Open {
    writer: ArrowWriter<BufWriter<File>>,
    path: String,
    rows: u64,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(
        managed: &'a Managed,
        folder: &'a str,
        schema: SchemaRef,
    ) -> Result<Self, Fault> {
        discard(managed, folder)?;
        managed
            .dir
            .create_dir_all(folder)
            .map_err(|error| unwritten(&managed.table, &error))?;
        Ok(Self {
            managed,
            folder,
            schema,
            open: None,
            files: Vec::new(),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        open.writer
            .write(batch)
            .map_err(|error| unwritten(&self.managed.table, &error))?;
        open.rows += batch.num_rows() as u64;
        if open.writer.in_progress_size() > ROW_GROUP_BYTES {
            open.writer
                .flush()
                .map_err(|error| unwritten(&self.managed.table, &error))?;
        }
        let size = open.writer.bytes_written() + open.writer.in_progress_size();
        if size > FILE_BYTES {
            return self.close(open);
        }
        self.open = Some(open);
        Ok(())
    }

    /// Closes the last file; answers all of them.
    pub(crate) fn finish(mut self) -> Result<Vec<DataFile>, Fault> {
        if let Some(open) = self.open.take() {
            self.close(open)?;
        }
        let folder = self.managed.dir.open_dir(self.folder);
        folder
            .and_then(|folder| commit::sync(&folder))
            .map_err(|error| unwritten(&self.managed.table, &error))?;
        Ok(self.files)
    }

    fn begin(&self) -> Result<Open, Fault> {
        let path = format!(
            "{}/part-{:05}.snappy.parquet",
            self.folder,
            self.files.len()
        );
        let file = self
            .managed
            .dir
            .create(&path)
            .map_err(|error| unwritten(&self.managed.table, &error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let file = BufWriter::new(file.into_std());
        let writer = ArrowWriter::try_new(file, SchemaRef::clone(&self.schema), Some(properties))
            .map_err(|error| unwritten(&self.managed.table, &error))?;
        Ok(Open {
            writer,
            path,
            rows: 0,
        })
    }

    fn close(&mut self, open: Open) -> Result<(), Fault> {
        let file = open
            .writer
            .into_inner()
            .map_err(|error| unwritten(&self.managed.table, &error))?
            .into_inner()
            .map_err(|error| unwritten(&self.managed.table, error.error()))?;
        let bytes = file
            .sync_all()
            .and_then(|()| file.metadata())
            .map_err(|error| unwritten(&self.managed.table, &error))?
            .len();
        self.files.push(DataFile {
            path: open.path,
            bytes,
            rows: open.rows,
        });
        Ok(())
    }
}

/// Removes what an earlier try wrote; it was never part of the table.
pub(crate) fn discard(managed: &Managed, folder: &str) -> Result<(), Fault> {
    match managed.dir.remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(unwritten(&managed.table, &error))
        }
        Err(_) | Ok(()) => Ok(()),
    }
}

/// The fault of a table that could not be written.
pub(crate) fn unwritten(table: &TableDir, error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::new(
        ErrorCode::SourceUnreachable,
        format!("table `{}` could not be written", table.name()),
    )
    .because(error)
}
