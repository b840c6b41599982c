//! Reads an uploaded file that lies in parts as if it lay in one.
//!
//! The one law: the parts are given in order and without a gap.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::uploads::PlacedPart;

const BUFFER_BYTES: usize = 256 * 1024;

/// An uploaded file.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    /// Its name.
    pub(crate) name: String,
    parts: Arc<Vec<(PlacedPart, File)>>,
    length: u64,
}

impl Upload {
    pub(crate) fn open(name: &str, parts: Vec<PlacedPart>) -> io::Result<Self> {
        let mut length = 0;
        let mut opened = Vec::new();
        for part in parts {
            // A part sent twice in other pieces could not have been placed; a gap ends what is read.
            if part.start == length {
                length = part.end;
                let file = File::open(&part.path)?;
                opened.push((part, file));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            parts: Arc::new(opened),
            length,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.length
    }

    /// A reader from the beginning.
    pub(crate) fn reader(&self) -> BufReader<Cursor> {
        BufReader::with_capacity(BUFFER_BYTES, self.cursor(0))
    }

    fn cursor(&self, at: u64) -> Cursor {
        Cursor {
            upload: self.clone(),
            at,
        }
    }
}

/// A place in an uploaded file.
pub(crate) struct Cursor {
    upload: Upload,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let parts = &self.upload.parts;
        let index = parts.partition_point(|(part, _)| part.end <= self.at);
        let Some((part, file)) = parts.get(index) else {
            return Ok(0);
        };
        let left = usize::try_from(part.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let Some(room) = buffer.get_mut(..wanted) else {
            return Ok(0);
        };
        let read = file.read_at(room, self.at - part.start)?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Upload {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Upload {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::with_capacity(8 * 1024, self.cursor(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if start.saturating_add(length as u64) > self.length {
            return Err(ParquetError::EOF(
                "the file refers to bytes that it does not have".to_owned(),
            ));
        }
        let mut bytes = vec![0; length];
        self.cursor(start).read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
