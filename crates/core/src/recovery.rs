//! Catching up after a restore: what a flow has delivered since the backup, told from the manifests at its destination.
//!
//! Manifests are numbered without gaps and each begins where the one before ended, so those that the store does not
//! know either continue what it knows, or something is wrong that no program can put right.
//!
//! The one law: a cursor is moved only to where a manifest says that rows were delivered.

use offtake_model::delivery::{CursorMove, SeenMove};
use offtake_model::plan::PlanMode;
use offtake_model::{
    CatchUp, ErrorCode, Fault, FlowId, FolderFile, FolderListing, FoundManifest, KnownDataset,
    Manifest, Position, SeenFolder,
};

/// Sets of files that are tried to find the one that a position of a folder stands for.
const SETS_MAX: u32 = 20_000;

/// Files of all these sets together.
const SET_FILES_MAX: usize = 5_000_000;

/// What became of the newest manifest that the store saw written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    /// The store knows of none.
    Unknown,
    /// It stands as it was written.
    Stands,
    /// Nothing lies at its key.
    Missing,
    /// Something else lies at its key.
    Changed,
}

/// Whose word counts where the destination keeps silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nobody's: the flow is not let go on.
    Refuses,
    /// The store's: a person took the risk that rows are delivered twice.
    Accepted,
}

/// Says how the store catches up with the manifests `found`, which it does not count among the delivered ones.
///
/// # Errors
/// `DELIVERIES_CONTRADICT` when store and destination cannot both be right, `DELIVERIES_UNPROVEN` when manifests that
/// would tell are missing and nobody accepted that.
pub fn catch_up(
    flow: FlowId,
    known: &KnownDataset,
    found: &[FoundManifest],
    newest: Newest,
    silence: Silence,
) -> Result<CatchUp, Fault> {
    let stood = known.cursor.as_ref().map_or(0, |cursor| cursor.seq);
    check_own(flow, known, found, stood)?;
    if newest == Newest::Changed {
        return Err(contradict(
            known,
            "the newest manifest that the store saw written has other bytes now",
        ));
    }
    let movers = movers(found);
    if movers.is_empty() && newest == Newest::Missing && silence == Silence::Refuses {
        return Err(unproven(
            known,
            &format!(
                "manifest number {stood}, which the store saw written, is not at the destination any more, so it \
                 cannot be told whether later ones were"
            ),
        ));
    }
    check_chain(known, &movers, stood, silence)?;
    let last = movers.last().map(|it| &it.manifest);
    let reached = last.map_or(stood, |it| it.seq);
    let superseded = known.open.iter().filter(|open| {
        open.seq.is_some_and(|seq| seq <= reached)
            && found.iter().all(|it| it.manifest.delivery != open.id)
    });
    Ok(CatchUp {
        dataset: known.dataset.clone(),
        delivered: in_order(found),
        stood,
        cursor: last.map(|it| CursorMove {
            flow,
            dataset: known.dataset.clone(),
            to: it.to.clone(),
            seq: it.seq,
            seen: None,
        }),
        superseded: superseded.map(|open| open.id).collect(),
    })
}

/// Whether a dataset that stands at `stands` has everything that was delivered up to `to`. A table that was restored,
/// too, may have less; what comes into it next would be taken for delivered.
pub fn reaches(stands: &Position, to: &Position) -> bool {
    match (stands, to) {
        (
            Position::Delta { table, version },
            Position::Delta {
                table: same,
                version: least,
            },
        ) => table == same && version >= least,
        (Position::Folder { .. }, Position::Folder { .. }) => true,
        (Position::Delta { .. }, Position::Folder { .. })
        | (Position::Folder { .. }, Position::Delta { .. }) => false,
    }
}

/// The fault for a dataset that does not reach where its deliveries did.
pub fn behind(known: &KnownDataset) -> Fault {
    contradict(
        known,
        "the dataset itself is older than what was delivered of it, or another one lies at its place",
    )
}

/// The fault for a destination that cannot be read back.
pub fn unreadable(known: &KnownDataset) -> Fault {
    unproven(
        known,
        "manifests cannot be read back from this kind of destination",
    )
}

/// The files of a Parquet folder that were delivered when the last of the manifests was written: the set among those
/// that lie there now for which the manifest's position stands.
///
/// # Errors
/// `DELIVERIES_UNPROVEN` when no such set is found within bounds.
pub fn seen_after(
    known: &KnownDataset,
    before: Option<&SeenFolder>,
    found: &[FoundManifest],
    listing: &FolderListing,
) -> Result<Option<SeenMove>, Fault> {
    let movers = movers(found);
    let Some(last) = movers.last().map(|it| &it.manifest) else {
        return Ok(None);
    };
    let anew = movers
        .iter()
        .any(|it| it.manifest.mode != PlanMode::Incremental);
    let base: &[FolderFile] = before
        .filter(|_| !anew)
        .map_or(&[], |seen| seen.files.as_slice());
    let Some(files) = set_of(&last.to, base, &listing.files) else {
        return Err(unproven(
            known,
            "the folder has changed since, so it cannot be told which of its files were delivered",
        ));
    };
    Ok(Some(SeenMove {
        delivered: SeenFolder {
            files,
            schema: last.schema.clone(),
        },
        whole: true,
    }))
}

fn check_own(
    flow: FlowId,
    known: &KnownDataset,
    found: &[FoundManifest],
    stood: u64,
) -> Result<(), Fault> {
    for FoundManifest { key, manifest, .. } in found {
        if manifest.flow != flow || manifest.dataset != known.dataset {
            return Err(contradict(
                known,
                &format!("manifest {key} is another flow's or dataset's"),
            ));
        }
        if known.undelivered.contains(&manifest.delivery) {
            return Err(contradict(
                known,
                &format!("manifest {key} is of a delivery that ended without one"),
            ));
        }
        if manifest.kind.moves_cursor() && manifest.seq <= stood {
            return Err(contradict(
                known,
                &format!(
                    "manifest {key} has number {}, which the store gave to another delivery",
                    manifest.seq
                ),
            ));
        }
    }
    Ok(())
}

fn check_chain(
    known: &KnownDataset,
    movers: &[&FoundManifest],
    stood: u64,
    silence: Silence,
) -> Result<(), Fault> {
    let mut seq = stood;
    let mut at = known.cursor.as_ref().map(|cursor| &cursor.position);
    for FoundManifest { key, manifest, .. } in movers.iter().copied() {
        if manifest.seq == seq {
            return Err(contradict(
                known,
                &format!("two manifests have number {seq}; one of them is {key}"),
            ));
        }
        let next = manifest.seq == seq + 1;
        if !next && silence == Silence::Refuses {
            return Err(unproven(
                known,
                &format!(
                    "manifests number {} to {} are not at the destination",
                    seq + 1,
                    manifest.seq - 1
                ),
            ));
        }
        if next && manifest.mode == PlanMode::Incremental && manifest.from.as_ref() != at {
            return Err(contradict(
                known,
                &format!("manifest {key} does not begin where number {seq} ended"),
            ));
        }
        seq = manifest.seq;
        at = Some(&manifest.to);
    }
    Ok(())
}

/// The manifests of deliveries that moved the cursor, in their order.
fn movers(found: &[FoundManifest]) -> Vec<&FoundManifest> {
    let mut movers: Vec<_> = found
        .iter()
        .filter(|it| it.manifest.kind.moves_cursor())
        .collect();
    movers.sort_by_key(|it| order(&it.manifest));
    movers
}

fn in_order(found: &[FoundManifest]) -> Vec<FoundManifest> {
    let mut all = found.to_vec();
    all.sort_by_key(|it| order(&it.manifest));
    all
}

const fn order(manifest: &Manifest) -> (u64, i64) {
    (manifest.seq, manifest.occurrence.0)
}

/// The files of `there`, all of `base` among them, for which the position stands.
fn set_of(
    position: &Position,
    base: &[FolderFile],
    there: &[FolderFile],
) -> Option<Vec<FolderFile>> {
    let Position::Folder { files: count, .. } = position else {
        return None;
    };
    let others: Vec<&FolderFile> = there.iter().filter(|it| !base.contains(it)).collect();
    if there.len() - others.len() != base.len() {
        return None;
    }
    let wanted = usize::try_from(*count).ok()?.checked_sub(base.len())?;
    if wanted > others.len() {
        return None;
    }
    let mut left = usize::try_from(SETS_MAX)
        .unwrap_or(usize::MAX)
        .min(SET_FILES_MAX / there.len().max(1))
        .max(1);
    let mut chosen: Vec<usize> = (0..wanted).collect();
    loop {
        let picked = chosen.iter().filter_map(|at| others.get(*at).copied());
        let mut set: Vec<&FolderFile> = base.iter().chain(picked).collect();
        set.sort_by(|a, b| a.path.cmp(&b.path));
        if Position::of_folder(set.iter().copied()) == *position {
            return Some(set.into_iter().cloned().collect());
        }
        left -= 1;
        if left == 0 || !advance(&mut chosen, others.len()) {
            return None;
        }
    }
}

/// The next choice of as many out of `of`, in the order of their ordinals; false after the last.
fn advance(chosen: &mut [usize], of: usize) -> bool {
    let wanted = chosen.len();
    for at in (0..wanted).rev() {
        let Some(ordinal) = chosen.get(at).copied() else {
            return false;
        };
        if ordinal + (wanted - at) < of {
            for (ordinal, place) in (ordinal + 1..).zip(chosen.iter_mut().skip(at)) {
                *place = ordinal;
            }
            return true;
        }
    }
    false
}

fn contradict(known: &KnownDataset, what: &str) -> Fault {
    refusal(ErrorCode::DeliveriesContradict, known, what)
}

fn unproven(known: &KnownDataset, what: &str) -> Fault {
    refusal(ErrorCode::DeliveriesUnproven, known, what)
}

fn refusal(code: ErrorCode, known: &KnownDataset, what: &str) -> Fault {
    Fault::new(code, format!("reconcile dataset {}: {what}", known.dataset))
}

#[cfg(test)]
mod tests;
