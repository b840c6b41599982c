//! The seam between a task that reads rows and the format its file has.
//!
//! An encoder holds about a chunk of finished bytes plus what its format must keep: for Parquet the open row group.
//!
//! The one law: a file is complete only after `finish`.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_model::{Fault, FileType, OutputEncoding, Schema};

use crate::json::JsonLines;
use crate::parquet::ParquetRows;
use crate::spare::Spares;

/// Turns batches into the bytes of one file.
///
/// `drain` after every `push`, and after `finish` until it answers `None`: the bytes in order are the file.
pub trait RowEncoder: Send {
    /// Encodes the rows of a batch whose columns have the types of the schema given to [`open`].
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Fault>;

    /// Takes finished bytes, when there are enough of them to be worth writing.
    fn drain(&mut self) -> Option<Bytes>;

    /// Completes the file. Nothing may be pushed afterwards.
    fn finish(&mut self) -> Result<Encoded, Fault>;
}

/// What a completed file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// An encoder of either format.
pub enum Encoder {
    /// JSON Lines, whose parts may be encoded at the same time.
    Json(Box<JsonLines>),
    /// Parquet.
    Parquet(Box<ParquetRows>),
}

/// Opens an encoder for files of that schema.
///
/// A column that the format cannot express is a [`TypeNotSupported`](offtake_model::ErrorCode::TypeNotSupported).
pub fn open(schema: &Schema, encoding: OutputEncoding) -> Result<Encoder, Fault> {
    open_with(schema, encoding, &Spares::new())
}

/// Opens an encoder as [`open`] does, which uses memory of those before it.
pub fn open_with(
    schema: &Schema,
    encoding: OutputEncoding,
    spares: &Spares,
) -> Result<Encoder, Fault> {
    Ok(match encoding.file_type {
        FileType::Json => Encoder::Json(Box::new(JsonLines::open(schema, encoding, spares)?)),
        FileType::Parquet => Encoder::Parquet(Box::new(ParquetRows::open(schema, encoding)?)),
    })
}

impl Encoder {
    fn rows(&mut self) -> &mut dyn RowEncoder {
        match self {
            Self::Json(json) => json.as_mut(),
            Self::Parquet(parquet) => parquet.as_mut(),
        }
    }
}

impl RowEncoder for Encoder {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        self.rows().push(batch)
    }

    fn drain(&mut self) -> Option<Bytes> {
        self.rows().drain()
    }

    fn finish(&mut self) -> Result<Encoded, Fault> {
        self.rows().finish()
    }
}
