//! From a file of a table's log to a slice that can be read.
//!
//! The one law: a slice names a file below the table, and its constants are complete.

use std::collections::BTreeMap;

use offtake_model::change::MaskRef;
use offtake_model::{ErrorCode, Fault, FileSlice};

use crate::file;
use crate::log::DeletionVector;
use crate::mask;
use crate::path;
use crate::root::{Roots, TableDir};

/// Most files of one snapshot or increment.
const FILES_MAX: usize = 10_000_000;

/// Files larger than this have their row groups listed, so that planning can split them.
pub(crate) const SPLIT_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// A partition column under its two names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionColumn {
    /// As readers of the export see it.
    pub(crate) name: String,
    /// As the log's partition values spell it.
    pub(crate) physical: String,
}

/// A file as the log describes it.
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    /// Percent-encoded, relative to the table.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) bytes: u64,
    /// Rows in the file, deleted ones included.
    pub(crate) rows: Option<u64>,
    /// Partition values by physical name.
    pub(crate) values: BTreeMap<String, Option<String>>,
    /// Rows that are deleted.
    pub(crate) vector: Option<DeletionVector>,
}

/// The slices of one answer, as they come.
#[derive(Debug)]
pub(crate) struct Slices<'a> {
    table: &'a TableDir,
    columns: &'a [PartitionColumn],
    files: Vec<FileSlice>,
}

impl<'a> Slices<'a> {
    pub(crate) fn new(table: &'a TableDir, columns: &'a [PartitionColumn]) -> Self {
        Self {
            table,
            columns,
            files: Vec::new(),
        }
    }

    /// Adds a file. One that is named again replaces what was said of it before, as in the log.
    pub(crate) fn add(&mut self, file: &LogFile) -> Result<(), Fault> {
        let path = path::of_log(&file.path).map_err(|reason| {
            Fault::new(
                ErrorCode::SourceOutsideRoot,
                format!(
                    "table `{}` refers to a file whose path {reason}",
                    self.table.name()
                ),
            )
        })?;
        if self.files.len() >= FILES_MAX {
            return Err(Fault::new(
                ErrorCode::SourceFeatureUnsupported,
                format!(
                    "table `{}` has more than {FILES_MAX} files; compact it",
                    self.table.name()
                ),
            ));
        }
        self.files.push(FileSlice {
            source: self.table.file(&path),
            bytes: file.bytes,
            etag: None,
            rows: file.rows,
            row_groups: None,
            row_range: None,
            known_row_groups: Vec::new(),
            constants: self.constants(file),
            mask: self.mask(file)?.map(Box::new),
        });
        Ok(())
    }

    /// The slices in the order of their paths, with the row groups of the large ones, and of those whose rows the log
    /// does not count.
    pub(crate) fn finish(self, roots: &Roots) -> Result<Vec<FileSlice>, Fault> {
        let mut slices = self.files;
        slices.sort_by(|one, other| one.source.path.cmp(&other.source.path));
        slices.dedup_by(|later, kept| {
            let again = later.source.path == kept.source.path;
            if again {
                std::mem::swap(later, kept);
            }
            again
        });
        for slice in &mut slices {
            if slice.bytes > SPLIT_BYTES_MIN || slice.rows.is_none() {
                slice.known_row_groups = file::row_groups(roots, slice)?;
            }
        }
        Ok(slices)
    }

    fn constants(&self, file: &LogFile) -> Vec<(String, Option<String>)> {
        self.columns
            .iter()
            .map(|column| {
                let value = file.values.get(&column.physical).cloned().flatten();
                // The protocol writes a null partition value also as an empty string.
                (column.name.clone(), value.filter(|text| !text.is_empty()))
            })
            .collect()
    }

    fn mask(&self, file: &LogFile) -> Result<Option<MaskRef>, Fault> {
        file.vector
            .as_ref()
            .map(|vector| mask::reference(self.table, vector))
            .transpose()
    }
}
