//! What every destination shows to a person who looks into it.

use bytes::Bytes;
use offtake_model::{AttemptId, AttemptTag, DeliveryId, Fault};
use uuid::Uuid;

use super::sink_suite::SinkBench;
use crate::explore::{Explorer, FolderEntry};

/// Whether the explorer shows what was put into the bench's sink, and nothing that is staged there.
///
/// # Errors
/// The promise that was broken, in words.
pub async fn shows(bench: &dyn SinkBench, explorer: &dyn Explorer) -> Result<(), String> {
    let at = bench.sink();
    let told = |fault: Fault| fault.to_string();
    let list = async |folder: &str, limit| explorer.list(&at, folder, limit).await.map_err(told);
    let sink = bench.sinks().open(&at).await.map_err(told)?;

    if !list("shown/", 10).await?.is_empty() {
        return Err("a folder that does not exist holds nothing".to_owned());
    }
    for key in ["b", "a é&+%2F", "d/x", "d/e/y", "c f/x"] {
        let key = format!("shown/{key}");
        let put = sink.put(&key, Bytes::from_static(b"x")).await;
        put.map_err(told)?;
    }
    let mut staged = sink.begin("shown/staged", &tag()).await.map_err(told)?;
    let written = staged.write(Bytes::from_static(b"staged")).await;
    written.map_err(told)?;

    let all = [
        FolderEntry::Folder("c f".to_owned()),
        FolderEntry::Folder("d".to_owned()),
        FolderEntry::File("a é&+%2F".to_owned()),
        FolderEntry::File("b".to_owned()),
    ];
    let found = list("shown/", 10).await?;
    if found != all {
        return Err(format!(
            "folders, then files, each in the order of their names, and nothing else; there is {found:?}"
        ));
    }
    for limit in 1..=all.len() {
        let found = list("shown/", limit).await?;
        if found.len() != limit || !found.iter().all(|entry| all.contains(entry)) {
            return Err(format!(
                "at most {limit} entries are shown; there is {found:?}"
            ));
        }
    }
    let top = list("", 1_000).await?;
    if top != [FolderEntry::Folder("shown".to_owned())] {
        return Err(format!(
            "the top shows its folders and nothing of ours; there is {top:?}"
        ));
    }
    let long = format!("shown/{}/", "x".repeat(300));
    for none in ["shown/b/", "shown/c/", "shown/nothing/d/", &long] {
        if !list(none, 10).await?.is_empty() {
            return Err(format!("{none} is no folder and holds nothing"));
        }
    }
    if list("shown/d/e/", 10).await? != [FolderEntry::File("y".to_owned())] {
        return Err("a folder in a folder is shown like any other".to_owned());
    }
    Ok(())
}

fn tag() -> AttemptTag {
    AttemptTag {
        delivery: DeliveryId(Uuid::from_u128(8)),
        task: 0,
        attempt: AttemptId(Uuid::from_u128(8)),
    }
}
