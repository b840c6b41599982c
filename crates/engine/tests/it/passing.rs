//! Row groups that pass in their pages give the rows that decoding and encoding them gives.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapBuilder,
    RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Fields, Int32Type};
use bytes::Bytes;
use offtake_model::change::RowRange;
use offtake_model::delivery::Passage;
use offtake_model::{ErrorCode, OutputEncoding};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{BrotliLevel, Compression as Codec, Encoding, GzipLevel, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
    SortingColumn,
};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};

use crate::bench::{Bench, PARQUET, PARQUET_GZ, rows_of, schema_of, task};

const ROWS: i32 = 1_000;

fn some<T>(make: impl Fn(i32) -> T) -> impl Iterator<Item = Option<T>> {
    (0..ROWS).map(move |row| (row % 7 != 3).then(|| make(row)))
}
fn array<A: FromIterator<Option<T>> + Array + 'static, T>(make: impl Fn(i32) -> T) -> ArrayRef {
    Arc::new(some(make).collect::<A>())
}

fn list() -> ArrayRef {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>((0..ROWS).map(|row| {
        (row % 5 != 0).then(|| (0..row % 4).map(move |nth| (nth != 1).then_some(row + nth)))
    }));
    Arc::new(ListArray::new(
        Arc::new(ArrowField::new("element", ArrowType::Int32, true)),
        list.offsets().clone(),
        Arc::clone(list.values()),
        list.nulls().cloned(),
    ))
}

fn map() -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in 0..ROWS {
        for nth in 0..row % 3 {
            map.keys().append_value(format!("key {nth}"));
            map.values()
                .append_option((row % 2 == 0).then(|| format!("value {row}")));
        }
        map.append(row % 11 != 0).unwrap();
    }
    Arc::new(map.finish())
}

fn place() -> ArrayRef {
    let members = Fields::from(vec![
        ArrowField::new("city", ArrowType::Utf8, true),
        ArrowField::new("zip", ArrowType::Int64, true),
    ]);
    let inner: Vec<ArrayRef> = vec![
        array::<StringArray, _>(|row| format!("city {}", row % 10)),
        array::<Int64Array, _>(i64::from),
    ];
    let nulls = (0..ROWS).map(|row| row % 13 != 0).collect();
    Arc::new(StructArray::new(members, inner, Some(nulls)))
}

/// Every type a dataset may have, with nulls, repeated values and nesting.
fn every_type() -> RecordBatch {
    let decimal = |precision, scale| -> ArrayRef {
        let values: Decimal128Array = some(|row| i128::from(row) * 7 - 100).collect();
        Arc::new(values.with_precision_and_scale(precision, scale).unwrap())
    };
    RecordBatch::try_from_iter([
        ("bool", array::<BooleanArray, _>(|row| row % 2 == 0)),
        (
            "i8",
            array::<Int8Array, _>(|row| i8::try_from(row % 100).unwrap()),
        ),
        (
            "i16",
            array::<Int16Array, _>(|row| i16::try_from(row).unwrap()),
        ),
        ("i32", array::<Int32Array, _>(|row| row * 1_000_003)),
        ("i64", array::<Int64Array, _>(|row| i64::from(row) << 40)),
        (
            "f32",
            array::<Float32Array, _>(|row| f32::from(i16::try_from(row).unwrap()) / 3.0),
        ),
        ("f64", array::<Float64Array, _>(|row| f64::from(row) / 7.0)),
        (
            "text",
            array::<StringArray, _>(|row| format!("größe {}", row % 50)),
        ),
        (
            "bytes",
            Arc::new(some(i32::to_le_bytes).collect::<BinaryArray>()) as ArrayRef,
        ),
        ("date", array::<Date32Array, _>(|row| row * 10)),
        (
            "at",
            Arc::new(
                some(|row| i64::from(row) * 1_000_001)
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
        ),
        (
            "wall",
            array::<TimestampMillisecondArray, _>(|row| i64::from(row) * 86_400_000),
        ),
        ("small_decimal", decimal(9, 2)),
        ("decimal", decimal(18, 4)),
        ("large_decimal", decimal(38, 10)),
        ("list", list()),
        ("map", map()),
        ("place", place()),
    ])
    .unwrap()
}

/// A source file with everything that can be carried along.
fn source(rows: &RecordBatch, codec: Codec, version: WriterVersion) -> Vec<u8> {
    let properties = rich(codec, version).build();
    write(rows, properties)
}

fn rich(codec: Codec, version: WriterVersion) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(version)
        .set_max_row_group_row_count(Some(400))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(50)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_column_bloom_filter_enabled("text".into(), true)
        .set_column_dictionary_enabled("i64".into(), false)
        .set_column_encoding("i64".into(), Encoding::DELTA_BINARY_PACKED)
        .set_coerce_types(true)
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: 3,
            descending: false,
            nulls_first: true,
        }]))
}

fn write(rows: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}

fn footer(file: &Bytes) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(file)
        .unwrap()
}

async fn deliver(source: &Bytes, rows: &RecordBatch, encoding: OutputEncoding) -> Bytes {
    let bench = Bench::default();
    let slice = bench.lake.put("a.parquet", source.clone());
    let (sealed, file) = bench
        .run(task(schema_of(rows), vec![slice], encoding))
        .await
        .unwrap();
    assert_eq!(sealed.rows, u64::try_from(ROWS).unwrap());
    let codec = |file: &Bytes| footer(file).row_group(0).column(0).compression();
    let same = std::mem::discriminant(&codec(source)) == std::mem::discriminant(&codec(&file));
    let expected = if same {
        Passage::Copied
    } else {
        Passage::Recompressed
    };
    assert_eq!(sealed.passage, expected);
    file
}

#[tokio::test]
async fn every_type_and_codec_passes_with_the_rows_it_had() {
    let rows = every_type();
    let codecs = [
        Codec::UNCOMPRESSED,
        Codec::SNAPPY,
        Codec::GZIP(GzipLevel::default()),
        Codec::ZSTD(ZstdLevel::default()),
        Codec::LZ4_RAW,
        Codec::BROTLI(BrotliLevel::default()),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for codec in codecs {
            let source = Bytes::from(source(&rows, codec, version));
            for encoding in [PARQUET, PARQUET_GZ] {
                let file = deliver(&source, &rows, encoding).await;
                let told = format!("{codec} {version:?} {encoding:?}");
                assert_eq!(rows_of(file.clone()), rows_of(source.clone()), "{told}");
                assert_eq!(footer(&file).num_row_groups(), 3, "it was encoded: {told}");
            }
        }
    }
}

#[tokio::test]
async fn what_helps_readers_passes_along() {
    let rows = every_type();
    let source = Bytes::from(source(&rows, Codec::SNAPPY, WriterVersion::PARQUET_1_0));
    let before = footer(&source);
    for encoding in [PARQUET, PARQUET_GZ] {
        let file = deliver(&source, &rows, encoding).await;
        let after = footer(&file);
        assert_eq!(after.column_index(), before.column_index());
        let first_rows = |footer: &ParquetMetaData| {
            let index = footer.offset_index().unwrap();
            let pages = index
                .iter()
                .flatten()
                .flat_map(|chunk| &chunk.page_locations);
            pages.map(|page| page.first_row_index).collect::<Vec<_>>()
        };
        assert_eq!(first_rows(&after), first_rows(&before));
        for (after, before) in after.row_groups().iter().zip(before.row_groups()) {
            assert_eq!(after.sorting_columns(), before.sorting_columns());
            for (after, before) in after.columns().iter().zip(before.columns()) {
                assert_eq!(after.statistics(), before.statistics());
                assert_eq!(after.encodings_mask(), before.encodings_mask());
                assert_eq!(after.num_values(), before.num_values());
            }
            let text = &after.columns()[7];
            let filter = Sbbf::read_from_column_chunk(text, &file).unwrap().unwrap();
            assert!(filter.check(&"größe 7"));
            assert!(!filter.check(&"no such text"));
        }
    }
}

#[tokio::test]
async fn gzip_stays_as_it_is_byte_by_byte() {
    let rows = every_type();
    let codec = Codec::GZIP(GzipLevel::default());
    let source = Bytes::from(source(&rows, codec, WriterVersion::PARQUET_2_0));
    let file = deliver(&source, &rows, PARQUET_GZ).await;
    let chunks = |file: &Bytes| {
        let footer = footer(file);
        let columns = footer
            .row_groups()
            .iter()
            .flat_map(RowGroupMetaData::columns);
        let ranges: Vec<_> = columns.map(ColumnChunkMetaData::byte_range).collect();
        let cut = ranges.into_iter().map(|(start, length)| {
            let start = usize::try_from(start).unwrap();
            file.slice(start..start + usize::try_from(length).unwrap())
        });
        cut.collect::<Vec<_>>()
    };
    assert_eq!(chunks(&file), chunks(&source));
}

#[tokio::test]
async fn chosen_row_groups_pass_alone() {
    let rows = every_type();
    let bench = Bench::default();
    let source = Bytes::from(source(&rows, Codec::SNAPPY, WriterVersion::PARQUET_1_0));
    let mut slice = bench.lake.put("a.parquet", source);
    slice.row_groups = Some(vec![0, 2]);
    slice.rows = Some(600);
    let (sealed, file) = bench
        .run(task(schema_of(&rows), vec![slice], PARQUET_GZ))
        .await
        .unwrap();
    assert_eq!(sealed.rows, 600);
    let found = rows_of(file);
    assert_eq!(found.slice(0, 400), rows_of_same(&rows, 0, 400));
    assert_eq!(found.slice(400, 200), rows_of_same(&rows, 800, 200));
}

fn rows_of_same(rows: &RecordBatch, start: usize, length: usize) -> RecordBatch {
    let file = source(
        &rows.slice(start, length),
        Codec::SNAPPY,
        WriterVersion::PARQUET_1_0,
    );
    rows_of(Bytes::from(file))
}

#[tokio::test]
async fn a_range_of_rows_is_decoded() {
    let rows = every_type();
    let bench = Bench::default();
    let source = Bytes::from(source(&rows, Codec::SNAPPY, WriterVersion::PARQUET_1_0));
    let mut slice = bench.lake.put("a.parquet", source);
    let (first, count) = (390, 20);
    slice.row_range = Some(RowRange { first, count });
    let planned = task(schema_of(&rows), vec![slice], PARQUET_GZ);
    let (sealed, file) = bench.run(planned).await.unwrap();
    assert_eq!(sealed.rows, count);
    assert_eq!(rows_of(file), rows_of_same(&rows, 390, 20));
}

#[tokio::test]
async fn large_row_groups_pass_piece_by_piece() {
    let rows = every_type();
    let mut bench = Bench::default();
    bench.limits.fetch_bytes_max = 1_000;
    let source = Bytes::from(source(&rows, Codec::SNAPPY, WriterVersion::PARQUET_1_0));
    let slice = bench.lake.put("a.parquet", source.clone());
    let (_, file) = bench
        .run(task(schema_of(&rows), vec![slice], PARQUET_GZ))
        .await
        .unwrap();
    assert_eq!(rows_of(file), rows_of(source));
}

#[tokio::test]
async fn a_file_of_other_columns_is_decoded() {
    let rows = every_type();
    let bench = Bench::default();
    let source = Bytes::from(source(&rows, Codec::SNAPPY, WriterVersion::PARQUET_1_0));
    let slice = bench.lake.put("a.parquet", source);
    let mut schema = schema_of(&rows);
    schema.fields.retain(|field| field.name != "map");
    let (sealed, file) = bench
        .run(task(schema, vec![slice], PARQUET_GZ))
        .await
        .unwrap();
    assert_eq!(sealed.passage, Passage::Encoded);
    assert_eq!(footer(&file).num_row_groups(), 1);
    assert_eq!(rows_of(file).num_columns(), rows.num_columns() - 1);
}

#[tokio::test]
async fn a_damaged_page_is_a_corrupt_source() {
    let rows = every_type();
    for codec in [Codec::SNAPPY, Codec::GZIP(GzipLevel::default())] {
        let source = Bytes::from(source(&rows, codec, WriterVersion::PARQUET_1_0));
        let (start, _) = footer(&source).row_group(1).column(7).byte_range();
        let mut damaged = source.to_vec();
        let start = usize::try_from(start).unwrap();
        damaged[start..start + 16].fill(0xFF);
        for encoding in [PARQUET, PARQUET_GZ] {
            let bench = Bench::default();
            let slice = bench.lake.put("a.parquet", damaged.clone());
            let fault = bench
                .refuse(task(schema_of(&rows), vec![slice], encoding))
                .await;
            assert_eq!(fault.code, ErrorCode::SourceCorrupt, "{fault}");
            assert!(fault.message.contains("a.parquet"));
        }
    }
}
