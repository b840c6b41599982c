//! Files read back by other readers than ours, and by `decode`.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int32Builder,
    Int64Array, ListArray, MapBuilder, StringArray, StringBuilder, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_encode::decode::{DecodeError, inspect};
use offtake_encode::{Encoder, RowEncoder, open};
use offtake_model::{GzipLevel, GzipMembers, GzipRules, OutputEncoding};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::support::{JSON, JSON_GZ, PARQUET, PARQUET_GZ, encode};

/// A row of the types on which arrow-json and Spark agree.
#[derive(Clone, Debug)]
struct Row {
    text: Option<String>,
    number: Option<i64>,
    flag: Option<bool>,
    nested: Option<(Option<i32>, Option<String>)>,
    list: Option<Vec<Option<i64>>>,
    double: Option<f64>,
    decimal: Option<i64>,
    /// Spark writes null values, arrow-json does not.
    map: Option<Vec<(String, i32)>>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = prop_oneof![
        ".{0,40}",
        "[\\x00-\\x7f]{0,12}",
        "(one|two|three)",
        "\\PC{0,300}"
    ];
    // Few values again and again, as tables have them.
    let number = prop_oneof![any::<i64>(), 0_i64..8];
    let double = prop_oneof![any::<f64>(), Just(0.0), Just(1.0e7), Just(1.0e-3)];
    let finite = double.prop_filter("JSON has no other", |it| it.is_finite());
    let key = "[\\x00-\\x7f]{0,6}";
    let row = (
        of(text),
        of(number),
        of(any::<bool>()),
        of((of(any::<i32>()), of("[\\x00-\\x7f]{0,12}"))),
        of(vec(of(any::<i64>()), 0..4)),
        of(finite),
        of(-1_000_000_000_000_i64..1_000_000_000_000),
        of(vec((key, any::<i32>()), 0..3)),
    );
    let row = row.prop_map(
        |(text, number, flag, nested, list, double, decimal, map)| Row {
            text,
            number,
            flag,
            nested,
            list,
            double,
            decimal,
            map: map.map(|mut entries| {
                entries.sort();
                entries.dedup_by(|one, other| one.0 == other.0);
                entries
            }),
        },
    );
    vec(row, 0..40)
}

fn batch_of(rows: &[Row]) -> RecordBatch {
    let text: StringArray = rows.iter().map(|row| row.text.as_deref()).collect();
    let view: StringViewArray = rows.iter().map(|row| row.text.as_deref()).collect();
    let number: Int64Array = rows.iter().map(|row| row.number).collect();
    let flag: BooleanArray = rows.iter().map(|row| row.flag).collect();
    let double: Float64Array = rows.iter().map(|row| row.double).collect();
    let decimal: Decimal128Array = rows.iter().map(|row| row.decimal.map(i128::from)).collect();
    let inner_number: Int32Array = rows.iter().map(|row| row.nested.as_ref()?.0).collect();
    let inner_text: StringArray = rows
        .iter()
        .map(|row| row.nested.as_ref()?.1.clone())
        .collect();
    let nested = StructArray::new(
        Fields::from(vec![
            Field::new("n\"r", DataType::Int32, true),
            Field::new("t", DataType::Utf8, true),
        ]),
        vec![Arc::new(inner_number), Arc::new(inner_text)],
        Some(rows.iter().map(|row| row.nested.is_some()).collect()),
    );
    let list =
        ListArray::from_iter_primitive::<Int64Type, _, _>(rows.iter().map(|row| row.list.clone()));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in rows {
        for (key, value) in row.map.iter().flatten() {
            map.keys().append_value(key);
            map.values().append_value(*value);
        }
        map.append(row.map.is_some()).unwrap();
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(text)),
        ("view", Arc::new(view)),
        ("number", Arc::new(number)),
        ("flag", Arc::new(flag)),
        ("nested", Arc::new(nested)),
        ("list", Arc::new(list)),
        ("double", Arc::new(double)),
        (
            "decimal",
            Arc::new(decimal.with_precision_and_scale(18, 4).unwrap()),
        ),
        ("map", Arc::new(map.finish())),
    ];
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn batches() -> impl Strategy<Value = RecordBatch> {
    rows().prop_map(|rows| batch_of(&rows))
}

/// More where the long tests are asked for.
fn cases() -> u32 {
    let asked = std::env::var("OFFTAKE_DEEP_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(256)
}

fn by_arrow_json(batch: &RecordBatch) -> Vec<serde_json::Value> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    values(&writer.into_inner())
}

fn values(lines: &[u8]) -> Vec<serde_json::Value> {
    let lines = std::str::from_utf8(lines).unwrap();
    let parsed = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

fn gunzip(file: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_end(&mut text)
        .unwrap();
    text
}

/// About three megabytes of text in one batch.
fn large() -> RecordBatch {
    let ids: Int64Array = (0..3_000).collect();
    let texts: StringArray = (0..3_000_u64)
        .map(|n| Some(format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).repeat(64)))
        .collect();
    RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("text", Arc::new(texts) as ArrayRef),
    ])
    .unwrap()
}

#[test]
fn parts_encoded_apart_make_the_same_file() {
    let batch = large();
    let schema = offtake_encode::schema::from_arrow(&batch.schema()).unwrap();
    for encoding in [JSON, JSON_GZ] {
        let (pushed, whole) = encode(&batch, 7, encoding);
        let Encoder::Json(mut lines) = open(&schema, encoding).unwrap() else {
            panic!("JSON has parts");
        };
        let encoder = lines.parts();
        let mut parts = encoder.gather();
        let mut gathered: Vec<_> = (0..7).filter_map(|_| parts.push(batch.clone())).collect();
        gathered.extend(parts.rest());
        assert!(gathered.len() > 2, "{} parts", gathered.len());
        // The first is begun first; the others end in whatever order.
        let encoded = std::thread::scope(|scope| {
            let threads: Vec<_> = gathered
                .iter()
                .map(|rows| scope.spawn(|| encoder.encode(rows).unwrap()))
                .collect();
            let parts = threads.into_iter().map(|thread| thread.join().unwrap());
            parts.for_each(|part| lines.append(part));
            lines.complete()
        });
        let mut file = Vec::new();
        while let Some(bytes) = lines.drain() {
            file.extend_from_slice(&bytes);
        }
        assert!(file == pushed, "the bytes differ");
        assert_eq!(encoded, whole);
    }
}

#[test]
fn a_part_that_fails_lets_no_other_wait() {
    let batch = large();
    let other =
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    let schema = offtake_encode::schema::from_arrow(&other.unwrap().schema()).unwrap();
    let Encoder::Json(lines) = open(&schema, JSON_GZ).unwrap() else {
        panic!("JSON has parts");
    };
    let mut parts = lines.parts().gather();
    let gathered: Vec<_> = (0..4).filter_map(|_| parts.push(batch.clone())).collect();
    for rows in &gathered {
        assert!(
            lines.parts().encode(rows).is_err(),
            "two columns where one is planned"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn lines_mean_what_arrow_json_writes(batch in batches()) {
        let (file, encoded) = encode(&batch, 1, JSON);
        prop_assert_eq!(values(&file), by_arrow_json(&batch));
        prop_assert_eq!(encoded.rows, batch.num_rows() as u64);
        prop_assert_eq!(encoded.bytes, file.len() as u64);
    }

    #[test]
    fn gzip_holds_the_same_text(batch in batches(), times in 1_usize..200) {
        let (plain, _) = encode(&batch, times, JSON);
        let (packed, _) = encode(&batch, times, JSON_GZ);
        prop_assert_eq!(gunzip(&packed), plain);
    }
}

#[test]
fn finer_timestamps_have_as_many_digits_as_they_need() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "us",
            Arc::new(
                TimestampMicrosecondArray::from(vec![1_750_000_000_860_065]).with_timezone("UTC"),
            ),
        ),
        (
            "ms",
            Arc::new(TimestampMicrosecondArray::from(vec![-1_000]).with_timezone("UTC")),
        ),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![-1]))),
    ];
    let (file, _) = encode(&RecordBatch::try_from_iter(columns).unwrap(), 1, JSON);
    assert_eq!(
        String::from_utf8(file).unwrap(),
        "{\"us\":\"2025-06-15T15:06:40.860065Z\",\"ms\":\"1969-12-31T23:59:59.999Z\",\
         \"ns\":\"1969-12-31T23:59:59.999999999\"}\n"
    );
}

fn json_gz(level: GzipLevel, members: GzipMembers) -> OutputEncoding {
    OutputEncoding {
        gzip: GzipRules { level, members },
        ..JSON_GZ
    }
}

#[test]
fn rows_of_structure_are_one_member_and_others_several_unless_one_is_asked_for() {
    let single = json_gz(GzipLevel::Default, GzipMembers::Single);
    for (batch, encoding, one) in [
        (large(), JSON_GZ, true),
        (prose(), JSON_GZ, false),
        (prose(), single, true),
    ] {
        let (plain, encoded) = encode(&batch, 3, JSON);
        let (packed, _) = encode(&batch, 3, encoding);
        assert_eq!(encoded.rows, 9_000);
        assert_eq!(gunzip(&packed), plain);
        let mut first = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_end(&mut first)
            .unwrap();
        assert_eq!(first == plain, one);
    }
}

#[test]
fn a_file_without_rows_is_one_member() {
    for level in [GzipLevel::Default, GzipLevel::Fast] {
        let encoding = json_gz(level, GzipMembers::Several);
        let (packed, _) = encode(&large().slice(0, 0), 1, encoding);
        assert!(packed.starts_with(&[0x1F, 0x8B]), "{level:?}");
        assert!(gunzip(&packed).is_empty());
    }
}

#[test]
fn fast_gzip_holds_the_same_text_in_more_bytes() {
    let fast = json_gz(GzipLevel::Fast, GzipMembers::Several);
    let (plain, _) = encode(&prose(), 3, JSON);
    let (usual, _) = encode(&prose(), 3, JSON_GZ);
    let (packed, _) = encode(&prose(), 3, fast);
    assert_eq!(gunzip(&packed), plain);
    assert!(usual.len() < packed.len() && packed.len() < plain.len());
}

/// Nothing but text of words that begin alike, which one probe takes for each other.
fn prose() -> RecordBatch {
    let hash = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let word = |n: u64| format!("word{:x}", hash(hash(n) % 40 + 7));
    let texts: StringArray = (0..3_000_u64)
        .map(|row| Some((0..60).map(|nth| word(row * 60 + nth)).collect::<String>()))
        .collect();
    RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap()
}

#[test]
fn parquet_gives_the_rows_back() {
    for encoding in [PARQUET, PARQUET_GZ] {
        let (file, encoded) = encode(&large(), 3, encoding);
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file))
            .unwrap()
            .build()
            .unwrap();
        let read: Vec<_> = reader.map(Result::unwrap).collect();
        let read = concat_batches(&read[0].schema(), &read).unwrap();
        assert_eq!(read.num_rows(), 9_000);
        assert_eq!(encoded.rows, 9_000);
        for column in 0..2 {
            assert_eq!(
                read.slice(3_000, 3_000).column(column),
                large().column(column)
            );
        }
    }
}

#[test]
fn the_digest_is_of_the_bytes() {
    let (file, encoded) = encode(&large(), 1, PARQUET);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &file);
    assert_eq!(encoded.sha256, hex::encode(digest));
    assert_eq!(encoded.bytes, file.len() as u64);
}

#[test]
fn every_encoding_is_counted_again() {
    for encoding in [JSON, JSON_GZ, PARQUET, PARQUET_GZ] {
        let (file, _) = encode(&large(), 1, encoding);
        assert_eq!(inspect(Bytes::from(file), encoding).unwrap().rows, 3_000);
        let (file, _) = encode(&large().slice(0, 0), 1, encoding);
        assert_eq!(inspect(Bytes::from(file), encoding).unwrap().rows, 0);
    }
}

#[test]
fn a_file_cut_short_is_never_counted() {
    for encoding in [JSON, JSON_GZ, PARQUET, PARQUET_GZ] {
        let (file, _) = encode(&large(), 1, encoding);
        let file = Bytes::from(file);
        for cut in [file.len() - 1, file.len() - 20, file.len() / 2, 100] {
            let outcome = inspect(file.slice(..cut), encoding);
            assert!(
                matches!(outcome, Err(DecodeError::Truncated { .. })),
                "{encoding:?} cut to {cut}: {outcome:?}"
            );
        }
    }
}

#[test]
fn a_damaged_file_is_told_from_one_cut_short() {
    for encoding in [JSON, JSON_GZ, PARQUET, PARQUET_GZ] {
        let (mut file, _) = encode(&large(), 1, encoding);
        let middle = file.len() / 2;
        for byte in &mut file[middle..middle + 40] {
            *byte = 0xFF;
        }
        let outcome = inspect(Bytes::from(file), encoding);
        assert!(
            matches!(outcome, Err(DecodeError::Corrupt { .. })),
            "{encoding:?}: {outcome:?}"
        );
    }
}

#[test]
fn an_encoder_that_is_not_finished_leaves_no_parquet_file() {
    let schema = offtake_encode::schema::from_arrow(&large().schema()).unwrap();
    let mut encoder = open(&schema, PARQUET).unwrap();
    encoder.push(&large()).unwrap();
    let mut left = Vec::new();
    while let Some(bytes) = encoder.drain() {
        left.extend_from_slice(&bytes);
    }
    drop(encoder);
    assert!(ParquetRecordBatchReaderBuilder::try_new(Bytes::from(left)).is_err());
}

#[test]
fn map_keys_that_are_no_plain_values_are_refused() {
    use offtake_model::{DataType, ErrorCode, Field, Schema};
    let map = DataType::Map {
        key: Box::new(DataType::Struct(vec![Field::new(
            "a",
            DataType::Utf8,
            true,
        )])),
        value: Box::new(Field::new("value", DataType::Utf8, true)),
    };
    let schema = Schema {
        fields: vec![Field::new("tags", map, true)],
    };
    let fault = open(&schema, JSON).err().unwrap();
    assert_eq!(fault.code, ErrorCode::TypeNotSupported);
    assert!(fault.message.contains("tags"));
}

#[test]
fn binary_is_padded_base64() {
    let columns = [(
        "b",
        Arc::new(BinaryArray::from_vec(vec![
            b"",
            b"f",
            b"fo",
            b"foo",
            b"\xff\xfe\xfd\xfc",
        ])) as ArrayRef,
    )];
    let (file, _) = encode(&RecordBatch::try_from_iter(columns).unwrap(), 1, JSON);
    assert_eq!(
        String::from_utf8(file).unwrap(),
        "{\"b\":\"\"}\n{\"b\":\"Zg==\"}\n{\"b\":\"Zm8=\"}\n{\"b\":\"Zm9v\"}\n{\"b\":\"//79/A==\"}\n"
    );
}
