//! A part of a file in memory that answers as the whole file would.

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of a file from a position on.
pub struct Piece {
    /// Position of the first byte in the file.
    pub start: u64,
    /// The bytes.
    pub bytes: Bytes,
    /// Size of the whole file.
    pub file_bytes: u64,
}

impl Piece {
    fn from(&self, start: u64) -> Result<Bytes> {
        let offset = start.checked_sub(self.start);
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        offset
            .filter(|offset| *offset <= self.bytes.len())
            .map(|offset| self.bytes.slice(offset..))
            .ok_or_else(|| ParquetError::EOF(format!("byte {start} lies outside the column chunk")))
    }
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Piece {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let rest = self.from(start)?;
        if length > rest.len() {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} reach beyond their column chunk"
            )));
        }
        Ok(rest.slice(..length))
    }
}
