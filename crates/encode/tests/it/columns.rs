//! Parquet files whose columns are encoded on several threads.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_encode::parquet::{ColumnDone, ColumnWork, ParquetRows, Run};
use offtake_encode::{Encoded, RowEncoder, schema};
use offtake_model::Fault;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;

use crate::support::{PARQUET, PARQUET_GZ};

/// Encodes the batches as one file, whose columns' work that does.
fn file_by(batches: &[RecordBatch], run: &mut Run<'_, Fault>) -> (Bytes, Encoded) {
    let schema = schema::from_arrow(&batches[0].schema()).unwrap();
    let mut encoder = ParquetRows::open(&schema, PARQUET).unwrap();
    let mut file = Vec::new();
    for batch in batches {
        encoder.push_by(batch, run).unwrap();
        while let Some(bytes) = encoder.drain() {
            file.extend_from_slice(&bytes);
        }
    }
    let encoded = encoder.finish_by(run).unwrap();
    while let Some(bytes) = encoder.drain() {
        file.extend_from_slice(&bytes);
    }
    (Bytes::from(file), encoded)
}

fn one_by_one(work: Vec<ColumnWork>) -> Result<Vec<ColumnDone>, Fault> {
    work.into_iter().map(ColumnWork::run).collect()
}

/// A thread for every column, the last column first.
fn all_at_once(work: Vec<ColumnWork>) -> Result<Vec<ColumnDone>, Fault> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = work
            .into_iter()
            .rev()
            .map(|column| scope.spawn(|| column.run()))
            .collect();
        let done = threads.into_iter().map(|thread| thread.join().unwrap());
        done.collect()
    })
}

fn hash(number: i64) -> u64 {
    number.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Rows whose text is about that long, and no part of which compresses.
fn rows(range: Range<i64>, text_length: usize) -> RecordBatch {
    let ids: Int64Array = range.clone().collect();
    let flags: BooleanArray = range.clone().map(|row| Some(row % 3 == 0)).collect();
    let lists = range.clone().map(|row| {
        let element = move |nth| (nth > 0).then_some(row + nth);
        (row % 4 > 0).then(|| (0..row % 4).map(element))
    });
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let texts: StringArray = range
        .map(|row| Some(format!("{:016x}", hash(row)).repeat(text_length / 16)))
        .collect();
    RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("flag", Arc::new(flags) as ArrayRef),
        ("list", Arc::new(lists) as ArrayRef),
        ("text", Arc::new(texts) as ArrayRef),
    ])
    .unwrap()
}

fn group_rows(file: &Bytes) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let groups = reader.metadata().row_groups().iter();
    groups.map(RowGroupMetaData::num_rows).collect()
}

#[test]
fn columns_encoded_apart_make_the_same_file() {
    let batches: Vec<_> = (0..23)
        .map(|nth| rows(nth * 2_000..(nth + 1) * 2_000, 1_600))
        .collect();
    let (file, encoded) = file_by(&batches, &mut one_by_one);
    let (other, counted) = file_by(&batches, &mut all_at_once);
    assert!(group_rows(&file).len() > 1, "{:?}", group_rows(&file));
    assert!(file == other, "the bytes differ");
    assert_eq!(encoded, counted);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let read: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    let read = concat_batches(&read[0].schema(), &read).unwrap();
    let pushed = concat_batches(&batches[0].schema(), &batches).unwrap();
    for name in ["id", "flag", "text"] {
        let same = read.column_by_name(name) == pushed.column_by_name(name);
        assert!(same, "column {name}");
    }
    assert_eq!(
        read["list"].as_list::<i32>().values(),
        pushed["list"].as_list::<i32>().values()
    );
}

#[test]
fn a_row_group_is_full_by_bytes_or_by_rows() {
    let batch = rows(0..25_000, 3_200);
    let (file, _) = file_by(&[batch], &mut all_at_once);
    // A first batch is taken whole: nothing is known of its rows before.
    assert_eq!(group_rows(&file), [25_000]);
    let batches: Vec<_> = (0..5)
        .map(|nth| rows(nth * 5_000..(nth + 1) * 5_000, 3_200))
        .collect();
    let (file, _) = file_by(&batches, &mut all_at_once);
    let groups = group_rows(&file);
    let expected = (64_i64 << 20) / 3_200;
    assert!(
        (expected * 9 / 10..=expected).contains(&groups[0]),
        "{groups:?}"
    );
    assert_eq!(groups.iter().sum::<i64>(), 25_000);
    let (file, _) = file_by(&[rows(0..1_000_001, 0)], &mut all_at_once);
    assert_eq!(group_rows(&file), [1_000_000, 1]);
}

#[test]
fn a_column_that_does_not_come_back_fails_the_file() {
    let batch = rows(0..10, 16);
    let schema = schema::from_arrow(&batch.schema()).unwrap();
    let lose_one = |mut work: Vec<ColumnWork>| {
        let _lost = work.pop();
        one_by_one(work)
    };
    let mut encoder = ParquetRows::open(&schema, PARQUET_GZ).unwrap();
    assert!(encoder.push_by(&batch, &mut { lose_one }).is_err());
    let mut encoder = ParquetRows::open(&schema, PARQUET_GZ).unwrap();
    encoder.push(&batch).unwrap();
    assert!(encoder.finish_by(&mut { lose_one }).is_err());
}
