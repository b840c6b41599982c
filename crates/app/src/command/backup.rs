//! `offtake backup` and `offtake restore`: like `serve`, they work on the data directory itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use serde_json::json;

use crate::backup::{self, BackupList};
use crate::output::{Output, size};
use crate::wire::Place;

/// Copy everything that only this data directory has, also while a service runs on it, and check the copy.
///
/// A backup holds the database, the key file, the configuration and credentials in the data directory, and what was
/// sent in: managed datasets and uploads. It opens every secret: keep it as you keep the data directory.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Directory for the backup; it is made, or must be empty.
    into: PathBuf,
    /// Leave out managed datasets and uploads.
    #[arg(long)]
    metadata_only: bool,
}

/// Make a data directory of a backup. Its flows wait until `offtake reconcile` has looked at their destinations.
#[derive(ClapArgs)]
pub(crate) struct RestoreArgs {
    /// Directory of the backup.
    from: PathBuf,
    /// Check the backup and restore nothing.
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(place: &Place, args: Args, output: Output) -> Result<ExitCode> {
    let list = backup::take(&place.data_dir, &args.into, !args.metadata_only)
        .await
        .with_context(|| format!("backing up {}", place.data_dir.display()))?;
    let text = format!("Backed up and checked: {}", described(&list));
    output.answer(&summary(&list), || text);
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn restore(place: &Place, args: RestoreArgs, output: Output) -> Result<ExitCode> {
    let reading = || format!("reading backup {}", args.from.display());
    let list = backup::verify(&args.from).await.with_context(reading)?;
    if args.check {
        output.answer(&summary(&list), || {
            format!("The backup is complete: {}", described(&list))
        });
        return Ok(ExitCode::SUCCESS);
    }
    let held = backup::restore(&args.from, &list, &place.data_dir)
        .await
        .with_context(|| format!("restoring into {}", place.data_dir.display()))?;
    let mut value = summary(&list);
    if let Some(object) = value.as_object_mut() {
        object.insert("heldFlows".to_owned(), json!(held));
    }
    output.answer(&value, || format!("Restored: {}", described(&list)));
    if held > 0 {
        output.say(&format!(
            "{held} flow(s) wait: start the service, then run `offtake reconcile`."
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(list: &BackupList) -> serde_json::Value {
    json!({
        "takenAt": list.taken_at,
        "incarnation": list.incarnation,
        "schemaVersion": list.schema_version,
        "flows": list.flows,
        "data": list.data,
        "files": list.files.len(),
        "bytes": list.bytes(),
    })
}

fn described(list: &BackupList) -> String {
    let data = if list.data {
        ""
    } else {
        ", without managed datasets and uploads"
    };
    format!(
        "{} flow(s) as of {}, {} file(s), {}{data}",
        list.flows,
        list.taken_at,
        list.files.len(),
        size(list.bytes())
    )
}
