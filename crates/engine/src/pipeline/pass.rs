//! The stage that passes row groups on in their pages, without decoding values.
//!
//! Only files that go out whole may pass: one slice, no mask, no row range, no constant, no renamed
//! column, the planned types.
//!
//! The one law: whether rows pass or are encoded changes no row.

use std::collections::VecDeque;
use std::sync::Arc;

use offtake_encode::Spares;
use offtake_encode::pages::{
    self, ChunkTranscoder, PageTranscoder, PassError, PassedChunk, SourceGroup,
};
use offtake_model::{ErrorCode, Fault, FileSlice, FileTask, FileType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::pipeline::fetch::{self, Fetched, Work};
use crate::pipeline::{Chunk, Outcome, Stop, at_once};
use crate::source::{RowGroup, SourceFile, Window, filters, page_index};

/// Bytes of column chunks that are prepared at the same time at most, unless it is one alone.
const CHUNK_BYTES_AT_ONCE: u64 = 32 << 20;

/// A task whose rows pass in their pages.
pub(crate) struct Passing {
    pub(super) file: Arc<SourceFile>,
    pub(super) groups: Vec<RowGroup>,
    /// With the page index.
    metadata: Arc<ParquetMetaData>,
    transcoder: PageTranscoder,
}

impl Passing {
    /// The slice of a task that may pass, as far as its plan tells.
    pub(crate) fn slice_of(task: &FileTask) -> Option<&FileSlice> {
        // Small files that share a task become large row groups; in their pages they would stay small.
        let [slice] = task.slices.as_slice() else {
            return None;
        };
        // Whatever else a slice may say of its rows one day has to be thought of here.
        let FileSlice {
            source: _,
            bytes: _,
            etag: _,
            rows: _,
            row_groups: _,
            known_row_groups: _,
            constants,
            mask,
            row_range,
        } = slice;
        let whole = mask.is_none() && constants.is_empty() && row_range.is_none();
        (whole && task.encoding.file_type == FileType::Parquet).then_some(slice)
    }

    /// Prepares the way, unless the file's footer stands against it.
    pub(crate) async fn open(
        task: &FileTask,
        slice: &FileSlice,
        file: &Arc<SourceFile>,
        spares: &Spares,
    ) -> Result<Option<Self>, Fault> {
        let mut groups = file.row_groups(slice.row_groups.as_deref())?;
        fetch::check_rows(slice, file, &groups)?;
        let ordinals: Vec<usize> = groups.iter().map(|group| group.index).collect();
        if let Err(refusal) = pages::check(file.metadata(), &task.schema, &ordinals) {
            tracing::debug!(?refusal, file = file.name, "rows are decoded");
            return Ok(None);
        }
        for group in &mut groups {
            let filters = filters(file.metadata().row_group(group.index), file.bytes());
            group.chunks.extend(filters);
        }
        let sorting = pages::sorting_of(file.metadata(), &ordinals);
        Ok(Some(Self {
            file: Arc::clone(file),
            groups,
            metadata: page_index(file).await?,
            transcoder: PageTranscoder::open(&task.schema, task.encoding, sorting, spares)?,
        }))
    }
}

pub(super) fn run(
    passing: Passing,
    mut groups: mpsc::Receiver<Work<Fetched>>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<Outcome, Stop> {
    let Passing {
        file,
        metadata,
        mut transcoder,
        ..
    } = passing;
    let mut rows_read = 0;
    let mut told = 0;
    loop {
        match groups.blocking_recv() {
            Some(Work::RowGroup(fetched)) => {
                rows_read += fetched.rows();
                let mut rows = rows_read - told;
                let mut ahead = Ahead::new(&transcoder, &metadata, &fetched);
                let passed = transcoder.push(fetched.rows(), &mut || ahead.next(), &mut |data| {
                    let rows = std::mem::take(&mut rows);
                    chunks.blocking_send(Chunk { data, rows }).is_ok()
                });
                passed.map_err(|error| stop(&file, error, fetched.window.take_fault()))?;
                told = rows_read - rows;
            }
            Some(Work::Complete) => {
                let mut rows = rows_read - told;
                let passage = transcoder.passage();
                let encoded = transcoder.finish(&mut |data| {
                    let rows = std::mem::take(&mut rows);
                    chunks.blocking_send(Chunk { data, rows }).is_ok()
                });
                let encoded = encoded.map_err(|error| stop(&file, error, None))?;
                return Ok(Outcome {
                    rows_read,
                    encoded,
                    passage,
                });
            }
            None => return Err(Stop::Neighbour),
        }
    }
}

/// The chunks of a row group, prepared ahead of the one that is wanted next.
struct Ahead {
    chunks: Arc<ChunkTranscoder>,
    metadata: Arc<ParquetMetaData>,
    group: RowGroup,
    window: Window,
    at_once: usize,
    /// In order, with their bytes in the source.
    begun: VecDeque<(u64, JoinHandle<Result<PassedChunk, PassError>>)>,
    /// Ordinal of the first that was not begun.
    next: usize,
}

impl Ahead {
    fn new(
        transcoder: &PageTranscoder,
        metadata: &Arc<ParquetMetaData>,
        fetched: &Fetched,
    ) -> Self {
        Self {
            chunks: transcoder.chunks(),
            metadata: Arc::clone(metadata),
            group: fetched.group.clone(),
            window: fetched.window.clone(),
            at_once: at_once(),
            begun: VecDeque::new(),
            next: 0,
        }
    }

    fn next(&mut self) -> Result<PassedChunk, PassError> {
        self.begin();
        let Some((_, chunk)) = self.begun.pop_front() else {
            return Err(PassError::Unheard);
        };
        let chunk = Handle::current().block_on(chunk);
        chunk.unwrap_or_else(|_panic| {
            let message = "the decoder gave up on them";
            Err(PassError::Source(ParquetError::General(message.to_owned())))
        })
    }

    /// Begins as many as may be in memory at once: one at least.
    fn begin(&mut self) {
        while self.next < self.chunks.count() && self.begun.len() < self.at_once {
            let column = self.metadata.row_group(self.group.index).column(self.next);
            let (_, bytes) = column.byte_range();
            let others: u64 = self.begun.iter().map(|(bytes, _)| bytes).sum();
            if others > 0 && others.saturating_add(bytes) > CHUNK_BYTES_AT_ONCE {
                return;
            }
            let (chunks, metadata) = (Arc::clone(&self.chunks), Arc::clone(&self.metadata));
            let (index, nth, window) = (self.group.index, self.next, self.window.clone());
            let pass = move || {
                let source = SourceGroup {
                    metadata: &metadata,
                    index,
                };
                chunks.pass(source, nth, &window)
            };
            self.begun
                .push_back((bytes, tokio::task::spawn_blocking(pass)));
            self.next += 1;
        }
    }
}

fn stop(file: &SourceFile, error: PassError, fetch: Option<Fault>) -> Stop {
    match error {
        PassError::Unheard => Stop::Neighbour,
        PassError::Write(fault) => fault.into(),
        PassError::Source(error) => fetch
            .unwrap_or_else(|| {
                let message = format!("read pages of {}", file.name);
                Fault::new(ErrorCode::SourceCorrupt, message).because(&error)
            })
            .into(),
    }
}
