//! The fetching stage: slices to row groups in memory, one ahead of the one that is being decoded.

use std::ops::Range;
use std::sync::Arc;

use offtake_model::{ErrorCode, Fault, FileSlice, FileTask};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::pipeline::Stop;
use crate::runner::TaskRunner;
use crate::source::{Cut, Planned, RowGroup, SourceFile, Window, kept};

/// Row groups in memory: one being decoded, one being fetched.
const ROW_GROUPS: usize = 2;

/// Work on its way to the decoder.
pub(super) enum Work {
    RowGroup(Box<Fetched>),
    /// All row groups were sent.
    Complete,
}

/// A row group ready to be decoded.
pub(super) struct Fetched {
    pub(super) file: Arc<SourceFile>,
    pub(super) group: RowGroup,
    pub(super) window: Window,
    /// Ranges of rows within the group; all rows when absent.
    pub(super) keep: Option<Vec<Range<u64>>>,
    /// Gives the memory back when the group was decoded.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Fetched {
    /// Rows that decoding must give.
    pub(super) fn rows(&self) -> u64 {
        match &self.keep {
            Some(ranges) => ranges.iter().map(|range| range.end - range.start).sum(),
            None => self.group.rows,
        }
    }
}

/// Fetches what a task reads, to be decoded.
pub(super) async fn run(
    runner: Arc<TaskRunner>,
    task: FileTask,
    mut first: Option<Arc<SourceFile>>,
    groups: mpsc::Sender<Work>,
) -> Result<(), Stop> {
    let room = Arc::new(Semaphore::new(ROW_GROUPS));
    let planned = Arc::new(Planned::new(&task.schema));
    for slice in &task.slices {
        let file = match first.take() {
            Some(file) => file,
            None => Arc::new(runner.open_source(slice, &planned).await?),
        };
        let keep = match &slice.mask {
            Some(mask) => Some(runner.masks.keep(mask, file.rows).await?),
            None => None,
        };
        let wanted = file.row_groups(slice.row_groups.as_deref())?;
        check_rows(slice, &file, &wanted)?;
        let mut cut = slice.row_range.map(Cut::new);
        for group in wanted {
            let mut keep = match &keep {
                Some(ranges) => Some(kept(&file.name, ranges, &group)?),
                None => None,
            };
            if let Some(cut) = &mut cut {
                let rows = cut.take(keep, group.rows);
                if rows.is_empty() {
                    continue;
                }
                keep = Some(rows);
            }
            send_group(&runner, &file, group, keep, &room, &groups).await?;
        }
        if let Some(cut) = &cut {
            cut.check(&file.name)?;
        }
    }
    send(&groups, Work::Complete).await
}

/// Fetches row groups that pass as they are.
pub(super) async fn run_whole(
    runner: Arc<TaskRunner>,
    file: Arc<SourceFile>,
    wanted: Vec<RowGroup>,
    groups: mpsc::Sender<Work>,
) -> Result<(), Stop> {
    let room = Arc::new(Semaphore::new(ROW_GROUPS));
    for group in wanted {
        send_group(&runner, &file, group, None, &room, &groups).await?;
    }
    send(&groups, Work::Complete).await
}

async fn send_group(
    runner: &TaskRunner,
    file: &Arc<SourceFile>,
    group: RowGroup,
    keep: Option<Vec<Range<u64>>>,
    room: &Arc<Semaphore>,
    groups: &mpsc::Sender<Work>,
) -> Result<(), Stop> {
    let permit = Arc::clone(room).acquire_owned().await;
    let Ok(permit) = permit else {
        return Err(Stop::Neighbour);
    };
    let window = file.fetch(&group, runner.limits).await?;
    let fetched = Fetched {
        file: Arc::clone(file),
        group,
        window,
        keep,
        _room: permit,
    };
    send(groups, Work::RowGroup(Box::new(fetched))).await
}

async fn send(groups: &mpsc::Sender<Work>, work: Work) -> Result<(), Stop> {
    groups.send(work).await.map_err(|_closed| Stop::Neighbour)
}

/// The footer against what the plan knows of the slice, with or without the rows its mask removes.
pub(super) fn check_rows(
    slice: &FileSlice,
    file: &SourceFile,
    wanted: &[RowGroup],
) -> Result<(), Fault> {
    let Some(planned) = slice.rows else {
        return Ok(());
    };
    let found: u64 = wanted.iter().map(|group| group.rows).sum();
    let masked = slice.mask.as_ref().map_or(0, |mask| mask.rows);
    if found == planned || found.checked_sub(masked) == Some(planned) {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::SourceCorrupt,
        format!(
            "read {}: its footer counts {found} rows, the table counts {planned}",
            file.name
        ),
    ))
}
