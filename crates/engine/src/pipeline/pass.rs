//! The stage that passes row groups on in their pages, without decoding values.
//!
//! Only files that go out whole may pass: one slice, no mask, no row range, no constant, no renamed
//! column, the planned types.
//!
//! The one law: whether rows pass or are encoded changes no row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use offtake_encode::pages::{self, PageTranscoder, PassError, SourceGroup};
use offtake_model::{ErrorCode, Fault, FileSlice, FileTask, FileType};
use parquet::file::metadata::ParquetMetaData;
use tokio::sync::mpsc;

use crate::pipeline::fetch::{self, Fetched, Work};
use crate::pipeline::{Chunk, Outcome, Stop};
use crate::source::{RowGroup, SourceFile, filters, page_index};

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
        let compression = task.encoding.compression;
        Ok(Some(Self {
            file: Arc::clone(file),
            groups,
            metadata: page_index(file).await?,
            transcoder: PageTranscoder::open(&task.schema, compression, sorting)?,
        }))
    }
}

pub(super) fn run(
    passing: Passing,
    mut groups: mpsc::Receiver<Work>,
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
                pass_group(&file, &metadata, &mut transcoder, &fetched, &mut |data| {
                    let rows = std::mem::take(&mut rows);
                    chunks.blocking_send(Chunk { data, rows }).is_ok()
                })?;
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

fn pass_group(
    file: &SourceFile,
    metadata: &ParquetMetaData,
    transcoder: &mut PageTranscoder,
    fetched: &Fetched,
    emit: &mut dyn FnMut(bytes::Bytes) -> bool,
) -> Result<(), Stop> {
    let Fetched { group, window, .. } = fetched;
    let source = SourceGroup {
        metadata,
        index: group.index,
    };
    let passed = catch_unwind(AssertUnwindSafe(|| transcoder.push(source, window, emit)));
    match passed {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(stop(file, error, window.take_fault())),
        Err(_panic) => {
            let message = format!("read pages of {}: the decoder gave up on them", file.name);
            Err(Fault::new(ErrorCode::SourceCorrupt, message).into())
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
