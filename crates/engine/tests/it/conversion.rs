//! Files that differ from the planned schema.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, FixedSizeBinaryArray, Float32Array,
    Int32Array, LargeStringArray, StringArray, StructArray, TimestampMillisecondArray, UInt32Array,
};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Int32Type};
use arrow::record_batch::RecordBatch;
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, ErrorCode, Field, Schema};
use parquet::data_type::{Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::bench::{Bench, JSON, PARQUET, lines_of, parquet, rows_of, task};

fn schema(fields: Vec<Field>) -> Schema {
    Schema { fields }
}

fn utc() -> DataType {
    DataType::Timestamp {
        unit: TimestampUnit::Microsecond,
        utc: true,
    }
}

fn one_row() -> RecordBatch {
    let inner = StructArray::from(vec![
        (
            Arc::new(ArrowField::new("old", ArrowType::Utf8, true)),
            Arc::new(StringArray::from(vec!["o"])) as ArrayRef,
        ),
        (
            Arc::new(ArrowField::new("kept", ArrowType::Int32, true)),
            Arc::new(Int32Array::from(vec![5])) as ArrayRef,
        ),
    ]);
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        ("f", Arc::new(Float32Array::from(vec![0.5])) as ArrayRef),
        ("u", Arc::new(UInt32Array::from(vec![u32::MAX])) as ArrayRef),
        (
            "ms",
            Arc::new(TimestampMillisecondArray::from(vec![860])) as ArrayRef,
        ),
        ("inner", Arc::new(inner) as ArrayRef),
        ("dropped", Arc::new(Int32Array::from(vec![9])) as ArrayRef),
    ])
    .unwrap()
}

#[tokio::test]
async fn an_older_file_is_read_as_the_tables_schema_now() {
    let bench = Bench::default();
    let slice = bench.lake.put("a.parquet", parquet(&one_row(), 10));
    let planned = schema(vec![
        Field::new(
            "added",
            DataType::List(Box::new(Field::new("element", DataType::Utf8, true))),
            true,
        ),
        Field::new("ms", utc(), true),
        Field::new("u", DataType::Int64, true),
        Field::new("n", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new(
            "inner",
            DataType::Struct(vec![
                Field::new("kept", DataType::Int64, true),
                Field::new(
                    "added",
                    DataType::Struct(vec![Field::new("x", DataType::Date, true)]),
                    true,
                ),
            ]),
            true,
        ),
    ]);
    let (_, file) = bench
        .run(task(planned.clone(), vec![slice.clone()], JSON))
        .await
        .unwrap();
    assert_eq!(
        lines_of(&file),
        [r#"{"ms":"1970-01-01T00:00:00.860Z","u":4294967295,"n":1,"f":0.5,"inner":{"kept":5}}"#]
    );
    let (_, file) = bench
        .run(task(planned, vec![slice], PARQUET))
        .await
        .unwrap();
    let rows = rows_of(file);
    assert_eq!(rows.column(0).null_count(), 1);
    assert_eq!(rows.column(5).as_struct().num_columns(), 2);
}

#[tokio::test]
async fn mapped_columns_are_found_by_their_physical_names() {
    let bench = Bench::default();
    let slice = bench.lake.put("a.parquet", parquet(&one_row(), 10));
    let mut renamed = Field::new("number", DataType::Int32, true);
    renamed.physical_name = Some("n".to_owned());
    let mut swapped = Field::new("n", DataType::Int32, true);
    swapped.physical_name = Some("dropped".to_owned());
    let (_, file) = bench
        .run(task(schema(vec![renamed, swapped]), vec![slice], JSON))
        .await
        .unwrap();
    assert_eq!(lines_of(&file), [r#"{"number":1,"n":9}"#]);
}

#[tokio::test]
async fn two_planned_columns_may_come_from_one() {
    let bench = Bench::default();
    let slice = bench.lake.put("a.parquet", parquet(&one_row(), 10));
    let mut again = Field::new("again", DataType::Int64, true);
    again.physical_name = Some("n".to_owned());
    let planned = schema(vec![again, Field::new("n", DataType::Int32, true)]);
    let (_, file) = bench.run(task(planned, vec![slice], JSON)).await.unwrap();
    assert_eq!(lines_of(&file), [r#"{"again":1,"n":1}"#]);
}

#[tokio::test]
async fn constants_stand_in_every_row_and_above_the_file() {
    let bench = Bench::default();
    let rows = RecordBatch::try_from_iter([
        ("n", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ("m", Arc::new(Int32Array::from(vec![3, 3])) as ArrayRef),
    ])
    .unwrap();
    let mut slice = bench.lake.put("a.parquet", parquet(&rows, 10));
    let constant = |name: &str, text: Option<&str>| (name.to_owned(), text.map(str::to_owned));
    slice.constants = vec![
        constant("day", Some("2024-02-29")),
        constant("hour", Some("2024-02-29 07:00:00")),
        constant("price", Some("3.50")),
        constant("region", None),
        constant("n", Some("7")),
        constant("m", Some("8")),
    ];
    let mut price = Field::new(
        "price",
        DataType::Decimal {
            precision: 9,
            scale: 2,
        },
        true,
    );
    price.physical_name = Some("col-1".to_owned());
    // Renamed columns: the file's `m` is called `renamed` now, and `m` a partition column.
    let mut renamed = Field::new("renamed", DataType::Int32, true);
    renamed.physical_name = Some("m".to_owned());
    let planned = schema(vec![
        renamed,
        Field::new("n", DataType::Int32, true),
        Field::new("day", DataType::Date, true),
        Field::new("hour", utc(), true),
        price,
        Field::new("region", DataType::Utf8, true),
    ]);
    let (_, file) = bench.run(task(planned, vec![slice], JSON)).await.unwrap();
    let line =
        r#"{"renamed":3,"n":7,"day":"2024-02-29","hour":"2024-02-29T07:00:00.000Z","price":3.50}"#;
    assert_eq!(lines_of(&file), [line, line]);
}

#[tokio::test]
async fn a_file_of_nothing_but_constants_keeps_its_rows() {
    let bench = Bench::default();
    let mut slice = bench.lake.put("a.parquet", parquet(&one_row(), 10));
    slice.constants = vec![("day".to_owned(), Some("2024-02-29".to_owned()))];
    let planned = schema(vec![Field::new("day", DataType::Date, true)]);
    let (sealed, file) = bench.run(task(planned, vec![slice], JSON)).await.unwrap();
    assert_eq!(lines_of(&file), [r#"{"day":"2024-02-29"}"#]);
    assert_eq!(sealed.rows, 1);
}

#[tokio::test]
async fn large_dictionary_and_fixed_forms_become_plain_ones() {
    let bench = Bench::default();
    let dictionary: DictionaryArray<Int32Type> = vec!["d", "e", "d"].into_iter().collect();
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4], [5, 6]].iter()).unwrap();
    let rows = RecordBatch::try_from_iter([
        (
            "large",
            Arc::new(LargeStringArray::from(vec!["a", "b", "c"])) as ArrayRef,
        ),
        ("dictionary", Arc::new(dictionary) as ArrayRef),
        ("fixed", Arc::new(fixed) as ArrayRef),
        (
            "text_as_bytes",
            Arc::new(BinaryArray::from_vec(vec![b"x", b"y", b"z"])) as ArrayRef,
        ),
    ])
    .unwrap();
    let slice = bench.lake.put("a.parquet", parquet(&rows, 10));
    let planned = schema(vec![
        Field::new("large", DataType::Utf8, true),
        Field::new("dictionary", DataType::Utf8, true),
        Field::new("fixed", DataType::Binary, true),
        Field::new("text_as_bytes", DataType::Utf8, true),
    ]);
    let (_, file) = bench.run(task(planned, vec![slice], JSON)).await.unwrap();
    assert_eq!(
        lines_of(&file)[2],
        r#"{"large":"c","dictionary":"d","fixed":"BQY=","text_as_bytes":"z"}"#
    );
}

/// A file with one column of the old 96-bit timestamps: nanoseconds of the day and Julian day.
fn int96_file() -> Vec<u8> {
    let message = Arc::new(parse_message_type("message m { OPTIONAL INT96 at; }").unwrap());
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, message, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let at = |julian_day: u32, nanos: u64| {
        let bytes = nanos.to_le_bytes();
        let word = |four: &[u8]| u32::from_le_bytes(four.try_into().unwrap());
        Int96::from(vec![word(&bytes[..4]), word(&bytes[4..]), julian_day])
    };
    // 1970-01-01 is Julian day 2,440,588; 9999-12-31 is 5,373,484.
    let values = [
        at(2_440_588, 1_500_000_000),
        at(5_373_484, 86_399_999_999_000),
    ];
    column
        .typed::<Int96Type>()
        .write_batch(&values, Some(&[1, 0, 1]), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn old_timestamps_reach_beyond_the_year_2262() {
    let bench = Bench::default();
    let slice = bench.lake.put("a.parquet", int96_file());
    let planned = schema(vec![Field::new("at", utc(), true)]);
    let (_, file) = bench.run(task(planned, vec![slice], JSON)).await.unwrap();
    assert_eq!(
        lines_of(&file),
        [
            r#"{"at":"1970-01-01T00:00:01.500Z"}"#,
            "{}",
            r#"{"at":"9999-12-31T23:59:59.999999Z"}"#
        ]
    );
}

#[tokio::test]
async fn a_type_that_does_not_fit_names_file_and_column() {
    let bench = Bench::default();
    let slice = bench.lake.put("deep/a.parquet", parquet(&one_row(), 10));
    let planned = schema(vec![Field::new(
        "inner",
        DataType::Struct(vec![Field::new("kept", DataType::Boolean, true)]),
        true,
    )]);
    let fault = bench.refuse(task(planned, vec![slice], JSON)).await;
    assert_eq!(fault.code, ErrorCode::SourceCorrupt);
    for part in [
        "deep/a.parquet",
        "column inner",
        "member kept",
        "Int32",
        "Boolean",
    ] {
        assert!(fault.message.contains(part), "{part}: {fault}");
    }
}

#[tokio::test]
async fn a_constant_that_does_not_parse_names_file_and_column() {
    let bench = Bench::default();
    let mut slice = bench.lake.put("a.parquet", parquet(&one_row(), 10));
    slice.constants = vec![("day".to_owned(), Some("tomorrow".to_owned()))];
    let planned = schema(vec![Field::new("day", DataType::Date, true)]);
    let fault = bench.refuse(task(planned, vec![slice], JSON)).await;
    assert_eq!(fault.code, ErrorCode::SourceCorrupt);
    assert!(fault.message.contains("a.parquet") && fault.message.contains("day"));
    assert!(!fault.message.contains("tomorrow"), "a value is row data");
}

#[tokio::test]
async fn a_null_where_the_table_has_none_is_a_corrupt_source() {
    let bench = Bench::default();
    let rows = RecordBatch::try_from_iter_with_nullable([(
        "n",
        Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
        true,
    )])
    .unwrap();
    let slice = bench.lake.put("a.parquet", parquet(&rows, 10));
    let planned = schema(vec![Field::new("n", DataType::Int32, false)]);
    let fault = bench.refuse(task(planned, vec![slice], JSON)).await;
    assert_eq!(fault.code, ErrorCode::SourceCorrupt);
    assert!(fault.message.contains("a.parquet"));
}
