//! What the commits between two versions did.
//!
//! Reads each commit of the range, because only a commit says whether a file it adds brings rows or merely
//! rewrites them (contract, D2; a compaction must not be exported again).
//! The one law: every commit of the range is read, and any that does more than add rows is reported.

use std::collections::BTreeSet;
use std::str::FromStr;

use delta_kernel::schema::StructType;
use delta_kernel::table_features::ColumnMappingMode;
use offtake_model::{ChangeSet, Changes, ErrorCode, Fault, Position, Schema};

use crate::lakes::version_of;
use crate::log::{Add, Commit, LogListing, Metadata, Protocol, read_commit};
use crate::root::{Roots, TableDir};
use crate::schema;
use crate::slice::{LogFile, PartitionColumn, Slices};
use crate::table::{TableVersion, partition_columns};

const COLUMN_MAPPING: &str = "delta.columnMapping.mode";
const MAPPING_FEATURE: &str = "columnMapping";

/// The reader version that has column mapping without naming features.
const MAPPING_VERSION: i64 = 2;

/// What was committed after `from`, up to `to` or the latest version.
pub(crate) fn between(
    table: &TableDir,
    roots: &Roots,
    from: &Position,
    to: Option<&Position>,
) -> Result<Changes, Fault> {
    let Position::Delta {
        table: id,
        version: from,
    } = from
    else {
        return Err(lost(
            table,
            "it was a folder without a log when it was delivered before",
        ));
    };
    let listing = LogListing::read(table)?;
    let latest = listing.latest().unwrap_or_default();
    let end = to.and_then(version_of).unwrap_or(latest);
    if *from > latest || end > latest {
        return Err(lost(
            table,
            &format!(
                "version {} was asked for, but the table ends at version {latest}; it was made anew or restored",
                end.max(*from)
            ),
        ));
    }
    if end < *from {
        return Err(Fault::new(
            ErrorCode::Internal,
            format!(
                "asked for the changes of `{}` from version {from} back to {end}",
                table.name()
            ),
        ));
    }
    let mut walk = Walk::new(table, &listing, id);
    for version in from.saturating_add(1)..=end {
        walk.commit(version, read_commit(table, version)?)?;
    }
    let head = load(table, &listing, end)?;
    if head.id != *id && !walk.replaced {
        return Err(lost(
            table,
            "it is another table than the one delivered so far",
        ));
    }
    if let Some(at) = walk.rewritten {
        return Ok(Changes::Rewritten {
            at,
            to: head.position(),
        });
    }
    let mut slices = Slices::new(table, &head.partitions);
    for add in &walk.added {
        slices.add(&log_file(add))?;
    }
    Ok(Changes::Appended(ChangeSet {
        to: head.position(),
        slices: slices.finish(roots)?,
        schema: head.schema,
    }))
}

/// Loads a version whose commits the range needs anyway; what is missing to build it is lost history.
fn load(table: &TableDir, listing: &LogListing, version: u64) -> Result<TableVersion, Fault> {
    if let Some(missing) = listing.first_gap(version) {
        return Err(lost(
            table,
            &format!("its log no longer has version {missing}"),
        ));
    }
    TableVersion::load(table, listing, version)
}

/// The state of reading a range.
struct Walk<'a> {
    table: &'a TableDir,
    listing: &'a LogListing,
    id: &'a str,
    added: Vec<Add>,
    rewritten: Option<String>,
    /// Whether a commit of the range itself gave the table a new id.
    replaced: bool,
    shape: Option<Shape>,
}

/// What may only grow.
struct Shape {
    schema: Schema,
    partitions: Vec<PartitionColumn>,
    reader_version: i64,
    features: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn new(table: &'a TableDir, listing: &'a LogListing, id: &'a str) -> Self {
        Self {
            table,
            listing,
            id,
            added: Vec::new(),
            rewritten: None,
            replaced: false,
            shape: None,
        }
    }

    fn commit(&mut self, version: u64, commit: Commit) -> Result<(), Fault> {
        let removes = commit.removes.iter().any(|remove| remove.data_change);
        let reshapes = self.reshapes(version, &commit)?;
        if (removes || reshapes) && self.rewritten.is_none() {
            let fallback = if removes {
                "rows removed"
            } else {
                "schema changed"
            };
            let operation = commit.operation.as_deref().unwrap_or(fallback);
            self.rewritten = Some(format!("version {version} ({operation})"));
        }
        self.added
            .extend(commit.adds.into_iter().filter(|add| add.data_change));
        Ok(())
    }

    /// Whether the commit changes the table's shape in a way that earlier rows can't follow.
    fn reshapes(&mut self, version: u64, commit: &Commit) -> Result<bool, Fault> {
        if commit.metadata.is_none() && commit.protocol.is_none() {
            return Ok(false);
        }
        let shape = match self.shape.take() {
            Some(shape) => shape,
            None => self.shape_before(version)?,
        };
        let mut reshapes = false;
        let mut next = shape;
        if let Some(protocol) = &commit.protocol {
            reshapes |= !next.adopt_protocol(protocol);
        }
        if let Some(metadata) = &commit.metadata {
            if metadata.id != self.id {
                self.replaced = true;
                reshapes = true;
            }
            reshapes |= !next.adopt_metadata(&self.table.name(), metadata)?;
        }
        self.shape = Some(next);
        Ok(reshapes)
    }

    fn shape_before(&self, version: u64) -> Result<Shape, Fault> {
        let before = load(self.table, self.listing, version.saturating_sub(1))?;
        Ok(Shape {
            schema: before.schema,
            partitions: before.partitions,
            reader_version: i64::from(before.reader_version),
            features: before.features.into_iter().collect(),
        })
    }
}

impl Shape {
    /// Takes over the protocol; false when something that held before no longer does.
    fn adopt_protocol(&mut self, protocol: &Protocol) -> bool {
        let version = i64::from(protocol.min_reader_version);
        let features = protocol.reader_features.clone().unwrap_or_default();
        let grows = version >= self.reader_version && features.is_superset(&self.features);
        self.reader_version = version;
        self.features = features;
        grows
    }

    /// Whether the protocol heeds a column mapping mode. Without its feature the property means nothing.
    fn maps_columns(&self) -> bool {
        self.reader_version == MAPPING_VERSION || self.features.contains(MAPPING_FEATURE)
    }

    /// Takes over schema and partitioning; false when they do more than add columns.
    fn adopt_metadata(&mut self, table: &str, metadata: &Metadata) -> Result<bool, Fault> {
        let corrupt = |what: &str| {
            Fault::new(
                ErrorCode::SourceCorrupt,
                format!("the log of table `{table}` holds {what} that cannot be decoded"),
            )
        };
        let logical: StructType =
            serde_json::from_str(&metadata.schema_string).map_err(|_| corrupt("a schema"))?;
        let mapping = match metadata.configuration.get(COLUMN_MAPPING) {
            Some(Some(mode)) if self.maps_columns() => {
                ColumnMappingMode::from_str(mode).map_err(|_| corrupt("a column mapping mode"))?
            }
            Some(_) | None => ColumnMappingMode::None,
        };
        let schema = schema::convert(table, &logical, mapping)?;
        let partitions = partition_columns(table, &logical, &metadata.partition_columns, mapping)?;
        let grows =
            schema::only_adds(&self.schema.fields, &schema.fields) && self.partitions == partitions;
        self.schema = schema;
        self.partitions = partitions;
        Ok(grows)
    }
}

fn log_file(add: &Add) -> LogFile {
    LogFile {
        path: add.path.clone(),
        bytes: add.size,
        rows: add.rows(),
        values: add.partition_values.clone(),
        vector: add.deletion_vector.clone(),
    }
}

fn lost(table: &TableDir, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::SourceHistoryLost,
        format!(
            "the changes of table `{}` cannot be told: {reason}",
            table.name()
        ),
    )
}
