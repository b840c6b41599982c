//! What a dataset holds, or what was added to it, as a list of file slices.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::schema::Schema;

/// A place in a dataset's history. Versions of one Delta table are ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Position {
    /// A version of a Delta table.
    Delta {
        /// The table's own id, so that a table made anew at the same place is noticed.
        table: String,
        /// The version, counted from 0.
        version: u64,
    },
    /// What one look into a Parquet folder showed. A folder keeps no history: no two looks have an order.
    Folder {
        /// Data files in it.
        files: u64,
        /// A fingerprint of their paths, sizes and tags.
        fingerprint: String,
    },
}

impl Position {
    /// The position that stands for exactly these files of a Parquet folder, given in the order of their paths.
    pub fn of_folder<'a>(files: impl IntoIterator<Item = &'a FolderFile>) -> Self {
        let (mut text, mut count) = (String::new(), 0);
        for file in files {
            count += 1;
            // Writing to a string cannot fail.
            let _done = writeln!(
                text,
                "{}\0{}\0{}",
                file.path,
                file.bytes,
                file.tag.as_deref().unwrap_or_default()
            );
        }
        Self::Folder {
            files: count,
            fingerprint: Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes())
                .simple()
                .to_string(),
        }
    }
}

/// A data file of a Parquet folder, with what tells its bytes from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FolderFile {
    /// Path below the lake root.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The store's tag for these bytes; for local files made of the instant of their last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// What lies in a Parquet folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderListing {
    /// The position that stands for exactly these files.
    pub at: Position,
    /// The data files, in the order of their paths.
    pub files: Vec<FolderFile>,
}

/// What a flow has delivered of a Parquet folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenFolder {
    /// The files.
    pub files: Vec<FolderFile>,
    /// The schema they were delivered with.
    pub schema: Schema,
}

/// Where the bytes of a source file lie: a lake root and a path below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceRef {
    /// The root's name in the configuration.
    pub root: String,
    /// Path relative to the root, `/`-separated, never leaving it.
    pub path: String,
}

/// A part of one source file: all its rows, or the rows of some row groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSlice {
    /// The file.
    pub source: SourceRef,
    /// Size of the whole file in bytes; pins the file.
    pub bytes: u64,
    /// The store's tag for these bytes, when it has one; pins the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Rows in the slice's row groups when the table's statistics or the footer say so, those that its mask
    /// removes included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Ordinals of the row groups in the slice; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_groups: Option<Vec<u32>>,
    /// Which of the slice's rows are read, counted over its row groups and without those its mask removes; all of
    /// them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_range: Option<RowRange>,
    /// Row groups of the whole file, known only for files worth splitting; planning consumes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_row_groups: Vec<RowGroup>,
    /// Values of columns that are not in the file (partition columns), by column name, as the table's log spells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<(String, Option<String>)>,
    /// Rows to leave out (a deletion vector), read through the row-mask port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Box<MaskRef>>,
}

/// Rows and compressed bytes of one row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowGroup {
    /// Rows.
    pub rows: u64,
    /// Compressed bytes of its column chunks.
    pub bytes: u64,
}

/// Neighbouring rows of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRange {
    /// Ordinal of the first row.
    pub first: u64,
    /// How many rows.
    pub count: u64,
}

/// Names a row mask in terms only its reader understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskRef {
    /// The lake root the mask lies under.
    pub root: String,
    /// The reader's own description.
    pub descriptor: String,
    /// Rows the mask removes.
    pub rows: u64,
}

/// The files that make up a snapshot or an increment, at a pinned position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The position that the slices bring the reader to.
    pub to: Position,
    /// The slices, in the order they will be numbered.
    pub slices: Vec<FileSlice>,
    /// The schema at `to`; every slice is read as this schema.
    pub schema: Schema,
}

/// What happened to a dataset between two positions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Changes {
    /// Only rows were added.
    Appended(ChangeSet),
    /// Rows were removed or rewritten; an increment cannot express it.
    Rewritten {
        /// Where the first such change happened, for the message: `version 7 (DELETE)`.
        at: String,
        /// The position the range would have led to.
        to: Position,
    },
}
