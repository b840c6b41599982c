//! Pages of a column chunk, decompressed into buffers that are used again.
//!
//! The crate's own codecs fill a buffer of their own for every page. Snappy, the codec of most files in a lake, is
//! decompressed here instead.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression as Codec;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;
use snap::raw::{Decoder, decompress_len};

use crate::spare::PageBuffers;

/// Bytes that one of Snappy comes to at most: 64 from three.
const SNAPPY_GROWTH_MAX: usize = 22;

/// Chunks of fewer bytes, decompressed, are left to the crate's own codec.
const CHUNK_BYTES_MIN: i64 = 64 << 10;

/// Reads the pages of a column chunk.
pub struct Pages<R: ChunkReader> {
    /// Gives pages as they lie where they are Snappy's.
    inner: SerializedPageReader<R>,
    snappy: Option<Decoder>,
    buffers: PageBuffers,
}

impl<R: ChunkReader> Pages<R> {
    /// Reads the chunk of a row group of so many rows.
    pub fn open(
        reader: Arc<R>,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        buffers: PageBuffers,
    ) -> Result<Self> {
        // Small pages take as long to be lent as to be made.
        let small = chunk.uncompressed_size() < CHUNK_BYTES_MIN;
        if small || chunk.compression() != Codec::SNAPPY {
            return Ok(Self {
                inner: SerializedPageReader::new(reader, chunk, rows, None)?,
                snappy: None,
                buffers,
            });
        }
        let as_it_lies = chunk.clone().into_builder();
        let as_it_lies = as_it_lies.set_compression(Codec::UNCOMPRESSED).build()?;
        Ok(Self {
            inner: SerializedPageReader::new(reader, &as_it_lies, rows, None)?,
            snappy: Some(Decoder::new()),
            buffers,
        })
    }
}

impl<R: ChunkReader> PageReader for Pages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.inner.get_next_page()? else {
            return Ok(None);
        };
        if let Some(decoder) = &mut self.snappy {
            let plain_bytes = plain_bytes(&page)?;
            let bytes = match &mut page {
                Page::DataPage { buf, .. }
                | Page::DataPageV2 { buf, .. }
                | Page::DictionaryPage { buf, .. } => buf,
            };
            *bytes = decompress(decoder, &self.buffers, bytes, plain_bytes)?;
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

impl<R: ChunkReader> Iterator for Pages<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

/// Bytes of a page that are never compressed: of all of them, or the levels of a second-version page.
fn plain_bytes(page: &Page) -> Result<usize> {
    let (bytes, plain) = match page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => (buf.len(), 0),
        Page::DataPageV2 {
            buf,
            is_compressed: false,
            ..
        } => (buf.len(), buf.len()),
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => (
            buf.len(),
            *def_levels_byte_len as usize + *rep_levels_byte_len as usize,
        ),
    };
    if plain > bytes {
        let what = format!("a page of {bytes} bytes promises {plain} bytes of levels");
        return Err(ParquetError::General(what));
    }
    Ok(plain)
}

/// The page with what stands behind its plain bytes decompressed.
fn decompress(
    decoder: &mut Decoder,
    buffers: &PageBuffers,
    page: &Bytes,
    plain_bytes: usize,
) -> Result<Bytes> {
    let (plain, compressed) = page.split_at(plain_bytes);
    if compressed.is_empty() {
        return Ok(page.clone());
    }
    let bytes = decompress_len(compressed)?;
    // The length is the file's word, and room is made for it.
    if bytes > compressed.len().saturating_mul(SNAPPY_GROWTH_MAX) {
        let what = format!(
            "a page of {} compressed bytes promises {bytes}",
            compressed.len()
        );
        return Err(ParquetError::General(what));
    }
    buffers.page(plain_bytes + bytes, |into| {
        let (levels, values) = into.split_at_mut(plain_bytes);
        levels.copy_from_slice(plain);
        decoder.decompress(compressed, values)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use snap::raw::Encoder;

    use super::*;
    use crate::spare::Spares;

    fn decompressed(page: &[u8], plain_bytes: usize) -> Result<Bytes> {
        let page = Bytes::copy_from_slice(page);
        decompress(
            &mut Decoder::new(),
            Spares::new().pages(),
            &page,
            plain_bytes,
        )
    }

    fn compressed(text: &[u8]) -> Vec<u8> {
        Encoder::new().compress_vec(text).unwrap()
    }

    #[test]
    fn what_compresses_best_is_decompressed() {
        let text = vec![7; 32 << 20];
        assert!(decompressed(&compressed(&text), 0).unwrap() == text);
    }

    #[test]
    fn levels_stay_before_the_values() {
        let page = [b"levels".as_slice(), &compressed(b"values")].concat();
        assert_eq!(decompressed(&page, 6).unwrap(), "levelsvalues");
        assert_eq!(decompressed(b"levels", 6).unwrap(), "levels");
    }

    #[test]
    fn a_page_that_promises_more_than_it_can_hold_is_refused_before_room_is_made() {
        // Four gigabytes, as a varint.
        let error = decompressed(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0], 0).unwrap_err();
        assert!(
            error.to_string().contains("6 compressed bytes promises"),
            "{error}"
        );
    }

    #[test]
    fn levels_longer_than_their_page_are_refused() {
        let page = Page::DataPageV2 {
            buf: Bytes::from_static(b"short"),
            num_values: 1,
            encoding: parquet::basic::Encoding::PLAIN,
            num_nulls: 0,
            num_rows: 1,
            def_levels_byte_len: 4,
            rep_levels_byte_len: 2,
            is_compressed: true,
            statistics: None,
        };
        assert!(plain_bytes(&page).is_err());
    }
}
