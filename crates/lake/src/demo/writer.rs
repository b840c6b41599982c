//! Puts data files and commits in place, whole or not at all.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::schema::StructType;
use offtake_model::{ErrorCode, Fault};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Partitioning;
use super::rows::{self, Day};
use crate::log::{LOG_FOLDER, commit_name};
use crate::path;

/// Rows made at once.
const BATCH_ROWS: usize = 8_192;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 131_072;

/// 2026-02-01T00:00:00Z in milliseconds; commits are an hour apart, so that a table never depends on a clock.
const FIRST_COMMIT_MILLIS: u64 = 1_769_904_000_000;

const HOUR_MILLIS: u64 = 3_600_000;

/// How the schema spells a partition column that is a date.
pub(crate) const DATE_PARTITION_FIELD: &str = r#""name":"day","type":"date""#;

/// Folder of the rows without a day, as other writers call it.
const NULL_FOLDER: &str = "day=__HIVE_DEFAULT_PARTITION__";

/// A data file of the table.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    /// Relative to the table, percent-encoded.
    pub(crate) path: String,
    /// Size.
    pub(crate) bytes: u64,
    /// Rows.
    pub(crate) rows: u64,
    /// Its day, in a partitioned table.
    pub(crate) day: Option<String>,
    /// Whether the table is partitioned.
    pub(crate) partitioned: bool,
}

impl DataFile {
    /// The action that adds the file.
    pub(crate) fn add(&self, version: u64, data_change: bool) -> Value {
        let stats = json!({ "numRecords": self.rows }).to_string();
        json!({"add": {
            "path": self.path,
            "partitionValues": self.values(),
            "size": self.bytes,
            "modificationTime": millis(version),
            "dataChange": data_change,
            "stats": stats,
        }})
    }

    /// The action that removes the file.
    pub(crate) fn remove(&self, version: u64, data_change: bool) -> Value {
        json!({"remove": {
            "path": self.path,
            "deletionTimestamp": millis(version),
            "dataChange": data_change,
            "extendedFileMetadata": true,
            "partitionValues": self.values(),
            "size": self.bytes,
        }})
    }

    fn values(&self) -> Value {
        if self.partitioned {
            json!({ "day": self.day })
        } else {
            json!({})
        }
    }
}

/// The action that says what a commit is.
pub(crate) fn commit_info(operation: &str, version: u64) -> Value {
    json!({"commitInfo": {
        "timestamp": millis(version),
        "operation": operation,
        "operationParameters": {},
        "engineInfo": "offtake-demo",
    }})
}

fn millis(version: u64) -> u64 {
    FIRST_COMMIT_MILLIS.saturating_add(version.saturating_mul(HOUR_MILLIS))
}

/// Writes files of one table.
pub(crate) struct Writer<'a> {
    /// The table's folder.
    pub(crate) folder: &'a Path,
    /// What the rows are made from.
    pub(crate) seed: u64,
    /// How the table is partitioned.
    pub(crate) partitioning: Partitioning,
}

impl Writer<'_> {
    /// The actions every table begins with.
    pub(crate) fn header(&self) -> Result<Vec<Value>, Fault> {
        let mut fields: Vec<Arc<Field>> = rows::schema().fields().to_vec();
        let day = match self.partitioning {
            Partitioning::None => None,
            Partitioning::DayAsText => Some(DataType::Utf8),
            Partitioning::DayAsDate => Some(DataType::Date32),
        };
        let columns: Vec<&str> = day.iter().map(|_| "day").collect();
        fields.extend(day.map(|kind| Arc::new(Field::new("day", kind, true))));
        let schema = Schema::new(fields);
        let schema = StructType::try_from_arrow(&schema).map_err(|error| self.failed(&error))?;
        let schema = serde_json::to_string(&schema).map_err(|error| self.failed(&error))?;
        let id = Uuid::from_u64_pair(self.seed, self.seed.rotate_left(32) ^ 0x6f66_6674_616b_6521);
        Ok(vec![
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
            json!({"metaData": {
                "id": id.to_string(),
                "name": "events",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": schema,
                "partitionColumns": columns,
                "configuration": {},
                "createdTime": millis(0),
            }}),
        ])
    }

    /// Refuses a version that is there already, before any of its data files would be written over.
    pub(crate) fn refuse_existing(&self, version: u64) -> Result<(), Fault> {
        let commit = self.folder.join(LOG_FOLDER).join(commit_name(version));
        if !commit.exists() {
            return Ok(());
        }
        Err(Fault::new(
            ErrorCode::FieldInvalid,
            format!(
                "the demo table at `{}` has a version {version} already; open it to append",
                self.folder.display()
            ),
        ))
    }

    /// Writes the rows of that day, or all without one. No rows, no file.
    pub(crate) fn write(
        &self,
        version: u64,
        part: usize,
        run: Range<u64>,
        day: Option<&Day>,
    ) -> Result<Option<DataFile>, Fault> {
        let numbers: Vec<u64> = run
            .filter(|row| day.is_none_or(|day| rows::day_of(*row) == *day))
            .collect();
        if numbers.is_empty() {
            return Ok(None);
        }
        let day = day.copied().and_then(Day::text);
        let mut target = self.start(version, part, day)?;
        for chunk in numbers.chunks(BATCH_ROWS) {
            let batch =
                rows::batch(self.seed, version, chunk).map_err(|error| self.failed(&error))?;
            target
                .parquet
                .write(&batch)
                .map_err(|error| self.failed(&error))?;
        }
        self.finish(target, numbers.len() as u64).map(Some)
    }

    /// Writes the rows of several files, all of one day, into one.
    pub(crate) fn merge(
        &self,
        version: u64,
        part: usize,
        files: &[DataFile],
    ) -> Result<DataFile, Fault> {
        let day = files.first().and_then(|file| file.day.clone());
        let mut target = self.start(version, part, day)?;
        let mut rows = 0;
        for file in files {
            let path = path::of_log(&file.path).map_err(|error| self.failed(&error))?;
            let source = File::open(self.folder.join(path)).map_err(|error| self.failed(&error))?;
            let batches = ParquetRecordBatchReaderBuilder::try_new(source)
                .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
                .map_err(|error| self.failed(&error))?;
            for batch in batches {
                let batch = batch.map_err(|error| self.failed(&error))?;
                target
                    .parquet
                    .write(&batch)
                    .map_err(|error| self.failed(&error))?;
            }
            rows += file.rows;
        }
        self.finish(target, rows)
    }

    /// Puts a commit in place, unless that version exists.
    pub(crate) fn commit(&self, version: u64, lines: &[Value]) -> Result<(), Fault> {
        let folder = self.folder.join(LOG_FOLDER);
        fs::create_dir_all(&folder).map_err(|error| self.failed(&error))?;
        let staged = folder.join(format!(".{}.staged", commit_name(version)));
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        let mut file = File::create(&staged).map_err(|error| self.failed(&error))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| self.failed(&error))?;
        // A link, unlike a rename, never replaces what another writer committed.
        let linked = fs::hard_link(&staged, folder.join(commit_name(version)));
        fs::remove_file(&staged).map_err(|error| self.failed(&error))?;
        linked.map_err(|error| self.failed(&error))
    }

    fn start(&self, version: u64, part: usize, day: Option<String>) -> Result<Target, Fault> {
        let partitioned = self.partitioning != Partitioning::None;
        let unique = Uuid::from_u64_pair(self.seed ^ version.rotate_left(40), part as u64);
        let name = format!("part-{part:05}-{unique}.c000.snappy.parquet");
        let path = match &day {
            Some(day) if partitioned => format!("day={day}/{name}"),
            Some(_) | None if partitioned => format!("{NULL_FOLDER}/{name}"),
            Some(_) | None => name,
        };
        let place = self.folder.join(&path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(|error| self.failed(&error))?;
        }
        let file = File::create(&place).map_err(|error| self.failed(&error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let parquet = ArrowWriter::try_new(BufWriter::new(file), rows::schema(), Some(properties))
            .map_err(|error| self.failed(&error))?;
        Ok(Target {
            parquet,
            place,
            path,
            day,
            partitioned,
        })
    }

    fn finish(&self, target: Target, rows: u64) -> Result<DataFile, Fault> {
        target
            .parquet
            .close()
            .map_err(|error| self.failed(&error))?;
        let metadata = fs::metadata(&target.place).map_err(|error| self.failed(&error))?;
        Ok(DataFile {
            path: target.path,
            bytes: metadata.len(),
            rows,
            day: target.day,
            partitioned: target.partitioned,
        })
    }

    fn failed(&self, error: &(dyn Error + 'static)) -> Fault {
        Fault::new(
            ErrorCode::SourceUnreachable,
            format!(
                "failed to write the demo table at `{}`",
                self.folder.display()
            ),
        )
        .because(error)
    }
}

/// A data file that is being written.
struct Target {
    parquet: ArrowWriter<BufWriter<File>>,
    place: PathBuf,
    path: String,
    day: Option<String>,
    partitioned: bool,
}
