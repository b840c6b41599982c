//! Compresses pages.

use bytes::Bytes;
use offtake_model::{Compression, OutputEncoding};
use parquet::basic::{Compression as Codec, GzipLevel as NamedLevel};
use parquet::column::page::{CompressedPage, Page};

use crate::deflate::Values;
use crate::pages::PassError;
use crate::pages::gzip::PageGzip;

/// The codec of the new file's pages.
pub(super) struct Recoder {
    gzip: Option<PageGzip>,
}

impl Recoder {
    pub(super) fn new(encoding: OutputEncoding) -> Self {
        Self {
            gzip: match encoding.compression {
                Compression::None => None,
                Compression::Gzip => Some(PageGzip::new(encoding.gzip.level)),
            },
        }
    }

    /// Begins another chunk.
    pub(super) const fn restart(&mut self) {
        if let Some(gzip) = &mut self.gzip {
            gzip.restart();
        }
    }

    /// The codec as column chunks name it.
    pub(super) fn codec(&self) -> Codec {
        match self.gzip {
            None => Codec::UNCOMPRESSED,
            Some(_) => Codec::GZIP(NamedLevel::default()),
        }
    }

    /// Whether a chunk of that codec may stay as it is.
    pub(super) fn keeps(&self, codec: Codec) -> bool {
        match self.gzip {
            None => codec == Codec::UNCOMPRESSED,
            Some(_) => matches!(codec, Codec::GZIP(_)),
        }
    }

    /// The page of those values, compressed; its own bytes come decompressed.
    pub(super) fn page(&mut self, page: Page, values: Values) -> Result<CompressedPage, PassError> {
        let plain_bytes = page.buffer().len();
        let page = match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            } => Page::DataPage {
                buf: self.compress(buf, values)?,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            },
            Page::DictionaryPage {
                buf,
                num_values,
                encoding,
                is_sorted,
            } => Page::DictionaryPage {
                buf: self.compress(buf, values)?,
                num_values,
                encoding,
                is_sorted,
            },
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed: _,
                statistics,
            } => {
                let (buf, is_compressed) = self.compress_values(&buf, values)?;
                Page::DataPageV2 {
                    buf,
                    num_values,
                    encoding,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed,
                    statistics,
                }
            }
        };
        Ok(CompressedPage::new(page, plain_bytes))
    }

    fn compress(&mut self, plain: Bytes, values: Values) -> Result<Bytes, PassError> {
        let Some(gzip) = &mut self.gzip else {
            return Ok(plain);
        };
        let member = gzip.member(&plain, values).map_err(PassError::Write)?;
        Ok(Bytes::copy_from_slice(member))
    }

    /// Levels of a second-version page stay plain before its values, which are compressed only if that helps.
    fn compress_values(
        &mut self,
        plain: &Bytes,
        values: Values,
    ) -> Result<(Bytes, bool), PassError> {
        let (levels, text) = plain.split_at(values.start);
        let Some(gzip) = self.gzip.as_mut().filter(|_| !text.is_empty()) else {
            return Ok((plain.clone(), false));
        };
        let values = Values { start: 0, ..values };
        let member = gzip.member(text, values).map_err(PassError::Write)?;
        if member.len() < text.len() {
            return Ok((Bytes::from([levels, member].concat()), true));
        }
        Ok((plain.clone(), false))
    }
}
