//! Compresses pages.

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};
use offtake_model::{Compression, ErrorCode, Fault, GzipLevel, OutputEncoding};
use parquet::basic::{Compression as Codec, GzipLevel as NamedLevel};
use parquet::column::page::{CompressedPage, Page};

use crate::gzip::level;
use crate::pages::PassError;

/// The default level of gzip: above it pages get slower far sooner than smaller.
const LEVEL: i32 = 2;

/// The codec of the new file's pages.
pub(super) struct Recoder {
    gzip: Option<Compressor>,
}

impl Recoder {
    pub(super) fn new(encoding: OutputEncoding) -> Self {
        let level = match encoding.gzip.level {
            GzipLevel::Default => LEVEL,
            GzipLevel::Fast => level(GzipLevel::Fast),
        };
        let gzip = || Compressor::new(CompressionLvl::new(level).unwrap_or_default());
        Self {
            gzip: match encoding.compression {
                Compression::None => None,
                Compression::Gzip => Some(gzip()),
            },
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

    /// The page, compressed; its own bytes come decompressed.
    pub(super) fn page(&mut self, page: Page) -> Result<CompressedPage, PassError> {
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
                buf: self.compress(buf)?,
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
                buf: self.compress(buf)?,
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
                let levels = def_levels_byte_len as usize + rep_levels_byte_len as usize;
                let (buf, is_compressed) = self.compress_values(&buf, levels)?;
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

    fn compress(&mut self, plain: Bytes) -> Result<Bytes, PassError> {
        match &mut self.gzip {
            None => Ok(plain),
            Some(gzip) => member(gzip, &[], &plain).map(Bytes::from),
        }
    }

    /// Levels of a second-version page stay plain before its values, which are compressed only if that helps.
    fn compress_values(
        &mut self,
        plain: &Bytes,
        levels: usize,
    ) -> Result<(Bytes, bool), PassError> {
        let Some(gzip) = &mut self.gzip else {
            return Ok((plain.clone(), false));
        };
        let Some((levels, values)) = plain.split_at_checked(levels) else {
            let text = "a page's levels are longer than the page";
            return Err(PassError::Source(parquet::errors::ParquetError::General(
                text.to_owned(),
            )));
        };
        if !values.is_empty() {
            let compressed = member(gzip, levels, values)?;
            if compressed.len() < plain.len() {
                return Ok((Bytes::from(compressed), true));
            }
        }
        Ok((plain.clone(), false))
    }
}

/// A gzip member of the bytes, behind others that stay as they are.
fn member(gzip: &mut Compressor, before: &[u8], plain: &[u8]) -> Result<Vec<u8>, PassError> {
    let bound = gzip.gzip_compress_bound(plain.len());
    let mut out = vec![0; before.len() + bound];
    let (head, tail) = out.split_at_mut(before.len());
    head.copy_from_slice(before);
    let written = gzip.gzip_compress(plain, tail).map_err(|error| {
        PassError::Write(Fault::new(ErrorCode::Internal, "compress a page").because(&error))
    })?;
    out.truncate(before.len() + written);
    Ok(out)
}
