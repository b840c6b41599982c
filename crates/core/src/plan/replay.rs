//! The plan of a replay, made of the past plan.
//!
//! The one law: what is read, how it is grouped and where it lies are the past plan's; only names are new.

use offtake_model::{ExportPlan, Fault};

use super::{Subject, file_manifest_key, folder, planned_tasks};
use crate::naming;

/// Makes the plan of a replay: the same slices in the same files of the same folder, under names of its own.
///
/// The lake isn't asked again, so the range is the past one whatever became of the table since; a source file that
/// is gone ends the delivery.
pub fn plan_replay(subject: &Subject<'_>, past: ExportPlan) -> Result<ExportPlan, Fault> {
    let run = subject.run;
    let path = naming::normalise_path(&run.spec.path)?;
    let (_, separate) = folder(subject, &path)?;
    let manifest_key = naming::manifest_key(&path, run.flow, subject.dataset, subject.delivery);
    let file_manifest_key = file_manifest_key(subject, &past.folder, separate)?;
    let groups = past.tasks.into_iter().map(|task| task.slices).collect();
    let tasks = planned_tasks(subject.delivery, run.spec.encoding, &past.folder, groups)?;
    Ok(ExportPlan {
        format_version: ExportPlan::FORMAT_VERSION,
        delivery: subject.delivery,
        run: run.id,
        kind: run.kind,
        spec: run.spec.clone(),
        tasks,
        manifest_key,
        file_manifest_key,
        ..past
    })
}
