//! Source files: opened once, pinned by size, read by position.
//!
//! The one law: the bytes come from the planned file below its root, or there is a fault.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use offtake_model::{ErrorCode, Fault, FileSlice, RowGroup};
use offtake_ports::RangeReader;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use tokio::runtime::Handle;

use crate::path;
use crate::place::Place;
use crate::root::Roots;

/// Largest Parquet footer that is decoded.
const FOOTER_BYTES_MAX: u64 = 64 * 1024 * 1024;

const FOOTER_TAIL_BYTES: usize = 8;

/// Read at once from the end of a file; most footers fit.
const FOOTER_GUESS_BYTES: u64 = 64 * 1024;

/// An opened source file.
pub(crate) struct SourceFile {
    reader: Arc<dyn RangeReader>,
    name: String,
}

impl SourceFile {
    /// Opens the slice's file without leaving its root, and compares it with the planned one.
    pub(crate) fn open(roots: &Roots, slice: &FileSlice) -> Result<Self, Fault> {
        Self::open_in(roots.open(&slice.source.root)?.as_ref(), slice)
    }

    /// The same, when the root is open already.
    pub(crate) fn open_in(root: &dyn Place, slice: &FileSlice) -> Result<Self, Fault> {
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
        let opened = root
            .open(&path, &name)
            .map_err(|trouble| trouble.fault(ErrorCode::SourceVanished, &name))?;
        let size = opened.reader.size();
        if size != slice.bytes {
            return Err(Fault::new(
                ErrorCode::SourceChanged,
                format!(
                    "{name} has {size} bytes where {} were expected",
                    slice.bytes
                ),
            ));
        }
        if slice.etag.is_some() && slice.etag != opened.tag {
            return Err(Fault::new(
                ErrorCode::SourceChanged,
                format!("{name} was written again since it was planned"),
            ));
        }
        Ok(Self {
            reader: opened.reader,
            name,
        })
    }

    /// The opened bytes.
    pub(crate) fn into_reader(self) -> Arc<dyn RangeReader> {
        self.reader
    }

    /// Reads while the caller, who is not of the runtime's own threads, waits.
    fn read_now(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        Handle::current().block_on(self.reader.read(range))
    }

    /// The file's footer.
    pub(crate) fn footer(&self) -> Result<ParquetMetaData, Fault> {
        let size = self.reader.size();
        let body = size
            .checked_sub(FOOTER_TAIL_BYTES as u64)
            .ok_or_else(|| self.corrupt("it is too short for a Parquet file"))?;
        let end = self.read_now(size.saturating_sub(FOOTER_GUESS_BYTES)..size)?;
        let tail = end
            .split_last_chunk::<FOOTER_TAIL_BYTES>()
            .map(|(_, tail)| FooterTail::try_new(tail))
            .transpose()
            .map_err(|error| {
                self.corrupt("it does not end as a Parquet file")
                    .because(&error)
            })?
            .ok_or_else(|| self.corrupt("it is too short for a Parquet file"))?;
        let length = tail.metadata_length() as u64;
        let start = body
            .checked_sub(length)
            .filter(|_| length <= FOOTER_BYTES_MAX && !tail.is_encrypted_footer())
            .ok_or_else(|| self.corrupt("its footer cannot be read"))?;
        let held = size - end.len() as u64;
        let footer = match start.checked_sub(held).map(usize::try_from) {
            Some(Ok(at)) => end.slice(at..end.len() - FOOTER_TAIL_BYTES),
            Some(Err(_)) | None => self.read_now(start..body)?,
        };
        ParquetMetaDataReader::decode_metadata(&footer)
            .map_err(|error| self.corrupt("its footer cannot be decoded").because(&error))
    }

    /// Rows and compressed bytes of each row group, from the footer.
    pub(crate) fn row_groups(&self, footer: &ParquetMetaData) -> Result<Vec<RowGroup>, Fault> {
        footer
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

    pub(crate) fn corrupt(&self, reason: &str) -> Fault {
        Fault::new(
            ErrorCode::SourceCorrupt,
            format!("{} cannot be decoded: {reason}", self.name),
        )
    }
}

/// Row groups of the slice's file.
pub(crate) fn row_groups(roots: &Roots, slice: &FileSlice) -> Result<Vec<RowGroup>, Fault> {
    let file = SourceFile::open(roots, slice)?;
    file.row_groups(&file.footer()?)
}
