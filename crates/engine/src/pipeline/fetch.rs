//! The fetching stage: slices to row groups in memory, ahead of those that are being decoded.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use offtake_model::{ErrorCode, Fault, FileSlice, FileTask};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::pipeline::Stop;
use crate::pipeline::decode::{self, Decoding};
use crate::runner::TaskRunner;
use crate::source::{Cut, Planned, RowGroup, SourceFile, Window, kept};

/// Bytes that the row groups in memory take, as they lie in their files, until their pages are decompressed. A larger
/// one is fetched alone.
const FETCHED_BYTES: u32 = 64 << 20;

/// The same of row groups that pass in their pages: each of their chunks is there decompressed and compressed again,
/// too.
const PASSED_BYTES: u32 = 40 << 20;

/// Bytes that the row groups being decoded take, decompressed. A larger one is decoded alone.
const DECODED_BYTES: u32 = 32 << 20;

/// Row groups of fewer bytes, decompressed, are decoded together until they have as many: each alone would be handed
/// from thread to thread for a few rows. As text this is about a part.
const TOGETHER_BYTES: u64 = 768 << 10;

/// Rows that are decoded together at most: of a value that a dictionary holds once they make as many texts.
const TOGETHER_ROWS: u64 = 8 << 10;

/// Row groups that are decoded, or wait for it, at most; small ones together count as one.
pub(super) const ROW_GROUPS: usize = 4;

/// Files opened before the row groups of those before them were fetched.
const FILES_AHEAD: usize = 4;

/// Work on its way to the next stage.
pub(super) enum Work<T> {
    RowGroup(T),
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

/// Fetches what a task reads, and has it decoded.
pub(super) async fn run(
    runner: Arc<TaskRunner>,
    task: FileTask,
    mut first: Option<Arc<SourceFile>>,
    groups: mpsc::Sender<Work<Decoding>>,
) -> Result<(), Stop> {
    let runner = runner.as_ref();
    let planned = Arc::new(Planned::to_decode(&task.schema));
    let fetched_room = Room::of(FETCHED_BYTES);
    let mut waiting = Waiting {
        groups,
        room: Room::of(DECODED_BYTES),
        gathered: Vec::new(),
        bytes: 0,
        rows: 0,
    };
    let open =
        async |nth: usize, first: Option<Arc<SourceFile>>| match (first, task.slices.get(nth)) {
            (Some(file), _) => Ok(file),
            (None, Some(slice)) => runner.open_source(slice, &planned).await.map(Arc::new),
            (None, None) => Err(Fault::new(ErrorCode::Internal, "open a source file")),
        };
    let opened = stream::iter(0..task.slices.len())
        .map(|nth| open(nth, first.take()))
        .buffered(FILES_AHEAD);
    let mut opened = std::pin::pin!(opened);
    for slice in &task.slices {
        let Some(file) = opened.next().await else {
            return Err(Stop::Neighbour);
        };
        let file = file?;
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
            waiting.make_way(&group).await?;
            let fetched = fetch(runner, &fetched_room, &file, group, keep).await?;
            waiting.add(fetched).await?;
        }
        if let Some(cut) = &cut {
            cut.check(&file.name)?;
        }
    }
    waiting.decode().await?;
    send(&waiting.groups, Work::Complete).await
}

/// Row groups on their way to be decoded.
struct Waiting {
    groups: mpsc::Sender<Work<Decoding>>,
    room: Room,
    /// Small ones that wait for others.
    gathered: Vec<Fetched>,
    /// What they take, and how many rows they have.
    bytes: u64,
    rows: u64,
}

impl Waiting {
    /// Has decoded what was gathered, if the row group does not fit to it. To be called before it is fetched, since
    /// what waits here takes room that it may need.
    async fn make_way(&mut self, group: &RowGroup) -> Result<(), Stop> {
        if self.fit(size(group), group.rows) {
            return Ok(());
        }
        self.decode().await
    }

    /// Has the row group decoded, now or with those that follow.
    async fn add(&mut self, fetched: Fetched) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(size(&fetched.group));
        self.rows = self.rows.saturating_add(fetched.group.rows);
        self.gathered.push(fetched);
        if self.fit(0, 0) {
            return Ok(());
        }
        self.decode().await
    }

    /// Whether that much more may be decoded with what was gathered.
    const fn fit(&self, bytes: u64, rows: u64) -> bool {
        self.bytes.saturating_add(bytes) < TOGETHER_BYTES
            && self.rows.saturating_add(rows) < TOGETHER_ROWS
    }

    /// Has decoded what was gathered.
    async fn decode(&mut self) -> Result<(), Stop> {
        let gathered = std::mem::take(&mut self.gathered);
        (self.bytes, self.rows) = (0, 0);
        let decoded_bytes = match gathered.as_slice() {
            [] => return Ok(()),
            [one] => one.group.decoded_bytes,
            _ => {
                let together = Work::RowGroup(Decoding::Together(gathered));
                return send(&self.groups, together).await;
            }
        };
        let room = self.room.take(decoded_bytes).await?;
        let place = self.groups.reserve().await;
        let place = place.map_err(|_closed| Stop::Neighbour)?;
        let alone = decoded_bytes > u64::from(DECODED_BYTES);
        let ahead = decode::Ahead::start(gathered, room, alone);
        place.send(Work::RowGroup(Decoding::Ahead(ahead)));
        Ok(())
    }
}

/// What a row group takes while it waits and while it is decoded, at most; whatever its footer says of the one.
fn size(group: &RowGroup) -> u64 {
    group.decoded_bytes.max(group.bytes())
}

/// Fetches row groups that pass as they are.
pub(super) async fn run_whole(
    runner: Arc<TaskRunner>,
    file: Arc<SourceFile>,
    wanted: Vec<RowGroup>,
    groups: mpsc::Sender<Work<Fetched>>,
) -> Result<(), Stop> {
    let room = Room::of(PASSED_BYTES);
    for group in wanted {
        let fetched = fetch(&runner, &room, &file, group, None).await?;
        send(&groups, Work::RowGroup(fetched)).await?;
    }
    send(&groups, Work::Complete).await
}

/// Room in memory, in bytes.
struct Room {
    free: Arc<Semaphore>,
    bytes: u32,
}

impl Room {
    fn of(bytes: u32) -> Self {
        Self {
            free: Arc::new(Semaphore::new(bytes as usize)),
            bytes,
        }
    }

    /// Waits until there are that many bytes, or all when they are more.
    async fn take(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Stop> {
        let share = u32::try_from(bytes).unwrap_or(u32::MAX);
        let share = share.clamp(1, self.bytes);
        let taken = Arc::clone(&self.free).acquire_many_owned(share).await;
        taken.map_err(|_closed| Stop::Neighbour)
    }
}

async fn fetch(
    runner: &TaskRunner,
    room: &Room,
    file: &Arc<SourceFile>,
    group: RowGroup,
    keep: Option<Vec<Range<u64>>>,
) -> Result<Fetched, Stop> {
    let room = room.take(group.bytes()).await?;
    let window = file.fetch(&group, runner.limits, room).await?;
    Ok(Fetched {
        file: Arc::clone(file),
        group,
        window,
        keep,
    })
}

async fn send<T>(groups: &mpsc::Sender<Work<T>>, work: Work<T>) -> Result<(), Stop> {
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
