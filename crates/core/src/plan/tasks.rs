//! Divides slices into tasks: large files by row groups, many small ones together.
//!
//! Order is kept throughout, so that running a plan twice reads the same rows in the same order.

use offtake_model::{FileSlice, RowGroup};

/// Most tasks of a plan; beyond, tasks become larger.
pub const TASKS_MAX: usize = 100_000;

/// From more files than this on, small ones share a task.
pub const PACK_ABOVE: usize = 64;

/// A slice and the source bytes that reading it costs.
struct Piece {
    slice: FileSlice,
    bytes: u64,
}

/// The slices of each task, in order.
pub(super) fn group(slices: Vec<FileSlice>, target_bytes: u64) -> Vec<Vec<FileSlice>> {
    let target = target_bytes.max(1);
    let mut pieces = Vec::with_capacity(slices.len());
    for slice in slices {
        split(slice, target, &mut pieces);
    }
    if pieces.len() <= PACK_ABOVE {
        return pieces.into_iter().map(|piece| vec![piece.slice]).collect();
    }
    let target = target.max(least_target(&pieces));
    pack(pieces, target)
}

/// A target with which [`pack`] makes at most [`TASKS_MAX`] tasks: any two neighbours hold more than one target.
fn least_target(pieces: &[Piece]) -> u64 {
    const PAIRS: u64 = TASKS_MAX as u64 / 2 - 1;
    let total = pieces
        .iter()
        .fold(0u64, |sum, piece| sum.saturating_add(piece.bytes));
    total.div_ceil(PAIRS)
}

/// Joins neighbours while together they stay within the target.
fn pack(pieces: Vec<Piece>, target: u64) -> Vec<Vec<FileSlice>> {
    let mut tasks: Vec<Vec<FileSlice>> = Vec::new();
    let mut room = 0;
    for Piece { slice, bytes } in pieces {
        match tasks.last_mut() {
            Some(task) if bytes <= room => {
                task.push(slice);
                room -= bytes;
            }
            Some(_) | None => {
                tasks.push(vec![slice]);
                room = target.saturating_sub(bytes);
            }
        }
    }
    tasks
}

/// Cuts a slice that is larger than the target between its row groups. The row groups are used up by this.
fn split(mut slice: FileSlice, target: u64, pieces: &mut Vec<Piece>) {
    let known = std::mem::take(&mut slice.known_row_groups);
    let Some(groups) = chosen_groups(&slice, &known) else {
        let bytes = slice.bytes;
        return pieces.push(Piece { slice, bytes });
    };
    let total = sum(&groups, |group| group.bytes);
    if total <= target || groups.len() < 2 {
        return pieces.push(Piece {
            slice,
            bytes: total,
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
    // How many rows of these groups a mask removes is not known here.
    part.rows = match part.mask {
        None => Some(sum(run, |group| group.rows)),
        Some(_) => None,
    };
    Piece {
        slice: part,
        bytes: sum(run, |group| group.bytes),
    }
}

fn sum(groups: &[(u32, RowGroup)], of: impl Fn(&RowGroup) -> u64) -> u64 {
    groups
        .iter()
        .fold(0, |sum, (_, group)| sum.saturating_add(of(group)))
}
