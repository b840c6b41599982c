//! How fast rows become bytes, and pages other pages: `cargo bench --profile ci -p offtake-encode --bench rows`.
#![expect(
    clippy::unwrap_used,
    reason = "what a measurement builds on must hold; the lint spares test functions only"
)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use offtake_encode::pages::{PageTranscoder, SourceGroup};
use offtake_encode::{RowEncoder, Spares, open, schema};
use offtake_model::{Compression, FileType, OutputEncoding};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as Codec;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;

const ROWS: u64 = 50_000;

fn main() {
    divan::main();
}

/// What the columns hold.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A few texts again and again.
    Repeating,
    /// Texts that never come again.
    Unique,
    /// Numbers and instants.
    Numbers,
}

const KINDS: [Kind; 3] = [Kind::Repeating, Kind::Unique, Kind::Numbers];

fn hash(row: u64, salt: u64) -> u64 {
    let mixed = (row * 31 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

fn rows(kind: Kind) -> RecordBatch {
    let column = |salt: u64| -> ArrayRef {
        let hashes = (0..ROWS).map(|row| hash(row, salt));
        match kind {
            Kind::Repeating => Arc::new(StringArray::from_iter_values(
                hashes.map(|it| format!("value {} of {salt}", it >> 61)),
            )),
            Kind::Unique => Arc::new(StringArray::from_iter_values(
                hashes.map(|it| format!("{it:016x}@example.com")),
            )),
            Kind::Numbers if salt.is_multiple_of(3) => {
                let instants = hashes.map(|it| (it >> 14).cast_signed());
                Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC"))
            }
            Kind::Numbers if salt % 3 == 1 => Arc::new(Float64Array::from_iter_values(
                hashes.map(|it| f64::from((it >> 40) as u32) / 1000.0),
            )),
            Kind::Numbers => Arc::new(Int64Array::from_iter_values(
                hashes.map(|it| (it >> 30).cast_signed()),
            )),
        }
    };
    let columns = (0..12).map(|nth| (format!("column_{nth}"), column(nth)));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn encode(bencher: Bencher<'_, '_>, kind: Kind, file_type: FileType, compression: Compression) {
    let batch = rows(kind);
    let schema = schema::from_arrow(&batch.schema()).unwrap();
    let encoding = OutputEncoding::new(file_type, compression);
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut encoder = open(&schema, encoding).unwrap();
        for start in (0..batch.num_rows()).step_by(2_000) {
            encoder.push(&batch.slice(start, 2_000)).unwrap();
            while let Some(bytes) = encoder.drain() {
                black_box(bytes);
            }
        }
        encoder.finish().unwrap()
    });
}

#[divan::bench(args = KINDS, sample_count = 20)]
fn json(bencher: Bencher<'_, '_>, kind: Kind) {
    encode(bencher, kind, FileType::Json, Compression::None);
}

#[divan::bench(args = KINDS, sample_count = 20)]
fn json_gzip(bencher: Bencher<'_, '_>, kind: Kind) {
    encode(bencher, kind, FileType::Json, Compression::Gzip);
}

#[divan::bench(args = KINDS, sample_count = 20)]
fn parquet_gzip(bencher: Bencher<'_, '_>, kind: Kind) {
    encode(bencher, kind, FileType::Parquet, Compression::Gzip);
}

/// Snappy pages to gzip ones.
#[divan::bench(args = KINDS, sample_count = 20)]
fn pages_gzip(bencher: Bencher<'_, '_>, kind: Kind) {
    let batch = rows(kind);
    let schema = schema::from_arrow(&batch.schema()).unwrap();
    let properties = WriterProperties::builder().set_compression(Codec::SNAPPY);
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    let file = Bytes::from(writer.into_inner().unwrap());
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .unwrap();
    let encoding = OutputEncoding::new(FileType::Parquet, Compression::Gzip);
    let source = SourceGroup {
        metadata: &metadata,
        index: 0,
    };
    let spares = Spares::new();
    bencher
        .counter(BytesCount::of_slice(&file))
        .bench_local(|| {
            let mut transcoder = PageTranscoder::open(&schema, encoding, None, &spares).unwrap();
            let chunks = transcoder.chunks();
            let mut nth = 0..;
            let mut next = || chunks.pass(source, nth.next().unwrap_or_default(), &file);
            transcoder
                .push(ROWS, &mut next, &mut |_bytes| true)
                .unwrap();
            transcoder.finish(&mut |_bytes| true).unwrap()
        });
}
