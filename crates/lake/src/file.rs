//! Source files: opened once, pinned by size, read by position.
//!
//! The one law: the bytes come from the planned file below its root, or there is a fault.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{ErrorCode, Fault, FileSlice, RowGroup};
use offtake_ports::RangeReader;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};

use crate::fault::{blocking, of_io};
use crate::path;
use crate::root::Roots;

/// Reads up to this many bytes are done at once; a local disk answers sooner than another thread would.
const INLINE_READ_MAX: u64 = 1024 * 1024;

/// Largest single read; a hostile footer could ask for anything.
const READ_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Largest Parquet footer that is decoded.
const FOOTER_BYTES_MAX: u64 = 64 * 1024 * 1024;

const FOOTER_TAIL_BYTES: u64 = 8;

/// An opened source file.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    file: Arc<File>,
    size: u64,
    name: Arc<str>,
}

impl SourceFile {
    /// Opens the slice's file without leaving its root, and compares its size with the planned one.
    pub(crate) fn open(roots: &Roots, slice: &FileSlice) -> Result<Self, Fault> {
        let name = format!("source file `{}`", slice.source.path);
        let path = path::relative(&slice.source.path)
            .ok()
            .filter(|path| !path.is_empty() && *path == slice.source.path)
            .ok_or_else(|| {
                Fault::new(
                    ErrorCode::SourceOutsideRoot,
                    format!("{name} has a path that is not allowed"),
                )
            })?;
        let failed = |error| of_io(ErrorCode::SourceVanished, &name, &error);
        let root = roots.open(&slice.source.root)?;
        // Asked first, because opening a pipe would wait for its other end.
        if !root.metadata(&path).map_err(failed)?.is_file() {
            return Err(Fault::new(
                ErrorCode::SourceChanged,
                format!("{name} is no longer a plain file"),
            ));
        }
        let file = root.open(&path).map_err(failed)?.into_std();
        let size = file.metadata().map_err(failed)?.len();
        if size != slice.bytes {
            return Err(Fault::new(
                ErrorCode::SourceChanged,
                format!(
                    "{name} has {size} bytes where the table's log says {}",
                    slice.bytes
                ),
            ));
        }
        Ok(Self {
            file: Arc::new(file),
            size,
            name: name.into(),
        })
    }

    fn read_now(&self, range: &Range<u64>) -> Result<Bytes, Fault> {
        let length = range.end.saturating_sub(range.start);
        if range.start > range.end || range.end > self.size || length > READ_BYTES_MAX {
            return Err(self.corrupt("it refers to bytes that it does not have"));
        }
        let length = usize::try_from(length).map_err(|_| self.corrupt("it is too large"))?;
        let mut buffer = vec![0; length];
        self.file
            .read_exact_at(&mut buffer, range.start)
            .map_err(|error| {
                if error.kind() == std::io::ErrorKind::UnexpectedEof {
                    return Fault::new(
                        ErrorCode::SourceChanged,
                        format!("{} became shorter while it was read", self.name),
                    );
                }
                of_io(ErrorCode::SourceVanished, &self.name, &error)
            })?;
        Ok(buffer.into())
    }

    /// Rows and compressed bytes of each row group, from the footer.
    fn row_groups(&self) -> Result<Vec<RowGroup>, Fault> {
        let body = self
            .size
            .checked_sub(FOOTER_TAIL_BYTES)
            .ok_or_else(|| self.corrupt("it is too short for a Parquet file"))?;
        let tail = self.read_now(&(body..self.size))?;
        let tail = FooterTail::try_from(tail.as_ref()).map_err(|error| {
            self.corrupt("it does not end as a Parquet file")
                .because(&error)
        })?;
        let length = tail.metadata_length() as u64;
        let start = body
            .checked_sub(length)
            .filter(|_| length <= FOOTER_BYTES_MAX && !tail.is_encrypted_footer())
            .ok_or_else(|| self.corrupt("its footer cannot be read"))?;
        let footer = self.read_now(&(start..body))?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer)
            .map_err(|error| self.corrupt("its footer cannot be decoded").because(&error))?;
        metadata
            .row_groups()
            .iter()
            .map(|group| {
                let rows = u64::try_from(group.num_rows());
                let bytes = u64::try_from(group.compressed_size());
                match (rows, bytes) {
                    (Ok(rows), Ok(bytes)) => Ok(RowGroup { rows, bytes }),
                    _ => Err(self.corrupt("a row group has a negative size")),
                }
            })
            .collect()
    }

    fn corrupt(&self, reason: &str) -> Fault {
        Fault::new(
            ErrorCode::SourceCorrupt,
            format!("{} cannot be decoded: {reason}", self.name),
        )
    }
}

/// Row groups of the slice's file.
pub(crate) fn row_groups(roots: &Roots, slice: &FileSlice) -> Result<Vec<RowGroup>, Fault> {
    SourceFile::open(roots, slice)?.row_groups()
}

#[async_trait]
impl RangeReader for SourceFile {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        if range.end.saturating_sub(range.start) <= INLINE_READ_MAX {
            return self.read_now(&range);
        }
        let file = self.clone();
        blocking(self.name.to_string(), move || file.read_now(&range)).await
    }
}
