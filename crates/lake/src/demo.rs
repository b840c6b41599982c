//! Writes tables to try things with: realistic nested events in a Delta table, the same for the same seed.
//!
//! Writes real Parquet files and real commits, each put in place whole, so that a service may read while this writes.
//! It isn't a Delta writer for other tables.
//!
//! The one law: every row says its number and the version that brought it, so that any export can be checked.

mod rows;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use offtake_model::{ErrorCode, Fault, SourceRef};

use crate::log::{Commit, LogListing, read_commit};
use crate::root::{LakeRoot, Roots, TableDir};

use rows::Day;
use writer::{DataFile, Writer};

/// How a demo table is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioning {
    /// Not at all.
    None,
    /// By a text column `day`; every hundredth row has none.
    DayAsText,
    /// By a date column `day`; every hundredth row has none.
    DayAsDate,
}

/// A Delta table of events. Deterministic: same seed, same calls, same bytes.
#[derive(Debug)]
pub struct DemoTable {
    path: PathBuf,
    seed: u64,
    partitioning: Partitioning,
    version: u64,
    next_row: u64,
    live: Vec<DataFile>,
}

/// Rows of one data file at most, so that a file stays of a size that opens quickly.
const FILE_ROWS_MAX: u64 = 4_000_000;

/// Most files of one commit.
const FILES_MAX: u32 = 100_000;

impl DemoTable {
    /// Makes the table with its first rows, spread over `files` files. Fails if there is one already.
    pub fn create(path: &Path, rows: u64, seed: u64, files: u32) -> Result<Self, Fault> {
        Self::create_partitioned(path, rows, seed, files, Partitioning::None)
    }

    /// As [`create`](Self::create), partitioned; `files` is then the number of files per partition.
    pub fn create_partitioned(
        path: &Path,
        rows: u64,
        seed: u64,
        files: u32,
        partitioning: Partitioning,
    ) -> Result<Self, Fault> {
        let mut table = Self {
            path: path.to_owned(),
            seed,
            partitioning,
            version: 0,
            next_row: 0,
            live: Vec::new(),
        };
        table.writer().refuse_existing(0)?;
        let mut lines = table.writer().header()?;
        let added = table.write_rows(0, rows, files.clamp(1, FILES_MAX))?;
        lines.push(writer::commit_info("CREATE TABLE AS SELECT", 0));
        lines.extend(added.iter().map(|file| file.add(0, true)));
        table.writer().commit(0, &lines)?;
        table.next_row = rows;
        table.live = added;
        Ok(table)
    }

    /// Opens a table that was made here before, to go on appending. The seed must be the one it was made with.
    pub fn open(path: &Path, seed: u64) -> Result<Self, Fault> {
        let (Some(parent), Some(name)) =
            (path.parent(), path.file_name().and_then(|it| it.to_str()))
        else {
            return Err(Fault::new(
                ErrorCode::SourceNotFound,
                "the demo table needs a folder of its own",
            ));
        };
        let roots = Roots::new(vec![LakeRoot::folder("demo", parent)])?;
        let location = SourceRef {
            root: "demo".to_owned(),
            path: name.to_owned(),
        };
        let folder = TableDir::open(&roots, &location)?;
        let latest = LogListing::read(&folder)?.latest().unwrap_or_default();
        let mut table = Self {
            path: path.to_owned(),
            seed,
            partitioning: Partitioning::None,
            version: latest,
            next_row: 0,
            live: Vec::new(),
        };
        for version in 0..=latest {
            table.replay(&read_commit(&folder, version)?);
        }
        Ok(table)
    }

    /// Appends rows in one commit of one file per partition; answers the new version.
    pub fn append(&mut self, rows: u64) -> Result<u64, Fault> {
        let version = self.version + 1;
        self.writer().refuse_existing(version)?;
        let added = self.write_rows(version, rows, 1)?;
        let mut lines = vec![writer::commit_info("WRITE", version)];
        lines.extend(added.iter().map(|file| file.add(version, true)));
        self.commit(&lines)?;
        self.live.extend(added);
        self.next_row += rows;
        Ok(self.version)
    }

    /// Rewrites all live files into one per partition without changing any row; answers the new version.
    pub fn optimize(&mut self) -> Result<u64, Fault> {
        let version = self.version + 1;
        self.writer().refuse_existing(version)?;
        let mut by_day: BTreeMap<Option<String>, Vec<DataFile>> = BTreeMap::new();
        for file in &self.live {
            by_day
                .entry(file.day.clone())
                .or_default()
                .push(file.clone());
        }
        let mut merged = Vec::new();
        for (part, files) in by_day.values().enumerate() {
            merged.push(self.writer().merge(version, part, files)?);
        }
        let mut lines = vec![writer::commit_info("OPTIMIZE", version)];
        lines.extend(self.live.iter().map(|file| file.remove(version, false)));
        lines.extend(merged.iter().map(|file| file.add(version, false)));
        self.commit(&lines)?;
        self.live = merged;
        Ok(self.version)
    }

    /// Deletes the rows of the first live file in a commit that says so; answers the new version.
    pub fn delete_commit(&mut self) -> Result<u64, Fault> {
        let version = self.version + 1;
        let Some(file) = self.live.first().cloned() else {
            return Err(Fault::new(
                ErrorCode::SourceNotFound,
                "the demo table has no rows to delete",
            ));
        };
        let lines = vec![
            writer::commit_info("DELETE", version),
            file.remove(version, true),
        ];
        self.commit(&lines)?;
        self.live.remove(0);
        Ok(self.version)
    }

    /// The latest version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Rows written since the table was made; they are numbered from 0.
    pub fn rows_written(&self) -> u64 {
        self.next_row
    }

    /// Rows in the table now.
    pub fn rows(&self) -> u64 {
        self.live.iter().map(|file| file.rows).sum()
    }

    /// The table's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            folder: &self.path,
            seed: self.seed,
            partitioning: self.partitioning,
        }
    }

    fn commit(&mut self, lines: &[serde_json::Value]) -> Result<(), Fault> {
        let version = self.version + 1;
        self.writer().commit(version, lines)?;
        self.version = version;
        Ok(())
    }

    /// Writes the next rows. Each file gets a run of numbers; partitioned ones the rows of their day in it.
    fn write_rows(&self, version: u64, rows: u64, files: u32) -> Result<Vec<DataFile>, Fault> {
        let days: Vec<Option<Day>> = match self.partitioning {
            Partitioning::None => vec![None],
            Partitioning::DayAsText | Partitioning::DayAsDate => rows::days().map(Some).collect(),
        };
        let mut written = Vec::new();
        for run in runs(self.next_row, rows, u64::from(files)) {
            for day in &days {
                let part = written.len();
                written.extend(
                    self.writer()
                        .write(version, part, run.clone(), day.as_ref())?,
                );
            }
        }
        Ok(written)
    }

    fn replay(&mut self, commit: &Commit) {
        if let Some(metadata) = &commit.metadata {
            let by_date = metadata
                .schema_string
                .contains(writer::DATE_PARTITION_FIELD);
            self.partitioning = match metadata.partition_columns.is_empty() {
                true => Partitioning::None,
                false if by_date => Partitioning::DayAsDate,
                false => Partitioning::DayAsText,
            };
        }
        let removed: BTreeSet<&str> = commit.removes.iter().map(|it| it.path.as_str()).collect();
        self.live
            .retain(|file| !removed.contains(file.path.as_str()));
        for add in &commit.adds {
            let file = DataFile {
                path: add.path.clone(),
                bytes: add.size,
                rows: add.rows().unwrap_or_default(),
                day: add.partition_values.get("day").cloned().flatten(),
                partitioned: !add.partition_values.is_empty(),
            };
            if add.data_change {
                self.next_row += file.rows;
            }
            self.live.push(file);
        }
    }
}

/// Splits `rows` numbers from `start` on into about `files` runs.
fn runs(start: u64, rows: u64, files: u64) -> impl Iterator<Item = Range<u64>> {
    let size = rows.div_ceil(files.max(1)).clamp(1, FILE_ROWS_MAX);
    let end = start.saturating_add(rows);
    (0..rows.div_ceil(size)).map(move |run| {
        let from = start + run * size;
        from..end.min(from + size)
    })
}
