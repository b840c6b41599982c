//! Encoding a batch to a file's bytes.

use arrow::record_batch::RecordBatch;
use offtake_encode::{Encoded, RowEncoder, open, schema};
use offtake_model::{Compression, FileType, OutputEncoding};

pub(crate) const JSON: OutputEncoding = OutputEncoding::new(FileType::Json, Compression::None);
pub(crate) const JSON_GZ: OutputEncoding = OutputEncoding::new(FileType::Json, Compression::Gzip);
pub(crate) const PARQUET: OutputEncoding =
    OutputEncoding::new(FileType::Parquet, Compression::None);
pub(crate) const PARQUET_GZ: OutputEncoding =
    OutputEncoding::new(FileType::Parquet, Compression::Gzip);

/// The bytes of a file with the rows of the batch, `times` over.
pub(crate) fn encode(
    batch: &RecordBatch,
    times: usize,
    encoding: OutputEncoding,
) -> (Vec<u8>, Encoded) {
    encode_all(&vec![batch.clone(); times], encoding)
}

/// The bytes of a file with the rows of the batches, one after the other.
pub(crate) fn encode_all(batches: &[RecordBatch], encoding: OutputEncoding) -> (Vec<u8>, Encoded) {
    let schema = schema::from_arrow(&batches[0].schema()).unwrap();
    let mut encoder = open(&schema, encoding).unwrap();
    let mut file = Vec::new();
    for batch in batches {
        encoder.push(batch).unwrap();
        while let Some(bytes) = encoder.drain() {
            file.extend_from_slice(&bytes);
        }
    }
    let encoded = encoder.finish().unwrap();
    while let Some(bytes) = encoder.drain() {
        file.extend_from_slice(&bytes);
    }
    (file, encoded)
}
