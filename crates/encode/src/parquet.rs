//! Parquet files, written row group by row group.
//!
//! The open row group is kept encoded in memory and leaves as a whole; its columns may be encoded at the same time.
//! File metadata holds no Arrow schema: Parquet's own types say everything the dataset's schema says.
//!
//! The one law: the footer is written by `finish` and nowhere else.

mod group;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_model::{Compression, ErrorCode, Fault, OutputEncoding, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowRowGroupWriterFactory, ArrowWriterOptions,
};
use parquet::basic::{Compression as Codec, GzipLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::encoder::{Encoded, RowEncoder};
use crate::gzip::level;
use crate::output::Output;
use crate::schema::{Form, to_arrow_as};
use group::RowGroup;

pub use group::{ColumnDone, ColumnWork, Run};

/// What every Parquet file says of its writer.
pub(crate) const CREATED_BY: &str = concat!("offtake version ", env!("CARGO_PKG_VERSION"));

/// Writes the rows of one Parquet file.
pub struct ParquetRows {
    schema: Schema,
    encoding: OutputEncoding,
    /// Opened by the first batch, whose form of text and bytes it then expects of all.
    writer: Option<Writer>,
    rows: u64,
}

struct Writer {
    schema: SchemaRef,
    file: SerializedFileWriter<Output>,
    columns: ArrowRowGroupWriterFactory,
    open: Option<RowGroup>,
}

impl ParquetRows {
    /// Starts a file of that schema.
    pub fn open(schema: &Schema, encoding: OutputEncoding) -> Result<Self, Fault> {
        // What cannot be written is refused before the first row, not by it.
        Writer::open(to_arrow_as(schema, Form::Plain), encoding)?;
        Ok(Self {
            schema: schema.clone(),
            encoding,
            writer: None,
            rows: 0,
        })
    }

    /// Encodes a batch, the work of whose columns `run` does.
    pub fn push_by<E: From<Fault>>(
        &mut self,
        batch: &RecordBatch,
        run: &mut Run<'_, E>,
    ) -> Result<(), E> {
        let writer = self.writer(form_of(batch))?;
        let batch = RecordBatch::try_new(Arc::clone(&writer.schema), batch.columns().to_vec())
            .map_err(|error| {
                let attempted = "write Parquet rows in the planned schema";
                Fault::new(ErrorCode::Internal, attempted).because(&error)
            })?;
        writer.write(&batch, run)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Completes the file, as [`push_by`](Self::push_by) encodes it.
    pub fn finish_by<E: From<Fault>>(&mut self, run: &mut Run<'_, E>) -> Result<Encoded, E> {
        let rows = self.rows;
        let writer = self.writer(Form::Plain)?;
        writer.close_group(run)?;
        let metadata = writer.file.finish().map_err(|error| failed(&error))?;
        let footer_rows = metadata.file_metadata().num_rows();
        if u64::try_from(footer_rows) != Ok(rows) {
            return Err(Fault::new(
                ErrorCode::RowsMismatch,
                format!(
                    "finish a Parquet file: {rows} rows were pushed, its footer says {footer_rows}"
                ),
            )
            .into());
        }
        Ok(writer.file.inner_mut().finish(rows))
    }

    fn writer(&mut self, form: Form) -> Result<&mut Writer, Fault> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::open(to_arrow_as(&self.schema, form), self.encoding)?,
        };
        Ok(self.writer.insert(writer))
    }
}

impl Writer {
    fn open(schema: SchemaRef, encoding: OutputEncoding) -> Result<Self, Fault> {
        let options = ArrowWriterOptions::new()
            .with_properties(properties(encoding))
            .with_skip_arrow_metadata(true);
        let file = ArrowWriter::try_new_with_options(Output::new(), Arc::clone(&schema), options)
            .and_then(ArrowWriter::into_serialized_writer);
        let (file, columns) = file.map_err(|error| {
            Fault::new(ErrorCode::TypeNotSupported, "start a Parquet file").because(&error)
        })?;
        Ok(Self {
            schema,
            file,
            columns,
            open: None,
        })
    }

    fn write<E: From<Fault>>(
        &mut self,
        batch: &RecordBatch,
        run: &mut Run<'_, E>,
    ) -> Result<(), E> {
        let mut start = 0;
        while start < batch.num_rows() {
            let group = match &mut self.open {
                Some(group) => group,
                none => {
                    let nth = self.file.flushed_row_groups().len();
                    let columns = self.columns.create_column_writers(nth);
                    none.insert(RowGroup::of(columns.map_err(|error| failed(&error))?))
                }
            };
            let fitting = group.room(batch.num_rows() - start);
            if fitting > 0 {
                group.encode(&self.schema, &batch.slice(start, fitting), run)?;
                start += fitting;
            }
            if fitting == 0 || group.full() {
                self.close_group(run)?;
            }
        }
        Ok(())
    }

    fn close_group<E: From<Fault>>(&mut self, run: &mut Run<'_, E>) -> Result<(), E> {
        let Some(group) = self.open.take() else {
            return Ok(());
        };
        let chunks = group.close(run)?;
        self.append(chunks).map_err(|error| failed(&error).into())
    }

    fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close().map(|_metadata| ())
    }
}

impl RowEncoder for ParquetRows {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        self.push_by(batch, &mut one_by_one)
    }

    fn drain(&mut self) -> Option<Bytes> {
        self.writer.as_mut()?.file.inner_mut().take()
    }

    fn finish(&mut self) -> Result<Encoded, Fault> {
        self.finish_by(&mut one_by_one)
    }
}

fn one_by_one(work: Vec<ColumnWork>) -> Result<Vec<ColumnDone>, Fault> {
    work.into_iter().map(ColumnWork::run).collect()
}

/// The form of a batch's text and bytes; any form if it has none.
fn form_of(batch: &RecordBatch) -> Form {
    if batch
        .columns()
        .iter()
        .any(|array| has_views(array.data_type()))
    {
        Form::Views
    } else {
        Form::Plain
    }
}

fn has_views(data_type: &DataType) -> bool {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other type is a leaf that has one form"
    )]
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::Struct(members) => members.iter().any(|member| has_views(member.data_type())),
        DataType::List(inner) | DataType::Map(inner, _) => has_views(inner.data_type()),
        _ => false,
    }
}

fn properties(encoding: OutputEncoding) -> WriterProperties {
    let gzip = || GzipLevel::try_new(level(encoding.gzip.level).unsigned_abs());
    let codec = match encoding.compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Gzip => Codec::GZIP(gzip().unwrap_or_default()),
    };
    WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(group::ROWS_MAX))
        .set_max_row_group_bytes(Some(group::BYTES_MAX))
        .set_coerce_types(true)
        .set_created_by(CREATED_BY.to_owned())
        .build()
}

fn failed(error: &ParquetError) -> Fault {
    Fault::new(ErrorCode::Internal, "write Parquet rows").because(error)
}
