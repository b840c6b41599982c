//! Manifests: ours, which is the answer of a plan, and the documented one beside the files (contract, 7.5).
//!
//! Bytes are made once, before the point of no return, and never again; nothing here writes or signs them.
//!
//! The one law: a manifest names exactly the files of the plan, each with its recorded winner.

use std::collections::BTreeMap;

use offtake_model::plan::PlanMode;
use offtake_model::{ErrorCode, ExportPlan, Fault, Manifest, ManifestFile, PlannedTask, Winner};
use serde_json::json;

use crate::{calendar, canonical, plan};

/// The version written today.
pub const FORMAT_VERSION: u32 = 1;

/// Makes the manifest of a plan from the winners of its tasks and the tags that the destination gave their files.
/// A task without a winner, a winner without a task or one at another key is a broken invariant.
pub fn build(
    plan: &ExportPlan,
    winners: &[Winner],
    etags: &BTreeMap<u32, String>,
    producer: &str,
) -> Result<Manifest, Fault> {
    let mut by_task: BTreeMap<u32, &Winner> = BTreeMap::new();
    for winner in winners {
        if by_task.insert(winner.task, winner).is_some() {
            return Err(broken(
                plan,
                &format!("task {} has two winners", winner.task),
            ));
        }
    }
    let mut files = Vec::with_capacity(plan.tasks.len());
    for task in &plan.tasks {
        let winner = by_task
            .remove(&task.index)
            .ok_or_else(|| broken(plan, &format!("task {} has no winner", task.index)))?;
        files.push(file(plan, task, winner, etags.get(&task.index))?);
    }
    if let Some(task) = by_task.keys().next() {
        return Err(broken(
            plan,
            &format!("the winner of task {task} has no task"),
        ));
    }
    let mut manifest = Manifest {
        checksum: String::new(),
        dataset: plan.dataset.clone(),
        delivery: plan.delivery,
        encoding: plan.spec.encoding,
        total_bytes: sum(&files, |file| file.size),
        total_rows: sum(&files, |file| file.rows),
        files,
        flow: plan.spec.flow,
        format_version: FORMAT_VERSION,
        from: match plan.mode {
            PlanMode::Incremental => plan.from.clone(),
            PlanMode::Full | PlanMode::FullAfterRewrite | PlanMode::FullResync => None,
        },
        kind: plan.kind,
        mode: plan.mode,
        occurrence: plan.occurrence,
        producer: producer.to_owned(),
        run: plan.run,
        schema: plan.schema.clone(),
        schema_fingerprint: plan.schema_fingerprint.clone(),
        seq: plan.seq,
        to: plan.to.clone(),
    };
    manifest.checksum = checksum(&manifest)?;
    Ok(manifest)
}

/// The exact bytes of a manifest: canonical JSON.
pub fn to_bytes(manifest: &Manifest) -> Result<Vec<u8>, Fault> {
    canonical::to_bytes(manifest)
}

/// SHA-256 of the bytes, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    canonical::sha256_hex(bytes)
}

/// Reads a manifest. Bytes that this program would not have written, totals that do not add up and a schema of another
/// fingerprint are refused: a manifest never changes.
pub fn parse(bytes: &[u8]) -> Result<Manifest, Fault> {
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| unreadable("it is not a manifest of offtake").because(&error))?;
    if manifest.format_version != FORMAT_VERSION {
        return Err(unreadable(&format!(
            "its format version is {}, this program reads {FORMAT_VERSION}",
            manifest.format_version
        )));
    }
    if checksum(&manifest)? != manifest.checksum {
        return Err(unreadable(
            "its checksum is not that of its content, so it was changed",
        ));
    }
    if sum(&manifest.files, |file| file.rows) != manifest.total_rows {
        return Err(unreadable(
            "its total of rows is not the sum of its files' rows",
        ));
    }
    if sum(&manifest.files, |file| file.size) != manifest.total_bytes {
        return Err(unreadable(
            "its total of bytes is not the sum of its files' sizes",
        ));
    }
    if plan::schema_fingerprint(&manifest.schema)? != manifest.schema_fingerprint {
        return Err(unreadable("its schema is not that of its fingerprint"));
    }
    if to_bytes(&manifest)? != bytes {
        return Err(unreadable(
            "its bytes are not canonical, so they were changed",
        ));
    }
    Ok(manifest)
}

/// SHA-256 of the manifest's bytes with its own field empty.
fn checksum(manifest: &Manifest) -> Result<String, Fault> {
    let unsigned = Manifest {
        checksum: String::new(),
        ..manifest.clone()
    };
    Ok(sha256_hex(&to_bytes(&unsigned)?))
}

/// The bytes of the documented manifest, which names the files of the run's folder and their sizes.
pub fn file_manifest(plan: &ExportPlan, manifest: &Manifest) -> Result<Vec<u8>, Fault> {
    let results: Vec<_> = manifest
        .files
        .iter()
        .map(|file| {
            let (folder, name) = file.key.rsplit_once('/').unwrap_or(("", &file.key));
            json!({"name": name, "sinkPath": format!("/{folder}"), "size": file.size})
        })
        .collect();
    canonical::to_bytes(&json!({
        "exportResults": results,
        "flowRunId": plan.run,
        "scheduledTime": calendar::rfc3339(plan.occurrence),
    }))
}

/// Ending of a manifest's key.
const ENDING: &str = ".manifest";

/// Ending of the key of the word that stands in a manifest's place.
const EXPIRED_ENDING: &str = ".expired";

/// Where the word stands that the delivery of that manifest was taken away because its time was over.
pub fn expired_key(manifest_key: &str) -> String {
    let stem = manifest_key.strip_suffix(ENDING).unwrap_or(manifest_key);
    format!("{stem}{EXPIRED_ENDING}")
}

/// The bytes of that word: which delivery it was. They follow from the plan alone, so that an interrupted sweep
/// writes the same ones again.
pub fn expired(plan: &ExportPlan) -> Result<Vec<u8>, Fault> {
    canonical::to_bytes(&json!({
        "dataset": plan.dataset,
        "delivery": plan.delivery,
        "flow": plan.spec.flow,
        "formatVersion": FORMAT_VERSION,
        "kind": plan.kind,
        "run": plan.run,
        "seq": plan.seq,
    }))
}

fn file(
    plan: &ExportPlan,
    task: &PlannedTask,
    winner: &Winner,
    etag: Option<&String>,
) -> Result<ManifestFile, Fault> {
    let handle = &winner.file.token.handle;
    if handle.key != task.key || handle.tag.delivery != plan.delivery {
        return Err(broken(
            plan,
            &format!("the winner of task {} lies at {}", task.index, handle.key),
        ));
    }
    Ok(ManifestFile {
        etag: etag.cloned(),
        key: task.key.clone(),
        passage: winner.file.passage,
        rows: winner.file.rows,
        sha256: winner.file.sha256.clone(),
        size: winner.file.bytes,
    })
}

fn sum(files: &[ManifestFile], of: impl Fn(&ManifestFile) -> u64) -> u64 {
    files
        .iter()
        .fold(0, |sum, file| sum.saturating_add(of(file)))
}

fn broken(plan: &ExportPlan, what: &str) -> Fault {
    Fault::new(
        ErrorCode::Quarantined,
        format!(
            "failed to make the manifest of delivery {}: {what}",
            plan.delivery
        ),
    )
}

fn unreadable(why: &str) -> Fault {
    Fault::new(
        ErrorCode::ManifestInvalid,
        format!("failed to read the manifest: {why}"),
    )
}

#[cfg(test)]
mod tests;
