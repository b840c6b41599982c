//! Deletion vectors: which rows of a file are no longer part of the table.
//!
//! The one law: what is kept and what is removed add up to the file's rows, or the answer is a fault.

use std::ops::Range;

use delta_kernel::Engine;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use offtake_model::change::MaskRef;
use offtake_model::{ErrorCode, Fault, SourceRef};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::fault::of_kernel;
use crate::log::DeletionVector;
use crate::place::{ConfinedEngine, TABLE_URL};
use crate::root::{Roots, TableDir};

/// Most rows one vector may remove; their numbers are held in memory.
const REMOVED_ROWS_MAX: u64 = 200_000_000;

/// Characters at the end of a relative vector's path that encode its file's name.
const ENCODED_NAME_LENGTH: usize = 20;

/// The text of a [`MaskRef`].
#[derive(Serialize, Deserialize)]
struct Descriptor {
    table: String,
    #[serde(flatten)]
    vector: DeletionVector,
}

/// Refers to a vector, unless it lies outside the table.
pub(crate) fn reference(table: &TableDir, vector: &DeletionVector) -> Result<MaskRef, Fault> {
    let inside = match vector.storage_type.as_str() {
        "i" => true,
        "u" => plain_prefix(&vector.path_or_inline_dv),
        "p" => false,
        other => {
            return Err(Fault::new(
                ErrorCode::SourceFeatureUnsupported,
                format!(
                    "table `{}` keeps deletion vectors in a way `{other}` that this build does not know",
                    table.name()
                ),
            ));
        }
    };
    if !inside {
        return Err(Fault::new(
            ErrorCode::SourceOutsideRoot,
            format!(
                "table `{}` refers to a deletion vector outside the table",
                table.name()
            ),
        ));
    }
    let descriptor = serde_json::to_string(&Descriptor {
        table: table.path.clone(),
        vector: vector.clone(),
    })
    .map_err(|error| Fault::new(ErrorCode::Internal, "writing a mask's name").because(&error))?;
    Ok(MaskRef {
        root: table.root.clone(),
        descriptor,
        rows: vector.cardinality,
    })
}

/// Ranges of the rows that the mask leaves.
pub(crate) fn keep(roots: &Roots, mask: &MaskRef, rows: u64) -> Result<Vec<Range<u64>>, Fault> {
    let Descriptor { table, vector } = serde_json::from_str(&mask.descriptor).map_err(|error| {
        Fault::new(ErrorCode::Internal, "reading a mask's name").because(&error)
    })?;
    let table = TableDir::open(
        roots,
        &SourceRef {
            root: mask.root.clone(),
            path: table,
        },
    )?;
    // The reference may have crossed a process boundary; what held when it was made is checked again.
    reference(&table, &vector)?;
    let removed = read(&table, &vector)?;
    complement(&removed, rows).ok_or_else(|| {
        corrupt(
            &table,
            &format!("it removes rows that a file of {rows} rows does not have"),
        )
    })
}

fn read(table: &TableDir, vector: &DeletionVector) -> Result<Vec<u64>, Fault> {
    if vector.cardinality > REMOVED_ROWS_MAX {
        return Err(corrupt(table, "it removes more rows than any file has"));
    }
    let failed = |error| {
        let fault = of_kernel(&table.name(), &error);
        if fault.code == ErrorCode::SourceCorrupt {
            return corrupt(table, "it cannot be decoded").because(&error);
        }
        fault
    };
    let cardinality =
        i64::try_from(vector.cardinality).map_err(|_| corrupt(table, "its row count is absurd"))?;
    let descriptor = DeletionVectorDescriptor::try_new(
        vector.storage_type.parse().map_err(failed)?,
        vector.path_or_inline_dv.clone(),
        vector.offset,
        vector.size_in_bytes,
        cardinality,
    )
    .map_err(failed)?;
    let url = Url::parse(TABLE_URL)
        .map_err(|error| Fault::new(ErrorCode::Internal, "naming a table").because(&error))?;
    let engine = ConfinedEngine::new(table.place.as_ref());
    let removed = descriptor
        .row_indexes(engine.storage_handler(), &url)
        .map_err(failed)?;
    if removed.len() as u64 != vector.cardinality {
        return Err(corrupt(
            table,
            &format!(
                "it removes {} rows where the log says {}",
                removed.len(),
                vector.cardinality
            ),
        ));
    }
    Ok(removed)
}

/// The rows below `rows` that are not in `removed`, which must ascend; none when it reaches beyond them.
fn complement(removed: &[u64], rows: u64) -> Option<Vec<Range<u64>>> {
    let mut kept = Vec::new();
    let mut next = 0;
    for row in removed {
        if *row < next || *row >= rows {
            return None;
        }
        if *row > next {
            kept.push(next..*row);
        }
        next = row + 1;
    }
    if next < rows {
        kept.push(next..rows);
    }
    Some(kept)
}

/// Whether what stands before the encoded file name is a plain folder name.
fn plain_prefix(path: &str) -> bool {
    let Some(end) = path.len().checked_sub(ENCODED_NAME_LENGTH) else {
        return false;
    };
    path.get(..end).is_some_and(|prefix| {
        prefix
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '='))
    })
}

fn corrupt(table: &TableDir, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::SourceCorrupt,
        format!(
            "a deletion vector of table `{}` cannot be used: {reason}",
            table.name()
        ),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{complement, plain_prefix};

    #[test]
    fn a_vector_beyond_the_file_is_refused() {
        assert_eq!(complement(&[3], 3), None);
        assert_eq!(complement(&[1, 1], 3), None);
        assert_eq!(complement(&[], 0), Some(vec![]));
    }

    #[test]
    fn the_folder_of_a_vector_is_a_plain_name() {
        for (path, expected) in [
            ("ab^-aqEH.-t@S}K{vb[*k^", true),
            ("^-aqEH.-t@S}K{vb[*k^", true),
            ("../^-aqEH.-t@S}K{vb[*k^", false),
            ("/etc^-aqEH.-t@S}K{vb[*k^", false),
            ("short", false),
        ] {
            assert_eq!(plain_prefix(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn kept_and_removed_rows_are_all_rows(rows in 0_u64..200, picks in prop::collection::btree_set(0_u64..200, 0..50)) {
            let removed: Vec<u64> = picks.into_iter().filter(|row| *row < rows).collect();
            let kept: Vec<u64> = complement(&removed, rows).unwrap().into_iter().flatten().collect();
            let mut all: Vec<u64> = kept.iter().chain(&removed).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }
    }
}
