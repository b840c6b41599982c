//! Parquet files of all sorts, passed on in their pages.

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_encode::Spares;
use offtake_encode::pages::{PageTranscoder, PassError, SourceGroup, check, sorting_of};
use offtake_encode::schema::from_arrow;
use offtake_model::{OutputEncoding, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression as Codec;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use crate::choices::Choices;

/// The length and the mark at a Parquet file's end.
const TAIL_BYTES: usize = 8;

/// A file of these rows as some writer makes it; none where Parquet cannot hold them.
pub(crate) fn source(choices: &mut Choices<'_>, batches: &[RecordBatch]) -> Option<Vec<u8>> {
    let codec = choices.one_of(&[
        Codec::UNCOMPRESSED,
        Codec::SNAPPY,
        Codec::GZIP(Default::default()),
        Codec::ZSTD(Default::default()),
        Codec::LZ4,
        Codec::LZ4_RAW,
        Codec::BROTLI(Default::default()),
    ]);
    let version = choices.one_of(&[WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0]);
    let statistics = choices.one_of(&[
        EnabledStatistics::None,
        EnabledStatistics::Chunk,
        EnabledStatistics::Page,
    ]);
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(version)
        .set_statistics_enabled(statistics)
        .set_dictionary_enabled(choices.once_in(2))
        .set_bloom_filter_enabled(choices.once_in(3))
        .set_coerce_types(!choices.once_in(4))
        .set_dictionary_page_size_limit(choices.one_of(&[64, 1 << 20]))
        .set_data_page_row_count_limit(choices.one_of(&[1, 7, 20_000]))
        .set_write_batch_size(choices.one_of(&[1, 5, 1_024]))
        .set_max_row_group_row_count(Some(choices.one_of(&[3, 50, 1_000_000])))
        .build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).ok()?;
    for batch in batches {
        writer.write(batch).ok()?;
    }
    writer.into_inner().ok()
}

/// Flips bits of some pages; answers whether there were any.
pub(crate) fn damage(choices: &mut Choices<'_>, file: &mut [u8]) -> bool {
    let times = choices.one_of(&[0, 0, 1, 4]);
    let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file.to_vec()));
    let footer = footer.expect("the footer is whole");
    let pages = footer.row_groups().iter().flat_map(|group| {
        let ends = |(start, length)| start + length;
        group.columns().iter().map(move |it| ends(it.byte_range()))
    });
    let end = pages.max().unwrap_or_default() as usize;
    if times == 0 || end + TAIL_BYTES >= file.len() {
        return false;
    }
    for _ in 0..times {
        let at = choices.within(4..=end.max(5) - 1);
        file[at] ^= choices.byte().max(1);
    }
    true
}

/// The file of the row groups of another; none where they may not pass.
pub(crate) fn passed(file: &Bytes, encoding: OutputEncoding) -> Result<Option<Vec<u8>>, PassError> {
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(file)
        .map_err(PassError::Source)?;
    let groups: Vec<usize> = (0..metadata.num_row_groups()).collect();
    let schema = schema(file);
    if check(&metadata, &schema, &groups).is_err() {
        return Ok(None);
    }
    let sorting = sorting_of(&metadata, &groups);
    let mut transcoder =
        PageTranscoder::open(&schema, encoding, sorting, &Spares::new()).map_err(PassError::Write)?;
    let mut passed = Vec::new();
    for index in groups {
        group(&mut transcoder, file, &metadata, index, &mut passed)?;
    }
    let encoded = transcoder.finish(&mut |bytes| {
        passed.extend_from_slice(&bytes);
        true
    })?;
    assert_eq!(encoded.bytes, passed.len() as u64);
    Ok(Some(passed))
}

fn group(
    transcoder: &mut PageTranscoder,
    file: &Bytes,
    metadata: &ParquetMetaData,
    index: usize,
    passed: &mut Vec<u8>,
) -> Result<(), PassError> {
    let chunks = transcoder.chunks();
    let rows = metadata.row_group(index).num_rows();
    let mut columns = 0..chunks.count();
    transcoder.push(
        u64::try_from(rows).unwrap_or_default(),
        &mut || {
            let nth = columns.next().expect("as many chunks as columns");
            chunks.pass(SourceGroup { metadata, index }, nth, file)
        },
        &mut |bytes| {
            passed.extend_from_slice(&bytes);
            true
        },
    )
}

fn schema(file: &Bytes) -> Schema {
    from_arrow(reader(file).schema()).expect("the types are those of datasets")
}

/// The file's rows, by Parquet's own types.
pub(crate) fn rows(file: &Bytes) -> RecordBatch {
    let reader = reader(file);
    let schema = reader.schema().clone();
    let reader = reader.build().expect("the file opens");
    let batches: Vec<_> = reader
        .map(|batch| batch.expect("its rows decode"))
        .collect();
    concat_batches(&schema, &batches).expect("batches of one file fit each other")
}

fn reader(file: &Bytes) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options);
    reader.expect("the footer is whole")
}
