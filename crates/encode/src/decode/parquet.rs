//! Decodes every column of every row group of a Parquet file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

use crate::decode::DecodeError;

/// Rows decoded at once.
const BATCH_ROWS: usize = 1024;

/// First and last bytes of every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// Both magics and the footer's length.
const BYTES_MIN: u64 = 12;

pub(crate) fn count<R: ChunkReader + 'static>(reader: R) -> Result<u64, DecodeError> {
    check_ends(&reader)?;
    // The decoder may panic on a hostile file; to the caller that is a damaged file like any other.
    catch_unwind(AssertUnwindSafe(|| decode(reader))).unwrap_or_else(|_panic| {
        Err(DecodeError::Corrupt {
            place: "the decoder gave up on it".to_owned(),
        })
    })
}

fn check_ends<R: ChunkReader>(reader: &R) -> Result<(), DecodeError> {
    let bytes = reader.len();
    if bytes < BYTES_MIN {
        return Err(DecodeError::Truncated {
            place: format!("{bytes} bytes are no Parquet file"),
        });
    }
    let magic_at = |start| {
        let found = reader.get_bytes(start, MAGIC.len());
        found.map(|found| found.as_ref() == MAGIC).map_err(broken)
    };
    if !magic_at(0)? {
        return Err(DecodeError::Corrupt {
            place: "it does not begin like a Parquet file".to_owned(),
        });
    }
    if !magic_at(bytes - MAGIC.len() as u64)? {
        return Err(DecodeError::Truncated {
            place: "it does not end like a Parquet file".to_owned(),
        });
    }
    Ok(())
}

fn decode<R: ChunkReader + 'static>(reader: R) -> Result<u64, DecodeError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(reader, options).map_err(broken)?;
    let promised = builder.metadata().file_metadata().num_rows();
    let batches = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(broken)?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(|error| DecodeError::Corrupt {
            place: format!("after row {rows}: {error}"),
        })?;
        rows += batch.num_rows() as u64;
    }
    if u64::try_from(promised) != Ok(rows) {
        return Err(DecodeError::Corrupt {
            place: format!("its footer promises {promised} rows, it holds {rows}"),
        });
    }
    Ok(rows)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "given to map_err, which passes by value"
)]
fn broken(error: ParquetError) -> DecodeError {
    let place = error.to_string();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only a missed end is told apart"
    )]
    match error {
        ParquetError::EOF(_) | ParquetError::NeedMoreData(_) => DecodeError::Truncated { place },
        _ => DecodeError::Corrupt { place },
    }
}
