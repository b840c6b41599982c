//! What a delivery sends: which question to put to the lake, what its answer means, and the plan made of it.
//!
//! Planning is pure: the same run, cursor and answer give the same plan, byte for byte, so a crash before the plan was
//! saved costs nothing. Every name in it comes from the occurrence, never from the present moment.
//!
//! The one law: the tasks of a plan hold every row of its slices exactly once.

mod layout;
mod replay;
mod tasks;
mod unseen;

use offtake_model::delivery::Cursor;
use offtake_model::plan::PlanMode;
use offtake_model::resource::TableFormat;
use offtake_model::{
    ChangeSet, Changes, Compression, DatasetId, DeliveryId, ErrorCode, ExportPlan, ExportSpec,
    Fault, FileSlice, FileType, FolderFile, FolderListing, OnRewrite, OutputEncoding, PlannedTask,
    Position, Run, Schema, SeenFolder,
};

use crate::{canonical, naming};

pub use layout::{Preview, PreviewedDataset, PreviewedPlace, preview};
pub use replay::plan_replay;
pub use tasks::{PACK_ABOVE, TASKS_MAX};
pub use unseen::{Look, unseen};

/// What to ask the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeQuestion {
    /// The whole dataset at its latest position.
    Snapshot,
    /// What was committed after this position.
    Changes {
        /// The cursor's position.
        from: Position,
    },
    /// What lies in the folder, and what the flow has seen of it.
    Files,
}

/// What the lake answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeAnswer {
    /// To [`LakeQuestion::Snapshot`].
    Snapshot(ChangeSet),
    /// To [`LakeQuestion::Changes`].
    Changes(Changes),
    /// To [`LakeQuestion::Files`].
    Files {
        /// What lies there now.
        listing: FolderListing,
        /// What was delivered before; nothing when there was no delivery yet.
        seen: Option<SeenFolder>,
    },
}

/// What follows from the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Plan this.
    Plan {
        /// Why it is what it is.
        mode: PlanMode,
        /// What to send.
        changes: ChangeSet,
    },
    /// Rows were rewritten and the flow wants everything then: ask for the snapshot at this position, and plan it with
    /// [`PlanMode::FullAfterRewrite`].
    AskSnapshotAgain {
        /// The position that the increment would have led to.
        at: Position,
    },
    /// Ask for these files of the folder as slices, and plan them.
    ReadFiles {
        /// Why it is what it is.
        mode: PlanMode,
        /// What lies in the folder.
        listing: FolderListing,
        /// Which of it to send.
        chosen: Vec<FolderFile>,
        /// The schema that was delivered before and may only be added to.
        known: Option<Schema>,
    },
}

/// Whose delivery is planned.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its run.
    pub run: &'a Run,
    /// Its dataset.
    pub dataset: &'a DatasetId,
    /// The dataset's name, for folder templates.
    pub dataset_name: &'a str,
    /// The organisation's name, for folder templates; its id where no name is known.
    pub organisation_name: &'a str,
    /// Where the flow stands in the dataset, read while planning.
    pub cursor: Option<&'a Cursor>,
}

/// How large tasks become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Source bytes that one task should read.
    pub target_task_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target_task_bytes: 128 * 1024 * 1024,
        }
    }
}

/// The question to put to the lake for a run, given where the flow stands in the dataset.
///
/// The runs of a flow that always sends everything ([`crate::schedule::always_full`]) have `full` set.
pub fn ask(run: &Run, format: TableFormat, cursor: Option<&Cursor>) -> LakeQuestion {
    match cursor {
        _ if format == TableFormat::ParquetFolder => LakeQuestion::Files,
        Some(cursor) if !run.full => LakeQuestion::Changes {
            from: cursor.position.clone(),
        },
        Some(_) | None => LakeQuestion::Snapshot,
    }
}

/// What the lake's answer means. Rewritten rows end the delivery unless the flow wants everything sent then
/// (contract, D2).
pub fn after(subject: &Subject<'_>, answer: LakeAnswer) -> Result<Next, Fault> {
    match answer {
        LakeAnswer::Snapshot(changes) => Ok(Next::Plan {
            mode: match subject.cursor {
                Some(_) => PlanMode::FullResync,
                None => PlanMode::Full,
            },
            changes,
        }),
        LakeAnswer::Changes(Changes::Appended(changes)) => {
            check_forward(subject, &changes.to)?;
            Ok(Next::Plan {
                mode: PlanMode::Incremental,
                changes,
            })
        }
        LakeAnswer::Changes(Changes::Rewritten { at, to }) => match subject.run.spec.on_rewrite {
            OnRewrite::Full => Ok(Next::AskSnapshotAgain { at: to }),
            OnRewrite::Fail => Err(rewritten(subject, &at)),
        },
        LakeAnswer::Files { listing, seen } => after_look(subject, listing, seen),
    }
}

/// What a look into a folder means.
fn after_look(
    subject: &Subject<'_>,
    listing: FolderListing,
    seen: Option<SeenFolder>,
) -> Result<Next, Fault> {
    let whole = |mode, listing: FolderListing| Next::ReadFiles {
        mode,
        chosen: listing.files.clone(),
        listing,
        known: None,
    };
    if subject.cursor.is_none() {
        return Ok(whole(PlanMode::Full, listing));
    }
    if subject.run.full {
        return Ok(whole(PlanMode::FullResync, listing));
    }
    let Some(seen) = seen else {
        return Err(Fault::new(
            ErrorCode::SourceHistoryLost,
            format!(
                "failed to plan an increment of dataset {}: it was no folder when it was delivered before",
                subject.dataset
            ),
        ));
    };
    match unseen(&listing.files, &seen.files) {
        Look::Added(chosen) => Ok(Next::ReadFiles {
            mode: PlanMode::Incremental,
            listing,
            chosen,
            known: Some(seen.schema),
        }),
        Look::Rewritten { at } => match subject.run.spec.on_rewrite {
            OnRewrite::Full => Ok(whole(PlanMode::FullAfterRewrite, listing)),
            OnRewrite::Fail => Err(rewritten(subject, &at)),
        },
    }
}

fn rewritten(subject: &Subject<'_>, at: &str) -> Fault {
    Fault::new(
        ErrorCode::SourceRewritten,
        format!(
            "failed to plan an increment of dataset {}: rows were deleted or rewritten at {at}",
            subject.dataset
        ),
    )
}

/// Makes the plan.
pub fn plan_export(
    subject: &Subject<'_>,
    mode: PlanMode,
    changes: ChangeSet,
    limits: &Limits,
) -> Result<ExportPlan, Fault> {
    let run = subject.run;
    let spec = &run.spec;
    let path = naming::normalise_path(&spec.path)?;
    let (folder, separate) = folder(subject, &path)?;
    let manifest_key = naming::manifest_key(&path, run.flow, subject.dataset, subject.delivery);
    naming::check_key(&manifest_key)?;
    let file_manifest_key = file_manifest_key(subject, &folder, separate)?;
    let groups = tasks::group(changes.slices, size(spec, *limits))?;
    let tasks = planned_tasks(subject.delivery, spec.encoding, &folder, groups)?;
    Ok(ExportPlan {
        format_version: ExportPlan::FORMAT_VERSION,
        delivery: subject.delivery,
        run: run.id,
        dataset: subject.dataset.clone(),
        dataset_name: subject.dataset_name.to_owned(),
        kind: run.kind,
        occurrence: run.occurrence,
        spec: spec.clone(),
        mode,
        from: subject.cursor.map(|cursor| cursor.position.clone()),
        to: changes.to,
        seq: subject.cursor.map_or(0, |cursor| cursor.seq) + 1,
        schema_fingerprint: schema_fingerprint(&changes.schema)?,
        schema: changes.schema,
        folder,
        tasks,
        manifest_key,
        file_manifest_key,
    })
}

/// The slices of each task, in order, for a flow without file rules.
pub fn divide(slices: Vec<FileSlice>, limits: Limits) -> Result<Vec<Vec<FileSlice>>, Fault> {
    let size = tasks::Size {
        bytes: limits.target_task_bytes,
        rows_max: None,
        pack: false,
    };
    tasks::group(slices, size)
}

/// How large the flow's file rules let tasks become. One task writes one file.
const fn size(spec: &ExportSpec, limits: Limits) -> tasks::Size {
    let rules = spec.file_rules;
    let bytes = match rules.target_bytes {
        Some(bytes) => source_bytes(bytes, spec.encoding),
        None => limits.target_task_bytes,
    };
    tasks::Size {
        bytes,
        rows_max: rules.max_rows,
        pack: !rules.none(),
    }
}

/// Source bytes that become about that many bytes when written: Parquet is taken for as large as its compressed
/// source, and the others for what rows of business data come to. An estimate, and documented as one.
const fn source_bytes(written: u64, encoding: OutputEncoding) -> u64 {
    match (encoding.file_type, encoding.compression) {
        (FileType::Parquet, Compression::Gzip) => written,
        (FileType::Parquet, Compression::None) | (FileType::Json, Compression::Gzip) => written / 2,
        (FileType::Json, Compression::None) => written / 8,
    }
}

/// SHA-256 of the schema's canonical JSON, in hexadecimal.
pub fn schema_fingerprint(schema: &Schema) -> Result<String, Fault> {
    canonical::to_bytes(schema).map(|bytes| canonical::sha256_hex(&bytes))
}

/// An increment that ends before it begins would move the cursor backwards: the table was made anew or restored.
fn check_forward(subject: &Subject<'_>, to: &Position) -> Result<(), Fault> {
    let Some(cursor) = subject.cursor else {
        return Ok(());
    };
    let forward = match (&cursor.position, to) {
        (
            Position::Delta {
                table: before,
                version: from,
            },
            Position::Delta { table, version },
        ) => table == before && version >= from,
        (Position::Folder { .. }, _) | (_, Position::Folder { .. }) => false,
    };
    if forward {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::SourceHistoryLost,
        format!(
            "failed to plan an increment of dataset {}: the flow stands at {}, the lake at {}",
            subject.dataset,
            spoken(&cursor.position),
            spoken(to)
        ),
    ))
}

fn spoken(position: &Position) -> String {
    match position {
        Position::Delta { table, version } => format!("version {version} of table {table}"),
        Position::Folder { files, .. } => format!("a folder of {files} files"),
    }
}

fn folder(subject: &Subject<'_>, path: &str) -> Result<(String, bool), Fault> {
    let named = layout::Named {
        dataset: subject.dataset,
        name: subject.dataset_name,
        organisation: subject.organisation_name,
    };
    layout::folder(&subject.run.spec, path, &named, subject.run.occurrence)
}

fn file_manifest_key(
    subject: &Subject<'_>,
    folder: &str,
    separate: bool,
) -> Result<Option<String>, Fault> {
    if !subject.run.spec.include_file_manifest {
        return Ok(None);
    }
    let shared_by = (!separate).then_some(subject.dataset);
    let name = naming::file_manifest_name(subject.run.flow, subject.run.id, shared_by);
    let key = naming::join(&[folder, &name]);
    naming::check_key(&key)?;
    Ok(Some(key))
}

fn planned_tasks(
    delivery: DeliveryId,
    encoding: OutputEncoding,
    folder: &str,
    groups: Vec<Vec<FileSlice>>,
) -> Result<Vec<PlannedTask>, Fault> {
    let mut tasks = Vec::with_capacity(groups.len());
    for (index, slices) in (0u32..).zip(groups) {
        let name = naming::file_name(delivery, index, encoding);
        let key = naming::join(&[folder, &name]);
        naming::check_key(&key)?;
        tasks.push(PlannedTask { index, key, slices });
    }
    Ok(tasks)
}

#[cfg(test)]
pub(crate) mod tests;
