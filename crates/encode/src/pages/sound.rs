//! Finds damage in pages whose values nobody decodes.
//!
//! Looks at what a damaged page breaks first: the lengths that values say of themselves, and text that is no UTF-8.
//! Numbers are any bytes, so a damaged number passes as it would pass a decoder.

use parquet::basic::{ConvertedType, Encoding, LogicalType, Type};
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescriptor;

use crate::deflate::{Sizes, Values};

/// Bits of a dictionary's ordinal at most.
const ORDINAL_BITS_MAX: u8 = 32;

/// Bytes of zeros that may follow the last run.
const PADDING_BYTES_MAX: usize = 8;

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// What a column's pages must hold.
#[derive(Clone, Copy)]
pub(super) struct Soundness {
    physical: Type,
    width: Option<usize>,
    text: bool,
    levels: [bool; 2],
}

impl Soundness {
    pub(super) fn of(column: &ColumnDescriptor) -> Self {
        let physical = column.physical_type();
        let width = match physical {
            Type::INT32 | Type::FLOAT => Some(4),
            Type::INT64 | Type::DOUBLE => Some(8),
            Type::INT96 => Some(12),
            Type::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).ok(),
            Type::BOOLEAN | Type::BYTE_ARRAY => None,
        };
        let text = matches!(column.logical_type_ref(), Some(LogicalType::String))
            || column.converted_type() == ConvertedType::UTF8;
        Self {
            physical,
            width,
            text,
            levels: [column.max_rep_level() > 0, column.max_def_level() > 0],
        }
    }

    /// Looks at a decompressed page; answers where its values are, none of which lies beyond its end.
    pub(super) fn check(&self, page: &Page) -> Result<Values> {
        match page {
            Page::DictionaryPage {
                buf, num_values, ..
            } => {
                self.check_plain(buf, Some(*num_values as usize))?;
                Ok(Values {
                    start: 0,
                    sizes: self.sizes(Encoding::PLAIN),
                })
            }
            Page::DataPage { buf, encoding, .. } => {
                self.check_data(buf, self.levels_bytes(buf)?, *encoding)
            }
            Page::DataPageV2 {
                buf,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                self.check_data(buf, levels, *encoding)
            }
        }
    }

    fn check_data(&self, page: &[u8], start: usize, encoding: Encoding) -> Result<Values> {
        self.check_values(page.get(start..).ok_or_else(damaged)?, encoding)?;
        Ok(Values {
            start,
            sizes: self.sizes(encoding),
        })
    }

    /// How long values of that encoding are.
    fn sizes(&self, encoding: Encoding) -> Sizes {
        match (encoding, self.width) {
            (Encoding::PLAIN, Some(width)) => Sizes::Fixed(width),
            (Encoding::PLAIN, None) if self.physical == Type::BYTE_ARRAY => Sizes::Told,
            _ => Sizes::Unknown,
        }
    }

    /// The levels of a first-version page: each kind of them stands behind its length.
    fn levels_bytes(&self, page: &[u8]) -> Result<usize> {
        let mut rest = page;
        for _ in self.levels.iter().filter(|present| **present) {
            (_, rest) = sized(rest)?;
        }
        Ok(page.len() - rest.len())
    }

    fn check_values(&self, values: &[u8], encoding: Encoding) -> Result<()> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "other encodings have no lengths to look at"
        )]
        match encoding {
            Encoding::PLAIN if self.physical == Type::BYTE_ARRAY => self.check_plain(values, None),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => match values.split_first() {
                Some((bits, _)) if *bits > ORDINAL_BITS_MAX => Err(damaged()),
                Some((bits, runs)) => check_runs(runs, *bits),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Values one after the other, to the end of the page.
    fn check_plain(&self, values: &[u8], count: Option<usize>) -> Result<()> {
        if let (Some(width), Some(count)) = (self.width, count) {
            let whole = width.checked_mul(count) == Some(values.len());
            return if whole { Ok(()) } else { Err(damaged()) };
        }
        if self.physical != Type::BYTE_ARRAY {
            return Ok(());
        }
        let mut rest = values;
        let mut found = 0;
        while !rest.is_empty() {
            let value;
            (value, rest) = sized(rest)?;
            if self.text && std::str::from_utf8(value).is_err() {
                return Err(damaged());
            }
            found += 1;
        }
        match count {
            Some(count) if count != found => Err(damaged()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Runs of ordinals: each a count, then a repeated value or groups of eight packed ones.
fn check_runs(runs: &[u8], bits: u8) -> Result<()> {
    let mut rest = runs;
    while !rest.is_empty() {
        let (header, after) = varint(rest)?;
        let length = usize::try_from(header >> 1)?;
        if length == 0 {
            // Whatever follows an empty run is read by nobody.
            let padding = rest.len() <= PADDING_BYTES_MAX;
            return if padding { Ok(()) } else { Err(damaged()) };
        }
        let bytes = if header & 1 == 1 {
            length.checked_mul(usize::from(bits)).ok_or_else(damaged)?
        } else {
            usize::from(bits).div_ceil(8)
        };
        // The last packed groups may be cut off behind their last value.
        rest = after.get(bytes.min(after.len())..).unwrap_or_default();
    }
    Ok(())
}

/// A number of up to 32 bits, seven a byte, and the rest.
fn varint(bytes: &[u8]) -> Result<(u64, &[u8])> {
    let mut value = 0;
    for (nth, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * nth);
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(nth + 1..).unwrap_or_default()));
        }
    }
    Err(damaged())
}

/// Bytes behind their length, and the rest.
fn sized(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (length, rest) = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length))?;
    rest.split_at_checked(length).ok_or_else(damaged)
}

fn damaged() -> ParquetError {
    ParquetError::General("a page's values do not end where it ends".to_owned())
}
