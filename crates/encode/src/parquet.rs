//! Parquet files, written row group by row group.
//!
//! The open row group is kept encoded in memory and leaves as a whole. File metadata holds no Arrow schema: Parquet's
//! own types say everything the dataset's schema says.
//!
//! The one law: the footer is written by `finish` and nowhere else.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_model::{Compression, ErrorCode, Fault, OutputEncoding, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as Codec, GzipLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::encoder::{Encoded, RowEncoder};
use crate::gzip::level;
use crate::output::Output;
use crate::schema::{Form, to_arrow_as};

/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 1_000_000;

/// Encoded bytes of a row group at most; also what a task holds in memory for it.
const ROW_GROUP_BYTES: usize = 64 << 20;

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
    file: ArrowWriter<Output>,
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
            .map_err(|error| {
            Fault::new(ErrorCode::TypeNotSupported, "start a Parquet file").because(&error)
        })?;
        Ok(Self { schema, file })
    }
}

impl RowEncoder for ParquetRows {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        let writer = self.writer(form_of(batch))?;
        let batch = RecordBatch::try_new(Arc::clone(&writer.schema), batch.columns().to_vec())
            .map_err(|error| {
                let attempted = "write Parquet rows in the planned schema";
                Fault::new(ErrorCode::Internal, attempted).because(&error)
            })?;
        writer.file.write(&batch).map_err(|error| failed(&error))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn drain(&mut self) -> Option<Bytes> {
        self.writer.as_mut()?.file.inner_mut().take()
    }

    fn finish(&mut self) -> Result<Encoded, Fault> {
        let rows = self.rows;
        let file = &mut self.writer(Form::Plain)?.file;
        let metadata = file.finish().map_err(|error| failed(&error))?;
        let footer_rows = metadata.file_metadata().num_rows();
        if u64::try_from(footer_rows) != Ok(rows) {
            return Err(Fault::new(
                ErrorCode::RowsMismatch,
                format!(
                    "finish a Parquet file: {rows} rows were pushed, its footer says {footer_rows}"
                ),
            ));
        }
        Ok(file.inner_mut().finish(rows))
    }
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
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_coerce_types(true)
        .set_created_by(CREATED_BY.to_owned())
        .build()
}

fn failed(error: &ParquetError) -> Fault {
    Fault::new(ErrorCode::Internal, "write Parquet rows").because(error)
}
