//! A version of a Delta table, as the table library replays it.
//!
//! The one law: the version is pinned before anything is read, and everything read is of that version.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{Int32Type, Int64Type};
use bytes::Bytes;
use delta_kernel::KernelError;
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::schema::StructType;
use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::table_features::ColumnMappingMode;
use offtake_model::{ChangeSet, ErrorCode, Fault, Position, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::fault::of_kernel;
use crate::log::{DeletionVector, LOG_FOLDER, LogListing, broken_off, read_commit, rows_of_stats};
use crate::place::{ConfinedEngine, TABLE_URL};
use crate::root::{Roots, TableDir};
use crate::schema;
use crate::slice::{LogFile, PartitionColumn, Slices};

/// Features of tables that this build reads. Any other is refused by name.
///
/// Those of variants are here because writers declare them for tables that have no such column; one that has is
/// refused by the column's name.
const READER_FEATURES: [&str; 10] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "timestampWithoutTimezone",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "variantShredding",
    "variantShredding-preview",
    "variantType",
    "variantType-preview",
];

/// Bytes of a checkpoint that are looked at to tell whether it is damaged.
const CHECKPOINT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A table at one version.
pub(crate) struct TableVersion {
    /// The table's own id.
    pub(crate) id: String,
    /// The version.
    pub(crate) version: u64,
    /// Its schema.
    pub(crate) schema: Schema,
    /// Its partition columns.
    pub(crate) partitions: Vec<PartitionColumn>,
    /// Reader features, to compare with later ones.
    pub(crate) features: Vec<String>,
    /// The lowest reader version.
    pub(crate) reader_version: i32,
    snapshot: SnapshotRef,
    engine: ConfinedEngine,
}

impl TableVersion {
    /// Loads the version. It must be one that the listing can build.
    pub(crate) fn load(
        table: &TableDir,
        listing: &LogListing,
        version: u64,
    ) -> Result<Self, Fault> {
        Self::try_load(table, version).map_err(|fault| blame(table, listing, version, fault))
    }

    fn try_load(table: &TableDir, version: u64) -> Result<Self, Fault> {
        let name = table.name();
        let engine = ConfinedEngine::new(table.place.as_ref());
        let snapshot = Snapshot::builder_for(TABLE_URL)
            .at_version(version)
            .build(&engine)
            .map_err(|error| of_kernel(&name, &error))?;
        let configuration = snapshot.table_configuration();
        let protocol = configuration.protocol();
        let features: Vec<String> = protocol
            .reader_features()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect();
        refuse_features(&name, &features)?;
        let mapping = configuration.column_mapping_mode();
        let metadata = configuration.metadata();
        let logical = snapshot.schema();
        Ok(Self {
            id: metadata.id().to_owned(),
            version,
            schema: schema::convert(&name, &logical, mapping)?,
            partitions: partition_columns(&name, &logical, metadata.partition_columns(), mapping)?,
            reader_version: protocol.min_reader_version(),
            features,
            snapshot: Arc::clone(&snapshot),
            engine,
        })
    }

    /// The position of this version.
    pub(crate) fn position(&self) -> Position {
        Position::Delta {
            table: self.id.clone(),
            version: self.version,
        }
    }

    /// Every file of this version.
    pub(crate) fn files(
        &self,
        table: &TableDir,
        listing: &LogListing,
        roots: &Roots,
    ) -> Result<ChangeSet, Fault> {
        let mut slices = Slices::new(table, &self.partitions);
        // The library refuses to scan what has no columns; a managed table before its first batch is such.
        if !self.schema.fields.is_empty() {
            self.scan(table, &mut slices)
                .map_err(|fault| blame(table, listing, self.version, fault))?;
        }
        Ok(ChangeSet {
            to: self.position(),
            slices: slices.finish(roots)?,
            schema: self.schema.clone(),
        })
    }

    fn scan(&self, table: &TableDir, slices: &mut Slices<'_>) -> Result<(), Fault> {
        let name = table.name();
        let failed = |error: KernelError| of_kernel(&name, &error);
        let scan = Arc::clone(&self.snapshot)
            .scan_builder()
            .without_row_transforms()
            .build()
            .map_err(failed)?;
        for part in scan.scan_metadata(&self.engine).map_err(failed)? {
            let (data, selection) = part.map_err(failed)?.scan_files.into_parts();
            let batch = data.try_into_record_batch().map_err(failed)?;
            let rows = ScanRows::new(&batch).ok_or_else(unexpected)?;
            for row in 0..batch.num_rows() {
                if selection.get(row).copied().unwrap_or(true) {
                    slices.add(&rows.file(row).ok_or_else(unexpected)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Refuses features that this build doesn't read.
pub(crate) fn refuse_features(table: &str, features: &[String]) -> Result<(), Fault> {
    match features
        .iter()
        .find(|feature| !READER_FEATURES.contains(&feature.as_str()))
    {
        Some(feature) => Err(Fault::new(
            ErrorCode::SourceFeatureUnsupported,
            format!("table `{table}` uses the table feature `{feature}`"),
        )),
        None => Ok(()),
    }
}

/// Pairs the partition columns with the names that the log uses for them.
pub(crate) fn partition_columns(
    table: &str,
    schema: &StructType,
    names: &[String],
    mapping: ColumnMappingMode,
) -> Result<Vec<PartitionColumn>, Fault> {
    names
        .iter()
        .map(|name| {
            let field = schema.field(name).ok_or_else(|| {
                Fault::new(
                    ErrorCode::SourceCorrupt,
                    format!(
                        "table `{table}` is partitioned by `{name}`, which it has no column of"
                    ),
                )
            })?;
            Ok(PartitionColumn {
                name: name.clone(),
                physical: schema::physical_name(field, mapping),
            })
        })
        .collect()
}

/// The columns of a scan's batch.
struct ScanRows<'a> {
    path: &'a StringArray,
    size: &'a arrow::array::Int64Array,
    stats: &'a StringArray,
    vector: &'a StructArray,
    values: &'a arrow::array::MapArray,
}

impl<'a> ScanRows<'a> {
    fn new(batch: &'a RecordBatch) -> Option<Self> {
        let constants = batch
            .column_by_name("fileConstantValues")?
            .as_struct_opt()?;
        Some(Self {
            path: batch.column_by_name("path")?.as_string_opt()?,
            size: batch.column_by_name("size")?.as_primitive_opt()?,
            stats: batch.column_by_name("stats")?.as_string_opt()?,
            vector: batch.column_by_name("deletionVector")?.as_struct_opt()?,
            values: constants.column_by_name("partitionValues")?.as_map_opt()?,
        })
    }

    fn file(&self, row: usize) -> Option<LogFile> {
        Some(LogFile {
            path: self.path.value(row).to_owned(),
            bytes: u64::try_from(self.size.value(row)).ok()?,
            rows: self
                .stats
                .is_valid(row)
                .then(|| rows_of_stats(self.stats.value(row)))
                .flatten(),
            values: self.values(row)?,
            vector: if self.vector.is_valid(row) {
                Some(self.vector(row)?)
            } else {
                None
            },
        })
    }

    fn values(&self, row: usize) -> Option<BTreeMap<String, Option<String>>> {
        let mut values = BTreeMap::new();
        if self.values.is_null(row) {
            return Some(values);
        }
        let entries = self.values.value(row);
        let keys = entries.column(0).as_string_opt::<i32>()?;
        let texts = entries.column(1).as_string_opt::<i32>()?;
        for entry in 0..entries.len() {
            let text = texts.is_valid(entry).then(|| texts.value(entry).to_owned());
            values.insert(keys.value(entry).to_owned(), text);
        }
        Some(values)
    }

    fn vector(&self, row: usize) -> Option<DeletionVector> {
        let text = |name| {
            let column: &StringArray = self.vector.column_by_name(name)?.as_string_opt()?;
            Some(column.value(row).to_owned())
        };
        let number = |name| {
            let column = self.vector.column_by_name(name)?;
            let column = column.as_primitive_opt::<Int32Type>()?;
            Some(column.is_valid(row).then(|| column.value(row)))
        };
        let cardinality = self
            .vector
            .column_by_name("cardinality")?
            .as_primitive_opt::<Int64Type>()?
            .value(row);
        Some(DeletionVector {
            storage_type: text("storageType")?,
            path_or_inline_dv: text("pathOrInlineDv")?,
            offset: number("offset")?,
            size_in_bytes: number("sizeInBytes")??,
            cardinality: u64::try_from(cardinality).ok()?,
        })
    }
}

fn unexpected() -> Fault {
    Fault::new(
        ErrorCode::Internal,
        "the table library listed files in an unexpected shape",
    )
}

/// Finds the file to blame for a log that cannot be decoded; the library doesn't always say.
fn blame(table: &TableDir, listing: &LogListing, version: u64, fault: Fault) -> Fault {
    if fault.code != ErrorCode::SourceCorrupt {
        return fault;
    }
    let mut next = 0;
    if let Some((at, files)) = listing.checkpoint(version) {
        next = at.saturating_add(1);
        let broken = files
            .iter()
            .filter(|name| name.ends_with(".parquet"))
            .find_map(|name| checkpoint_fault(table, name));
        if let Some(broken) = broken {
            return broken;
        }
    }
    (next..=version)
        .find_map(|commit| read_commit(table, commit).err())
        .filter(|found| found.code == ErrorCode::SourceCorrupt)
        .unwrap_or(fault)
}

fn checkpoint_fault(table: &TableDir, name: &str) -> Option<Fault> {
    let what = format!("checkpoint `{name}` of table `{}`", table.name());
    let mut bytes = Vec::new();
    let read = table
        .place
        .read(&format!("{LOG_FOLDER}/{name}"))
        .map_err(|trouble| trouble.fault(ErrorCode::SourceVanished, &what))
        .and_then(|file| {
            file.take(CHECKPOINT_BYTES_MAX)
                .read_to_end(&mut bytes)
                .map_err(|error| broken_off(&what, error))
        });
    if let Err(fault) = read {
        return Some(fault);
    }
    let corrupt = |error: &(dyn std::error::Error + 'static)| {
        Fault::new(
            ErrorCode::SourceCorrupt,
            format!("{what} cannot be decoded"),
        )
        .because(error)
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
        .and_then(ParquetRecordBatchReaderBuilder::build);
    match reader {
        Ok(mut batches) => batches.find_map(Result::err).map(|error| corrupt(&error)),
        Err(error) => Some(corrupt(&error)),
    }
}
