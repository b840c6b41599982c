//! A Delta table's log, read commit by commit.
//!
//! The table library answers what a version holds; it doesn't tell what a commit did with each file and whether
//! that changed data. This module reads just that from the commit files.
//! The one law: a commit is read whole or refused; a missing one is never skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

use offtake_model::{ErrorCode, Fault};
use serde::{Deserialize, Serialize};

use crate::place::Trouble;
use crate::root::TableDir;

pub(crate) const LOG_FOLDER: &str = "_delta_log";

/// Longest line of a commit file. A line is one action; the largest carry a schema or a file's statistics.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most actions of one commit.
const LINES_MAX: u64 = 20_000_000;

/// Digits of a version in a file name.
const VERSION_DIGITS: usize = 20;

/// Which versions the log still has files for.
#[derive(Debug, Default)]
pub(crate) struct LogListing {
    commits: BTreeSet<u64>,
    checkpoints: BTreeMap<u64, Vec<String>>,
}

impl LogListing {
    /// Lists the log's folder. A folder without a log is no table.
    pub(crate) fn read(table: &TableDir) -> Result<Self, Fault> {
        let what = format!("a Delta log in `{}`", table.name());
        let entries = table.place.list(LOG_FOLDER, None);
        let entries = entries.map_err(|trouble| trouble.fault(ErrorCode::SourceNotFound, &what))?;
        let mut listing = Self::default();
        for entry in entries {
            if let Some((_, name)) = entry.path.rsplit_once('/') {
                listing.note(name.to_owned());
            }
        }
        if listing.latest().is_none() {
            return Err(Fault::new(
                ErrorCode::SourceNotFound,
                format!("`{}` has a Delta log without any commit", table.name()),
            ));
        }
        Ok(listing)
    }

    /// Whether a log lies in the folder, be it usable or not.
    pub(crate) fn lies_in(table: &TableDir) -> Result<bool, Fault> {
        match table.place.list(LOG_FOLDER, None) {
            Ok(entries) => Ok(!entries.is_empty()),
            Err(Trouble::Absent) => Ok(false),
            Err(trouble) => {
                let what = format!("the folder of `{}`", table.name());
                Err(trouble.fault(ErrorCode::SourceNotFound, &what))
            }
        }
    }

    fn note(&mut self, name: String) {
        let Some((digits, rest)) = name.split_at_checked(VERSION_DIGITS) else {
            return;
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        let Ok(version) = digits.parse() else {
            return;
        };
        if rest == ".json" {
            self.commits.insert(version);
            return;
        }
        let kind = rest.rsplit('.').next();
        if rest.starts_with(".checkpoint.") && matches!(kind, Some("parquet" | "json")) {
            self.checkpoints.entry(version).or_default().push(name);
        }
    }

    /// The newest version.
    pub(crate) fn latest(&self) -> Option<u64> {
        self.commits
            .last()
            .max(self.checkpoints.keys().last())
            .copied()
    }

    /// Files of the checkpoint that a reader of `version` starts from, with its version.
    pub(crate) fn checkpoint(&self, version: u64) -> Option<(u64, &[String])> {
        self.checkpoints
            .range(..=version)
            .next_back()
            .map(|(at, files)| (*at, files.as_slice()))
    }

    /// The first version whose commit is missing to build `version`; none when it can be built.
    pub(crate) fn first_gap(&self, version: u64) -> Option<u64> {
        let mut next = match self.checkpoint(version) {
            Some((at, _)) if at == version => return None,
            Some((at, _)) => at + 1,
            None => 0,
        };
        for commit in self.commits.range(next..=version) {
            if *commit != next {
                return Some(next);
            }
            next = next.saturating_add(1);
        }
        (next <= version).then_some(next)
    }
}

/// What one commit did.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// Files added.
    pub(crate) adds: Vec<Add>,
    /// Files removed.
    pub(crate) removes: Vec<Remove>,
    /// The table's new metadata.
    pub(crate) metadata: Option<Metadata>,
    /// The table's new protocol.
    pub(crate) protocol: Option<Protocol>,
    /// What the writer calls it: `WRITE`, `DELETE`, `OPTIMIZE`.
    pub(crate) operation: Option<String>,
    /// The writer's own mark of the commit.
    pub(crate) transaction: Option<String>,
}

/// A file that a commit adds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    /// Percent-encoded, relative to the table.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Values of the partition columns by physical name.
    #[serde(default)]
    pub(crate) partition_values: BTreeMap<String, Option<String>>,
    /// Whether the file brings rows that were not in the table before.
    #[serde(default = "yes")]
    pub(crate) data_change: bool,
    /// Statistics, a JSON document of its own.
    #[serde(default)]
    pub(crate) stats: Option<String>,
    /// Rows that are no longer part of the table.
    #[serde(default)]
    pub(crate) deletion_vector: Option<DeletionVector>,
}

impl Add {
    /// Rows in the file, when the statistics say so.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.stats.as_deref().and_then(rows_of_stats)
    }
}

/// A file that a commit removes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    /// As in [`Add`].
    pub(crate) path: String,
    /// Whether rows left the table with it.
    #[serde(default = "yes")]
    pub(crate) data_change: bool,
}

/// Where the row numbers of deleted rows are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletionVector {
    /// `u`, `i` or `p`.
    pub(crate) storage_type: String,
    /// A path or the vector itself, by storage type.
    pub(crate) path_or_inline_dv: String,
    /// Where in its file it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<i32>,
    /// Its length.
    pub(crate) size_in_bytes: i32,
    /// Rows it removes.
    pub(crate) cardinality: u64,
}

/// A table's metadata.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// The table's id.
    pub(crate) id: String,
    /// The schema, a JSON document of its own.
    pub(crate) schema_string: String,
    /// Logical names of the partition columns.
    #[serde(default)]
    pub(crate) partition_columns: Vec<String>,
    /// Table properties.
    #[serde(default)]
    pub(crate) configuration: BTreeMap<String, Option<String>>,
}

/// What a reader must understand.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    /// The lowest reader version.
    pub(crate) min_reader_version: u32,
    /// Features of version 3.
    #[serde(default)]
    pub(crate) reader_features: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<Add>,
    remove: Option<Remove>,
    meta_data: Option<Metadata>,
    protocol: Option<Protocol>,
    commit_info: Option<CommitInfo>,
    txn: Option<Transaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    app_id: String,
}

#[derive(Deserialize)]
struct CommitInfo {
    operation: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: Option<u64>,
}

fn yes() -> bool {
    // The protocol requires the field. Where it is missing, assuming a change can repeat work but never lose rows.
    true
}

/// Rows in a file, as its statistics say.
pub(crate) fn rows_of_stats(stats: &str) -> Option<u64> {
    serde_json::from_str::<Stats>(stats).ok()?.num_records
}

/// Name of a commit file.
pub(crate) fn commit_name(version: u64) -> String {
    format!("{version:020}.json")
}

/// Reads one commit. A missing one is history that the table no longer keeps.
pub(crate) fn read_commit(table: &TableDir, version: u64) -> Result<Commit, Fault> {
    let name = commit_name(version);
    let path = format!("{LOG_FOLDER}/{name}");
    let what = format!("commit `{name}` of table `{}`", table.name());
    let file = table
        .place
        .read(&path)
        .map_err(|trouble| trouble.fault(ErrorCode::SourceHistoryLost, &what))?;
    parse_commit(BufReader::new(file), &what)
}

fn parse_commit(mut reader: impl BufRead, what: &str) -> Result<Commit, Fault> {
    let mut commit = Commit::default();
    let mut line = Vec::new();
    for number in 1..=LINES_MAX {
        line.clear();
        let read = reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .map_err(|error| broken_off(what, error))?;
        if read == 0 {
            return Ok(commit);
        }
        if line.len() as u64 == LINE_BYTES_MAX {
            return Err(corrupt(what, &format!("line {number} is too long")));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let action: Line = serde_json::from_slice(&line).map_err(|error| {
            // The library's own words could quote values of the table.
            corrupt(
                what,
                &format!("line {number} is no action, see column {}", error.column()),
            )
        })?;
        commit.take(action);
    }
    Err(corrupt(what, "it has too many lines"))
}

/// A place's own fault where there is one.
pub(crate) fn broken_off(what: &str, error: io::Error) -> Fault {
    match error.downcast::<Fault>() {
        Ok(fault) => fault,
        Err(error) => Trouble::from(error).fault(ErrorCode::SourceHistoryLost, what),
    }
}

impl Commit {
    fn take(&mut self, line: Line) {
        self.adds.extend(line.add);
        self.removes.extend(line.remove);
        if line.meta_data.is_some() {
            self.metadata = line.meta_data;
        }
        if line.protocol.is_some() {
            self.protocol = line.protocol;
        }
        if let Some(transaction) = line.txn {
            self.transaction = Some(transaction.app_id);
        }
        if let Some(info) = line.commit_info {
            self.operation = info.operation;
        }
    }
}

fn corrupt(what: &str, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::SourceCorrupt,
        format!("{what} cannot be decoded: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use offtake_model::ErrorCode;

    use super::{LogListing, parse_commit};

    fn listing(names: &[&str]) -> LogListing {
        let mut listing = LogListing::default();
        for name in names {
            listing.note((*name).to_owned());
        }
        listing
    }

    #[test]
    fn a_version_needs_every_commit_since_the_checkpoint_before_it() {
        let log = listing(&[
            "00000000000000000003.checkpoint.parquet",
            "00000000000000000003.json",
            "00000000000000000004.json",
            "00000000000000000006.json",
            "00000000000000000006.crc",
            "_last_checkpoint",
            "00000000000000000007.json.tmp",
            "00000000000000000004.00000000000000000006.compacted.json",
            "0000000000000000000é.json",
        ]);
        assert_eq!(log.latest(), Some(6));
        assert_eq!(log.first_gap(3), None);
        assert_eq!(log.first_gap(4), None);
        assert_eq!(log.first_gap(6), Some(5));
        assert_eq!(log.first_gap(2), Some(0));
        assert_eq!(log.first_gap(9), Some(5));
    }

    #[test]
    fn a_name_with_an_absurd_version_costs_nothing() {
        let log = listing(&["18446744073709551615.json", "00000000000000000000.json"]);
        assert_eq!(log.first_gap(u64::MAX), Some(1));
    }

    #[test]
    fn a_broken_line_is_named_without_its_content() {
        let text = "{\"commitInfo\":{\"operation\":\"WRITE\"}}\n\n{\"add\":{\"path\":\"secret\n";
        let fault = parse_commit(text.as_bytes(), "commit `7`").unwrap_err();
        assert_eq!(fault.code, ErrorCode::SourceCorrupt);
        assert!(fault.message.contains("line 3"), "{}", fault.message);
        assert!(!fault.to_string().contains("secret"));
        assert_eq!(fault.cause, None);
    }
}
