//! The JSON rendering against a table that Spark wrote, as Parquet and as JSON (`golden/make.py`).

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::support::{JSON, encode};

const ROWS: &[u8] = include_bytes!("golden/rows.parquet");
const LINES: &str = include_str!("golden/rows.json");

fn rows() -> RecordBatch {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from_static(ROWS), options)
            .unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

#[test]
fn every_row_of_the_golden_table_is_written_as_spark_writes_it() {
    let (file, encoded) = encode(&rows(), 1, JSON);
    let written = String::from_utf8(file).unwrap();
    for (nth, (ours, theirs)) in written.lines().zip(LINES.lines()).enumerate() {
        assert_eq!(ours, theirs, "row {nth}");
    }
    assert_eq!(written, LINES);
    assert_eq!(encoded.rows, LINES.lines().count() as u64);
}
