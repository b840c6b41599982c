//! One column chunk on its way from one file to another.
//!
//! The one law: the pages that were passed on hold as many values as the footer promises.

use std::sync::Arc;

use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{PageMetadata, PageReader, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnChunkMetaDataBuilder};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::pages::codec::Recoder;
use crate::pages::piece::Piece;
use crate::pages::reader::Pages;
use crate::pages::sound::Soundness;
use crate::pages::{PassError, SourceGroup, written};
use crate::spare::PageBuffers;

/// A column chunk in memory, with what its file says of it.
pub(super) struct Chunk<'a> {
    metadata: &'a ColumnChunkMetaData,
    rows: u64,
    piece: Arc<Piece>,
    /// For its pages, decompressed.
    buffers: PageBuffers,
    column_index: Option<&'a ColumnIndexMetaData>,
    offset_index: Option<&'a OffsetIndexMetaData>,
    bloom_filter: Option<Sbbf>,
    /// Whether minima and maxima have a defined order.
    ordered: bool,
}

/// Pages of the new file, counted from the chunk's first byte.
#[derive(Default)]
struct Places {
    dictionary: Option<i64>,
    first_data: Option<i64>,
    data: Vec<(i64, i32)>,
    plain_bytes: i64,
}

impl<'a> Chunk<'a> {
    pub(super) fn read<R: ChunkReader>(
        source: SourceGroup<'a>,
        nth: usize,
        reader: &R,
        buffers: &PageBuffers,
    ) -> Result<Self, ParquetError> {
        let SourceGroup {
            metadata: file,
            index,
        } = source;
        let group = file.row_group(index);
        let metadata = group.column(nth);
        let (start, length) = metadata.byte_range();
        let length = usize::try_from(length)?;
        let piece = Piece {
            start,
            bytes: reader.get_bytes(start, length)?,
            file_bytes: reader.len(),
        };
        // A filter that was not fetched is one that is not kept.
        let bloom_filter = Sbbf::read_from_column_chunk(metadata, reader).unwrap_or_default();
        let ordered = file.file_metadata().column_orders().is_some();
        let offset_index = file.offset_index().and_then(|it| it.get(index)?.get(nth));
        let column_index = file.column_index().and_then(|it| it.get(index)?.get(nth));
        Ok(Self {
            metadata,
            rows: u64::try_from(group.num_rows())?,
            piece: Arc::new(piece),
            buffers: buffers.clone(),
            column_index: column_index
                .filter(|it| ordered && !matches!(it, ColumnIndexMetaData::NONE)),
            offset_index,
            bloom_filter,
            ordered,
        })
    }

    /// Whether it stays as it is, byte by byte.
    pub(super) fn stays(&self, recoder: &Recoder) -> bool {
        recoder.keeps(self.metadata.compression())
    }

    /// The chunk's bytes in the new file and what is to be said of them.
    pub(super) fn pass(
        self,
        column: ColumnDescPtr,
        recoder: &mut Recoder,
    ) -> Result<(Bytes, ColumnCloseResult), PassError> {
        if self.stays(recoder) {
            return self.copy(column);
        }
        self.recode(column, recoder)
    }

    fn copy(self, column: ColumnDescPtr) -> Result<(Bytes, ColumnCloseResult), PassError> {
        self.check_headers().map_err(PassError::Source)?;
        let start = i64::try_from(self.piece.start).unwrap_or(i64::MAX);
        let moved = |offset: i64| offset - start;
        let builder = self
            .describe(column)
            .set_compression_codec(self.metadata.compression_codec())
            .set_total_compressed_size(self.metadata.compressed_size())
            .set_total_uncompressed_size(self.metadata.uncompressed_size())
            .set_dictionary_page_offset(self.metadata.dictionary_page_offset().map(moved))
            .set_data_page_offset(moved(self.metadata.data_page_offset()));
        let offset_index = self.offset_index.cloned().map(|mut index| {
            for location in &mut index.page_locations {
                location.offset = moved(location.offset);
            }
            index
        });
        let bytes = self.piece.bytes.clone();
        Ok((bytes, self.close(builder, offset_index)?))
    }

    fn recode(
        self,
        column: ColumnDescPtr,
        recoder: &mut Recoder,
    ) -> Result<(Bytes, ColumnCloseResult), PassError> {
        let mut out = TrackedWrite::new(Vec::with_capacity(self.piece.bytes.len()));
        let places = self.write_pages(recoder, &mut out)?;
        let bytes = Bytes::from(out.into_inner().map_err(written)?);
        let builder = self
            .describe(column)
            .set_compression_codec(recoder.codec().into())
            .set_total_compressed_size(i64::try_from(bytes.len()).unwrap_or(i64::MAX))
            .set_total_uncompressed_size(places.plain_bytes)
            .set_dictionary_page_offset(places.dictionary)
            .set_data_page_offset(places.first_data.unwrap_or_default());
        let offset_index = self.offset_index.cloned();
        let offset_index = offset_index.and_then(|index| places.relocate(index));
        Ok((bytes, self.close(builder, offset_index)?))
    }

    fn write_pages(
        &self,
        recoder: &mut Recoder,
        out: &mut TrackedWrite<Vec<u8>>,
    ) -> Result<Places, PassError> {
        let mut reader = self.pages().map_err(PassError::Source)?;
        let mut writer = SerializedPageWriter::new(out);
        let mut places = Places::default();
        let mut found = 0;
        let soundness = Soundness::of(self.metadata.column_descr());
        while let Some(page) = reader.get_next_page().map_err(PassError::Source)? {
            let values = soundness.check(&page).map_err(PassError::Source)?;
            if !page.is_dictionary_page() {
                found += u64::from(page.num_values());
            }
            let dictionary = page.is_dictionary_page();
            let spec = writer
                .write_page(recoder.page(page, values)?)
                .map_err(written)?;
            let offset = i64::try_from(spec.offset).unwrap_or(i64::MAX);
            places.plain_bytes += i64::try_from(spec.uncompressed_size).unwrap_or(i64::MAX);
            if dictionary {
                places.dictionary = Some(offset);
            } else {
                places.first_data.get_or_insert(offset);
                let length = i32::try_from(spec.compressed_size).unwrap_or(i32::MAX);
                places.data.push((offset, length));
            }
        }
        writer.close().map_err(written)?;
        self.check(found).map_err(PassError::Source)?;
        Ok(places)
    }

    /// Reads the headers alone.
    fn check_headers(&self) -> Result<(), ParquetError> {
        let mut reader = self.pages()?;
        let mut found = 0;
        while let Some(page) = reader.peek_next_page()? {
            found = counted(found, &page);
            reader.skip_next_page()?;
        }
        self.check(found)
    }

    fn pages(&self) -> Result<Pages<Piece>, ParquetError> {
        let rows = usize::try_from(self.rows)?;
        let piece = Arc::clone(&self.piece);
        Pages::open(piece, self.metadata, rows, self.buffers.clone())
    }

    fn check(&self, found: u64) -> Result<(), ParquetError> {
        let promised = u64::try_from(self.metadata.num_values())?;
        let flat = self.metadata.column_descr().max_rep_level() == 0;
        if found != promised || (flat && promised != self.rows) {
            return Err(ParquetError::General(format!(
                "a column chunk of {} rows promises {promised} values, its pages hold {found}",
                self.rows
            )));
        }
        Ok(())
    }

    /// What stays true of the values, however they are compressed.
    fn describe(&self, column: ColumnDescPtr) -> ColumnChunkMetaDataBuilder {
        let from = self.metadata;
        let mut builder = ColumnChunkMetaData::builder(column)
            .set_encodings_mask(*from.encodings_mask())
            .set_num_values(from.num_values())
            .set_unencoded_byte_array_data_bytes(from.unencoded_byte_array_data_bytes())
            .set_repetition_level_histogram(from.repetition_level_histogram().cloned())
            .set_definition_level_histogram(from.definition_level_histogram().cloned());
        if let Some(statistics) = from.statistics().filter(|_| self.ordered) {
            builder = builder.set_statistics(statistics.clone());
        }
        if let Some(statistics) = from.geo_statistics() {
            builder = builder.set_geo_statistics(Box::new(statistics.clone()));
        }
        if let Some(statistics) = from.page_encoding_stats() {
            builder = builder.set_page_encoding_stats(statistics.clone());
        }
        builder
    }

    fn close(
        self,
        builder: ColumnChunkMetaDataBuilder,
        offset_index: Option<OffsetIndexMetaData>,
    ) -> Result<ColumnCloseResult, PassError> {
        let metadata = builder.build().map_err(written)?;
        Ok(ColumnCloseResult {
            bytes_written: u64::try_from(metadata.compressed_size()).unwrap_or_default(),
            rows_written: self.rows,
            metadata,
            bloom_filter: self.bloom_filter,
            // Either index is of use only beside the other.
            column_index: self
                .column_index
                .filter(|_| offset_index.is_some())
                .cloned(),
            offset_index,
        })
    }
}

impl Places {
    /// The index with the new places; none if it counts other pages.
    fn relocate(&self, mut index: OffsetIndexMetaData) -> Option<OffsetIndexMetaData> {
        if index.page_locations.len() != self.data.len() {
            return None;
        }
        for (location, (offset, length)) in index.page_locations.iter_mut().zip(&self.data) {
            location.offset = *offset;
            location.compressed_page_size = *length;
        }
        Some(index)
    }
}

/// The values with those of one page more. A damaged header may say any number, also a negative one.
fn counted(found: u64, page: &PageMetadata) -> u64 {
    if page.is_dict {
        return found;
    }
    let values = page.num_levels.or(page.num_rows).unwrap_or_default();
    found.saturating_add(values as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_promise_too_much_are_counted_without_overflow() {
        let page = |num_levels, is_dict| PageMetadata {
            num_rows: None,
            num_levels: Some(num_levels),
            is_dict,
        };
        assert_eq!(counted(7, &page(5, true)), 7);
        assert_eq!(counted(7, &page(5, false)), 12);
        assert_eq!(counted(7, &page(usize::MAX, false)), u64::MAX);
    }
}
