//! Reads a delivered file again, completely, and counts its rows.
//!
//! Proves that a file can be decoded and how many rows it holds; not that the rows are the right ones — digests do
//! that.
//!
//! The one law: a file that was cut short is never counted.

mod json;
mod parquet;

use std::io;

use ::parquet::file::reader::ChunkReader;
use flate2::read::MultiGzDecoder;
use offtake_model::{Compression, FileType, OutputEncoding};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Rows.
    pub rows: u64,
}

/// Why a file could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It ends before its format says so.
    #[error("it is cut short: {place}")]
    Truncated {
        /// Where the end was missed.
        place: String,
    },
    /// It is not what its name says.
    #[error("it is damaged: {place}")]
    Corrupt {
        /// What does not decode, and where.
        place: String,
    },
    /// It could not be read.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
}

/// Decodes a delivered file: an open one, or its bytes.
pub fn inspect<R: ChunkReader + 'static>(
    reader: R,
    encoding: OutputEncoding,
) -> Result<Inspection, DecodeError> {
    let rows = match encoding.file_type {
        FileType::Parquet => parquet::count(reader)?,
        FileType::Json => {
            let bytes = reader
                .get_read(0)
                .map_err(|error| DecodeError::Io(io::Error::other(error)))?;
            match encoding.compression {
                Compression::None => json::count(bytes)?,
                Compression::Gzip => json::count(MultiGzDecoder::new(bytes))?,
            }
        }
    };
    Ok(Inspection { rows })
}
