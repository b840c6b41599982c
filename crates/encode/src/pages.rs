//! Parquet row groups that pass into a new file without their values being decoded.
//!
//! Pages are decompressed and compressed again, or copied where the codec stays. Statistics, encodings, dictionaries,
//! page index and bloom filters go along; the source's key-value metadata and page checksums of recompressed pages
//! don't. The new file has the planned schema's own Parquet schema, so that a reader cannot tell which way it came.
//!
//! The one law: a row group passes only when its decoded values would be written with the same types and levels.

mod chunk;
mod codec;
mod fit;
mod gzip;
mod output;
mod piece;
mod reader;
mod sound;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use offtake_model::delivery::Passage;
use offtake_model::{ErrorCode, Fault, OutputEncoding, Schema};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use crate::encoder::Encoded;
use crate::parquet::CREATED_BY;
use crate::spare::{PageBuffers, Spares};
use chunk::Chunk;
use codec::Recoder;
use output::SharedOutput;

pub use fit::{Refusal, check};
pub use piece::Piece;
pub use reader::Pages;

/// Writes a Parquet file from row groups of others.
pub struct PageTranscoder {
    file: SerializedFileWriter<SharedOutput>,
    output: SharedOutput,
    chunks: Arc<ChunkTranscoder>,
    rows: u64,
    recompressed: bool,
}

/// Prepares column chunks for one new file, on as many threads as call it.
pub struct ChunkTranscoder {
    columns: Vec<ColumnDescPtr>,
    encoding: OutputEncoding,
    pages: PageBuffers,
    /// Codecs that nobody uses now, one for each thread that passed a chunk.
    recoders: Mutex<Vec<Recoder>>,
}

/// A column chunk as the new file holds it.
pub struct PassedChunk {
    bytes: Bytes,
    close: ColumnCloseResult,
    recompressed: bool,
}

/// A row group to pass on.
#[derive(Clone, Copy)]
pub struct SourceGroup<'a> {
    /// The footer of its file, with the page index where one is to be kept. It was found fit by [`check`].
    pub metadata: &'a ParquetMetaData,
    /// Ordinal of the row group.
    pub index: usize,
}

/// Why a row group did not pass.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The source could not be read, or holds something else than its footer says.
    #[error("read pages")]
    Source(#[source] ParquetError),
    /// Nobody takes the bytes any more.
    #[error("write pages nobody waits for")]
    Unheard,
    /// The new file could not be written.
    #[error(transparent)]
    Write(Fault),
}

impl PageTranscoder {
    /// Starts a file of that schema whose row groups are sorted by those columns.
    pub fn open(
        schema: &Schema,
        encoding: OutputEncoding,
        sorting: Option<Vec<SortingColumn>>,
        spares: &Spares,
    ) -> Result<Self, Fault> {
        let descriptor = fit::written_schema(schema)?;
        let output = SharedOutput::new();
        let properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.to_owned())
            .set_sorting_columns(sorting)
            .build();
        let root = descriptor.root_schema_ptr();
        let file = SerializedFileWriter::new(output.clone(), root, Arc::new(properties))
            .map_err(|error| failed(&error))?;
        Ok(Self {
            chunks: Arc::new(ChunkTranscoder {
                columns: file.schema_descr().columns().to_vec(),
                encoding,
                pages: spares.pages().clone(),
                recoders: Mutex::default(),
            }),
            file,
            output,
            rows: 0,
            recompressed: false,
        })
    }

    /// What prepares the chunks of this file.
    pub fn chunks(&self) -> Arc<ChunkTranscoder> {
        Arc::clone(&self.chunks)
    }

    /// Writes a row group of so many rows, whose prepared chunks `next` gives in their order; hands finished bytes to
    /// `emit`, which answers whether somebody still wants them.
    pub fn push(
        &mut self,
        rows: u64,
        next: &mut dyn FnMut() -> Result<PassedChunk, PassError>,
        emit: &mut dyn FnMut(Bytes) -> bool,
    ) -> Result<(), PassError> {
        let mut writer = self.file.next_row_group().map_err(written)?;
        for _ in &self.chunks.columns {
            let chunk = next()?;
            self.recompressed |= chunk.recompressed;
            writer
                .append_column(&chunk.bytes, chunk.close)
                .map_err(written)?;
            emit_all(&self.output, emit)?;
        }
        writer.close().map_err(written)?;
        self.rows += rows;
        emit_all(&self.output, emit)
    }

    /// How the row groups passed so far.
    pub const fn passage(&self) -> Passage {
        if self.recompressed {
            Passage::Recompressed
        } else {
            Passage::Copied
        }
    }

    /// Completes the file; hands the last bytes to `emit`.
    pub fn finish(mut self, emit: &mut dyn FnMut(Bytes) -> bool) -> Result<Encoded, PassError> {
        self.file.finish().map_err(written)?;
        let encoded = self.output.finish(self.rows);
        emit_all(&self.output, emit)?;
        Ok(encoded)
    }
}

impl ChunkTranscoder {
    /// Chunks of a row group.
    pub const fn count(&self) -> usize {
        self.columns.len()
    }

    /// Prepares the chunk of that ordinal.
    pub fn pass<R: ChunkReader>(
        &self,
        source: SourceGroup<'_>,
        nth: usize,
        reader: &R,
    ) -> Result<PassedChunk, PassError> {
        let missing = || ParquetError::General(format!("there is no column {nth}"));
        let column = self.columns.get(nth).cloned();
        let column = column.ok_or_else(|| PassError::Source(missing()))?;
        let chunk = Chunk::read(source, nth, reader, &self.pages).map_err(PassError::Source)?;
        let spare = self.spare().pop();
        let mut recoder = spare.unwrap_or_else(|| Recoder::new(self.encoding));
        let recompressed = !chunk.stays(&recoder);
        let (bytes, close) = chunk.pass(column, &mut recoder)?;
        recoder.restart();
        self.spare().push(recoder);
        Ok(PassedChunk {
            bytes,
            close,
            recompressed,
        })
    }
}

impl ChunkTranscoder {
    fn spare(&self) -> MutexGuard<'_, Vec<Recoder>> {
        self.recoders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The columns that every one of these row groups is sorted by, when they agree.
pub fn sorting_of(metadata: &ParquetMetaData, groups: &[usize]) -> Option<Vec<SortingColumn>> {
    let (first, rest) = groups.split_first()?;
    let of = |index: usize| metadata.row_group(index).sorting_columns();
    let sorting = of(*first)?;
    rest.iter()
        .all(|index| of(*index) == Some(sorting))
        .then(|| sorting.clone())
}

fn emit_all(output: &SharedOutput, emit: &mut dyn FnMut(Bytes) -> bool) -> Result<(), PassError> {
    while let Some(bytes) = output.take() {
        if !emit(bytes) {
            return Err(PassError::Unheard);
        }
    }
    Ok(())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "given to map_err, which passes by value"
)]
fn written(error: ParquetError) -> PassError {
    PassError::Write(failed(&error))
}

fn failed(error: &ParquetError) -> Fault {
    Fault::new(ErrorCode::Internal, "write Parquet pages").because(error)
}
