//! Divides slices into tasks: large files by row groups or rows, small ones together.
//!
//! Order is kept throughout, so that running a plan twice reads the same rows in the same order.
//!
//! The one law: every row of the slices is in exactly one task.

use offtake_model::change::RowRange;
use offtake_model::{ErrorCode, Fault, FileSlice, RowGroup};

/// Most tasks of a plan; beyond, tasks become larger.
pub const TASKS_MAX: usize = 100_000;

/// From more files than this on, small ones share a task even where no file rule asks for it.
pub const PACK_ABOVE: usize = 64;

/// How large a task may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Source bytes that a task should read.
    pub(super) bytes: u64,
    /// Most rows of a task; exact.
    pub(super) rows_max: Option<u64>,
    /// Whether small files share a task however few they are.
    pub(super) pack: bool,
}

/// A slice and what reading it costs.
struct Piece {
    slice: FileSlice,
    bytes: u64,
    /// Rows it gives, where that is known.
    rows: Option<u64>,
}

/// The slices of each task, in order. Fails only when a limit on rows cannot be kept.
///
/// Under such a limit files with a mask are not cut between row groups: how many rows remain in each is not known.
pub(super) fn group(slices: Vec<FileSlice>, size: Size) -> Result<Vec<Vec<FileSlice>>, Fault> {
    let target = size.bytes.max(1);
    let mut pieces = Vec::with_capacity(slices.len());
    for slice in slices {
        let whole = size.rows_max.is_some() && slice.mask.is_some();
        split(slice, if whole { u64::MAX } else { target }, &mut pieces);
    }
    if let Some(rows_max) = size.rows_max {
        pieces = cut(pieces, rows_max.max(1))?;
    }
    if pieces.len() <= PACK_ABOVE && !size.pack {
        return Ok(pieces.into_iter().map(|piece| vec![piece.slice]).collect());
    }
    let target = target.max(least_target(&pieces));
    let tasks = pack(pieces, target, size.rows_max.unwrap_or(u64::MAX));
    if tasks.len() > TASKS_MAX {
        return Err(too_many_files(tasks.len() as u64));
    }
    Ok(tasks)
}

/// A target with which [`pack`] makes at most [`TASKS_MAX`] tasks, when rows do not limit it: any two neighbours hold
/// more than one target.
fn least_target(pieces: &[Piece]) -> u64 {
    const PAIRS: u64 = TASKS_MAX as u64 / 2 - 1;
    let total = pieces
        .iter()
        .fold(0u64, |sum, piece| sum.saturating_add(piece.bytes));
    total.div_ceil(PAIRS)
}

/// Joins neighbours while together they stay within the target and the limit.
fn pack(pieces: Vec<Piece>, target: u64, rows_max: u64) -> Vec<Vec<FileSlice>> {
    let mut tasks: Vec<Vec<FileSlice>> = Vec::new();
    let (mut room, mut rows_left) = (0, 0);
    for Piece { slice, bytes, rows } in pieces {
        let rows = rows.unwrap_or_default();
        match tasks.last_mut() {
            Some(task) if bytes <= room && rows <= rows_left => {
                task.push(slice);
                room -= bytes;
                rows_left -= rows;
            }
            Some(_) | None => {
                tasks.push(vec![slice]);
                room = target.saturating_sub(bytes);
                rows_left = rows_max.saturating_sub(rows);
            }
        }
    }
    tasks
}

/// Cuts pieces with more rows than allowed into ranges of rows.
fn cut(pieces: Vec<Piece>, rows_max: u64) -> Result<Vec<Piece>, Fault> {
    let mut parts = Vec::with_capacity(pieces.len());
    let mut spent = 0;
    for piece in pieces {
        let rows = piece.rows.ok_or_else(|| uncounted(&piece.slice))?;
        if rows <= rows_max {
            parts.push(piece);
            continue;
        }
        let count = rows.div_ceil(rows_max);
        spent = count.saturating_add(spent);
        if spent > TASKS_MAX as u64 {
            return Err(too_many_files(spent));
        }
        for nth in 0..count {
            let first = nth * rows_max;
            let range = RowRange {
                first,
                count: rows_max.min(rows - first),
            };
            let mut slice = piece.slice.clone();
            slice.row_range = Some(range);
            let bytes = u128::from(piece.bytes) * u128::from(range.count) / u128::from(rows);
            parts.push(Piece {
                slice,
                bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
                rows: Some(range.count),
            });
        }
    }
    Ok(parts)
}

/// Cuts a slice that is larger than the target between its row groups. The row groups are used up by this.
fn split(mut slice: FileSlice, target: u64, pieces: &mut Vec<Piece>) {
    let known = std::mem::take(&mut slice.known_row_groups);
    let Some(groups) = chosen_groups(&slice, &known) else {
        let (bytes, rows) = (slice.bytes, live_rows(&slice, slice.rows));
        return pieces.push(Piece { slice, bytes, rows });
    };
    let total = sum(&groups, |group| group.bytes);
    if total <= target || groups.len() < 2 {
        let rows = live_rows(&slice, Some(sum(&groups, |group| group.rows)));
        return pieces.push(Piece {
            slice,
            bytes: total,
            rows,
        });
    }
    let mut run: Vec<(u32, RowGroup)> = Vec::new();
    for group in groups {
        if !run.is_empty() && sum(&run, |it| it.bytes).saturating_add(group.1.bytes) > target {
            pieces.push(part(&slice, &run));
            run.clear();
        }
        run.push(group);
    }
    pieces.push(part(&slice, &run));
}
/// The row groups of the slice with their ordinals, when the file's are known.
fn chosen_groups(slice: &FileSlice, known: &[RowGroup]) -> Option<Vec<(u32, RowGroup)>> {
    if known.is_empty() {
        return None;
    }
    match &slice.row_groups {
        None => Some((0u32..).zip(known.iter().copied()).collect()),
        Some(ordinals) => ordinals
            .iter()
            .map(|ordinal| {
                let group = known.get(usize::try_from(*ordinal).ok()?)?;
                Some((*ordinal, *group))
            })
            .collect(),
    }
}

fn part(slice: &FileSlice, run: &[(u32, RowGroup)]) -> Piece {
    let mut part = slice.clone();
    part.row_groups = Some(run.iter().map(|(ordinal, _)| *ordinal).collect());
    part.rows = live_rows(&part, Some(sum(run, |group| group.rows)));
    Piece {
        rows: part.rows,
        slice: part,
        bytes: sum(run, |group| group.bytes),
    }
}

fn sum(groups: &[(u32, RowGroup)], of: impl Fn(&RowGroup) -> u64) -> u64 {
    groups
        .iter()
        .fold(0, |sum, (_, group)| sum.saturating_add(of(group)))
}

/// The rows that remain of so many when the mask is applied; not known for some row groups of a masked file.
fn live_rows(slice: &FileSlice, rows: Option<u64>) -> Option<u64> {
    match &slice.mask {
        None => rows,
        Some(mask) if slice.row_groups.is_none() => rows?.checked_sub(mask.rows),
        Some(_) => None,
    }
}

fn too_many_files(count: u64) -> Fault {
    Fault::new(
        ErrorCode::FieldInvalid,
        format!(
            "failed to divide rows into files: `maxRowsPerFile` makes more than {TASKS_MAX} files of one delivery \
             (at least {count}); raise it in the target connection"
        ),
    )
}

fn uncounted(slice: &FileSlice) -> Fault {
    Fault::new(
        ErrorCode::SourceFeatureUnsupported,
        format!(
            "failed to divide rows into files: nothing says how many rows source file {}/{} has",
            slice.source.root, slice.source.path
        ),
    )
}
