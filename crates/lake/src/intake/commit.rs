//! Commits to a Delta table: one file of actions, put in place whole or not at all.
//!
//! The one law: a version that exists is never replaced.

use std::io::{self, Write};

use arrow::datatypes::Schema;
use cap_std::fs::Dir;
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::schema::StructType;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::log::{LOG_FOLDER, commit_name};

/// A data file to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Relative to the table; of characters that need no encoding.
    pub(crate) path: String,
    /// Size.
    pub(crate) bytes: u64,
    /// Rows.
    pub(crate) rows: u64,
}

/// The outcome of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Put {
    /// The version is ours.
    Done,
    /// Somebody else's commit has that version.
    Taken,
}

/// Puts a commit in place, unless that version exists.
pub(crate) fn put(table: &Dir, version: u64, actions: &[Value]) -> io::Result<Put> {
    table.create_dir_all(LOG_FOLDER)?;
    let log = table.open_dir(LOG_FOLDER)?;
    let name = commit_name(version);
    let staged = format!(".{name}.{}.staged", Uuid::new_v4());
    let mut text = String::new();
    for action in actions {
        text.push_str(&action.to_string());
        text.push('\n');
    }
    let mut file = log.create(&staged)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link, unlike a rename, never replaces what another writer committed.
    let linked = log.hard_link(&staged, &log, &name);
    log.remove_file(&staged)?;
    match linked {
        Ok(()) => {
            sync(&log)?;
            Ok(Put::Done)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Taken),
        Err(error) => Err(error),
    }
}

/// Makes the names in a folder durable. The handle itself is only good for paths, so the folder is opened once more.
pub(crate) fn sync(folder: &Dir) -> io::Result<()> {
    folder.open(".")?.sync_all()
}

/// What every table begins with beside its metadata.
pub(crate) fn protocol() -> Value {
    json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
}

/// A table's name, columns and partitioning.
pub(crate) fn metadata(
    id: &str,
    name: &str,
    schema: &Schema,
    partitions: &[&str],
    at: i64,
) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let schema = StructType::try_from_arrow(schema)?;
    Ok(json!({"metaData": {
        "id": id,
        "name": name,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": serde_json::to_string(&schema)?,
        "partitionColumns": partitions,
        "configuration": {},
        "createdTime": at,
    }}))
}

/// The mark by which a commit is recognised when its writer never heard that it was done.
pub(crate) fn transaction(app: &str, at: i64) -> Value {
    json!({"txn": {"appId": app, "version": 1, "lastUpdated": at}})
}

/// What a commit is, for people.
pub(crate) fn info(operation: &str, engine: &str, at: i64) -> Value {
    json!({"commitInfo": {
        "timestamp": at,
        "operation": operation,
        "operationParameters": {},
        "engineInfo": engine,
    }})
}

/// The action that adds a file of new rows.
pub(crate) fn add(file: &DataFile, at: i64) -> Value {
    json!({"add": {
        "path": file.path,
        "partitionValues": {},
        "size": file.bytes,
        "modificationTime": at,
        "dataChange": true,
        "stats": json!({ "numRecords": file.rows }).to_string(),
    }})
}

/// The action that takes a file and its rows out.
pub(crate) fn remove(path: &str, bytes: u64, at: i64) -> Value {
    json!({"remove": {
        "path": path,
        "deletionTimestamp": at,
        "dataChange": true,
        "extendedFileMetadata": true,
        "partitionValues": {},
        "size": bytes,
    }})
}
