//! Reads and bounds a Parquet file's footer.
//!
//! The one law: nothing a footer says is used before its size, its columns and its depth were found within bounds.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::RangeReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};
use parquet::schema::types::Type;

use crate::limits::Limits;

/// Length of the footer and closing magic.
const TAIL_BYTES: usize = 8;

/// Bytes of a file at least: two magics and the footer's length.
const BYTES_MIN: u64 = 12;

/// Read at once from the end of a file; most footers fit.
const GUESS_BYTES: u64 = 128 << 10;

const MAGIC: &[u8] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8] = b"PARE";

/// The end of a file, as read.
pub(crate) struct End {
    /// The footer, not decoded.
    pub(crate) footer: Bytes,
    /// The whole file, when it is so small that its end is all of it.
    pub(crate) whole: Option<Bytes>,
}

/// Reads the footer of the file of that name.
pub(crate) async fn read(
    name: &str,
    reader: &dyn RangeReader,
    limits: Limits,
) -> Result<End, Fault> {
    let size = reader.size();
    if size < BYTES_MIN {
        let message = format!("read the footer of {name}: {size} bytes are no Parquet file");
        return Err(Fault::new(ErrorCode::SourceCorrupt, message));
    }
    let start = size.saturating_sub(GUESS_BYTES);
    let end = reader.read(start..size).await?;
    let length = footer_length(name, &end, size, limits)?;
    let range = size - TAIL_BYTES as u64 - length..size - TAIL_BYTES as u64;
    let footer = match part(&end, start, &range) {
        Some(footer) => footer,
        None => reader.read(range).await?,
    };
    Ok(End {
        footer,
        whole: (start == 0).then_some(end),
    })
}

/// What a decoder says of a file that it cannot decode.
pub(crate) fn corrupt(name: &str, error: &ParquetError) -> Fault {
    Fault::new(ErrorCode::SourceCorrupt, format!("decode {name}")).because(error)
}

fn footer_length(name: &str, end: &[u8], size: u64, limits: Limits) -> Result<u64, Fault> {
    let damaged = |what: &str| {
        let message = format!("read the footer of {name}: {what}");
        Fault::new(ErrorCode::SourceCorrupt, message)
    };
    let (length, magic) = end
        .last_chunk::<TAIL_BYTES>()
        .map(|tail| tail.split_at(4))
        .ok_or_else(|| damaged("the file is too short to have one"))?;
    if magic == MAGIC_ENCRYPTED {
        return Err(Fault::new(
            ErrorCode::SourceFeatureUnsupported,
            format!("read {name}: its footer is encrypted"),
        ));
    }
    if magic != MAGIC {
        return Err(damaged("the file does not end like a Parquet file"));
    }
    let length = length.first_chunk().map_or(0, |it| u32::from_le_bytes(*it));
    let length = u64::from(length);
    if length > limits.footer_bytes_max {
        return Err(damaged("it is larger than the limit"));
    }
    if length + (TAIL_BYTES + MAGIC.len()) as u64 > size {
        return Err(damaged("it is larger than the file"));
    }
    Ok(length)
}

fn part(bytes: &Bytes, start: u64, range: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
    (to <= bytes.len()).then(|| bytes.slice(from..to))
}

/// Decodes what is wanted of a footer and holds it against the limits.
pub(crate) fn decode(
    name: &str,
    footer: &[u8],
    wanted: &ParquetMetaDataOptions,
    limits: Limits,
) -> Result<ParquetMetaData, Fault> {
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        ParquetMetaDataReader::decode_metadata_with_options(footer, Some(wanted))
    }));
    let refused = |what: String| {
        let message = format!("read the footer of {name}: {what}");
        Err(Fault::new(ErrorCode::SourceCorrupt, message))
    };
    let Ok(decoded) = decoded else {
        return refused("the decoder gave up on it".to_owned());
    };
    let metadata = decoded.map_err(|error| corrupt(name, &error))?;
    let schema = metadata.file_metadata().schema_descr();
    let columns = schema.num_columns();
    if columns > limits.columns_max {
        return refused(format!(
            "{columns} columns are more than the limit of {}",
            limits.columns_max
        ));
    }
    if deeper_than(schema.root_schema(), limits.nesting_max) {
        return refused(format!(
            "its columns are nested deeper than the limit of {} levels",
            limits.nesting_max
        ));
    }
    Ok(metadata)
}

fn deeper_than(node: &Type, levels: usize) -> bool {
    if !node.is_group() {
        return false;
    }
    let Some(below) = levels.checked_sub(1) else {
        return true;
    };
    node.get_fields()
        .iter()
        .any(|field| deeper_than(field, below))
}
