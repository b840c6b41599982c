//! A folder of Parquet files without a table's log.
//!
//! Says which data files lie there and reads their footers; what is new among them is decided elsewhere.
//! The one law: every data file below the folder is in the listing, and nothing else is.

mod merge;
mod partition;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use offtake_encode::schema::from_arrow;
use offtake_model::resource::TableFormat;
use offtake_model::{
    ChangeSet, ErrorCode, Fault, FileSlice, FolderFile, FolderListing, Position, RowGroup, Schema,
    SourceRef,
};
use offtake_ports::TableInfo;
use parquet::file::metadata::ParquetMetaData;
use tokio::runtime::Handle;

use crate::file::SourceFile;
use crate::place::Place;
use crate::root::{Roots, TableDir};
use crate::slice::SPLIT_BYTES_MIN;

use merge::Merger;
use partition::Partitions;

/// Files whose footers are read to describe a folder before it becomes a dataset.
const DESCRIBED_FILES_MAX: usize = 64;

/// Endings of the names of data files. A name without any ending is one, too: some writers give none.
const ENDINGS: [&str; 3] = ["parquet", "parq", "pq"];

/// Endings that writers give to what isn't finished.
const UNFINISHED: &str = "._COPYING_";

/// The data files that lie in the folder now.
pub(crate) fn listing(table: &TableDir) -> Result<FolderListing, Fault> {
    let what = format!("folder `{}`", table.name());
    let entries = table
        .place
        .walk(&visible)
        .map_err(|trouble| trouble.fault(ErrorCode::SourceNotFound, &what))?;
    let files: Vec<FolderFile> = entries
        .into_iter()
        .filter(|entry| entry.bytes > 0 && data_file(&entry.path))
        .map(|entry| FolderFile {
            path: table.file(&entry.path).path,
            bytes: entry.bytes,
            tag: entry.tag,
        })
        .collect();
    Ok(FolderListing {
        at: Position::of_folder(&files),
        files,
    })
}

/// All files, or a refusal when the folder isn't any more what it was at that position.
pub(crate) fn snapshot(
    table: &TableDir,
    roots: &Roots,
    at: Option<&Position>,
) -> Result<ChangeSet, Fault> {
    let listing = listing(table)?;
    if at.is_some_and(|at| *at != listing.at) {
        return Err(Fault::new(
            ErrorCode::SourceHistoryLost,
            format!(
                "folder `{}` holds other files now, and keeps no history",
                table.name()
            ),
        ));
    }
    read(table, roots, &listing, &listing.files, None)
}

/// What the folder looks like, from some of its files.
pub(crate) fn describe(table: &TableDir, roots: &Roots) -> Result<TableInfo, Fault> {
    let listing = listing(table)?;
    if listing.files.is_empty() {
        return Err(Fault::new(
            ErrorCode::SourceNotFound,
            format!(
                "neither a Delta log nor a Parquet file lies in `{}`",
                table.name()
            ),
        ));
    }
    let some = listing
        .files
        .get(..DESCRIBED_FILES_MAX)
        .unwrap_or(&listing.files);
    let described = read(table, roots, &listing, some, None)?;
    Ok(TableInfo {
        format: TableFormat::ParquetFolder,
        schema: described.schema,
        position: listing.at,
    })
}

/// The chosen files as slices under one schema that only adds to the known one.
pub(crate) fn read(
    table: &TableDir,
    roots: &Roots,
    listing: &FolderListing,
    chosen: &[FolderFile],
    known: Option<&Schema>,
) -> Result<ChangeSet, Fault> {
    let partitions = Partitions::infer(table, &listing.files, known)?;
    let root = roots.open(&table.root)?;
    let footers = read_footers(table, root.as_ref(), chosen)?;
    let columns = partitions.columns();
    let mut merger = Merger::new(&columns, known);
    let mut slices = Vec::with_capacity(chosen.len());
    for (file, footer) in chosen.iter().zip(footers) {
        merger.add(&file.path, &footer.schema)?;
        slices.push(FileSlice {
            source: source(table, file),
            bytes: file.bytes,
            etag: file.tag.clone(),
            rows: Some(footer.rows),
            row_groups: None,
            row_range: None,
            known_row_groups: footer.row_groups,
            constants: partitions.constants(table, file)?,
            mask: None,
        });
    }
    Ok(ChangeSet {
        to: listing.at.clone(),
        slices,
        schema: merger.finish(),
    })
}

/// Whether a folder of that name is entered. `_col=1` is a partition, whatever it begins with.
fn visible(name: &str) -> bool {
    !name.starts_with('.') && (!name.starts_with('_') || name.contains('='))
}

fn data_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.starts_with(['.', '_']) || name.contains(UNFINISHED) {
        return false;
    }
    match name.rsplit_once('.') {
        None => true,
        Some((_, ending)) => ENDINGS.iter().any(|it| ending.eq_ignore_ascii_case(it)),
    }
}

fn source(table: &TableDir, file: &FolderFile) -> SourceRef {
    SourceRef {
        root: table.root.clone(),
        path: file.path.clone(),
    }
}

/// What planning needs of a footer.
struct Footer {
    schema: Arc<Schema>,
    rows: u64,
    /// Only of files worth splitting.
    row_groups: Vec<RowGroup>,
}

/// The footers of the files, in order, several read at the same time.
fn read_footers(
    table: &TableDir,
    root: &dyn Place,
    files: &[FolderFile],
) -> Result<Vec<Footer>, Fault> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Footer)>> = Mutex::new(Vec::with_capacity(files.len()));
    let runtime = Handle::current();
    let work = || -> Result<(), (usize, Fault)> {
        let _entered = runtime.enter();
        let mut last: Option<Arc<Schema>> = None;
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(nth) else {
                return Ok(());
            };
            let mut footer = read_footer(table, root, file).map_err(|fault| {
                // Nobody needs to go on.
                next.store(files.len(), Ordering::Relaxed);
                (nth, fault)
            })?;
            // Most files of a folder have the same schema: held once.
            match &last {
                Some(schema) if *schema == footer.schema => footer.schema = Arc::clone(schema),
                Some(_) | None => last = Some(Arc::clone(&footer.schema)),
            }
            found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((nth, footer));
        }
    };
    let outcomes = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..root.parallel_reads().min(files.len()))
            .map(|_| scope.spawn(work))
            .collect();
        readers
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect::<Vec<_>>()
    });
    let mut first: Option<(usize, Fault)> = None;
    for outcome in outcomes {
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(failed)) => {
                if first.as_ref().is_none_or(|it| failed.0 < it.0) {
                    first = Some(failed);
                }
            }
            Err(_panic) => {
                return Err(Fault::new(
                    ErrorCode::SourceCorrupt,
                    format!(
                        "a file of folder `{}` made its decoder fail; it is damaged, or offtake has a bug",
                        table.name()
                    ),
                ));
            }
        }
    }
    if let Some((_, fault)) = first {
        return Err(fault);
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_unstable_by_key(|(nth, _)| *nth);
    Ok(found.into_iter().map(|(_, footer)| footer).collect())
}

fn read_footer(table: &TableDir, root: &dyn Place, file: &FolderFile) -> Result<Footer, Fault> {
    let slice = FileSlice {
        source: source(table, file),
        bytes: file.bytes,
        etag: file.tag.clone(),
        rows: None,
        row_groups: None,
        row_range: None,
        known_row_groups: Vec::new(),
        constants: Vec::new(),
        mask: None,
    };
    let opened = SourceFile::open_in(root, &slice)?;
    let footer = opened.footer()?;
    let row_groups = opened.row_groups(&footer)?;
    Ok(Footer {
        schema: Arc::new(schema(file, &footer)?),
        rows: row_groups.iter().map(|group| group.rows).sum(),
        row_groups: if file.bytes > SPLIT_BYTES_MIN {
            row_groups
        } else {
            Vec::new()
        },
    })
}

fn schema(file: &FolderFile, footer: &ParquetMetaData) -> Result<Schema, Fault> {
    let refused = |fault: Fault| Fault {
        message: format!("read source file `{}`: {}", file.path, fault.message),
        ..fault
    };
    let found = merge::types_of(footer.file_metadata().schema_descr()).map_err(|error| {
        Fault::new(
            ErrorCode::SourceCorrupt,
            format!("the schema of source file `{}` cannot be read", file.path),
        )
        .because(&error)
    })?;
    from_arrow(&found).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::{data_file, visible};

    #[test]
    fn unfinished_and_hidden_names_are_no_data() {
        for (path, expected) in [
            ("a.parquet", true),
            ("d=1/a.snappy.PARQUET", true),
            ("a.parq", true),
            ("000000_0", true),
            (".a.parquet", false),
            ("_a.parquet", false),
            ("_SUCCESS", false),
            (".a.parquet.crc", false),
            ("a.parquet.crc", false),
            ("a.parquet.tmp", false),
            ("a.parquet._COPYING_", false),
            ("notes.txt", false),
        ] {
            assert_eq!(data_file(path), expected, "{path}");
        }
        for (name, expected) in [
            ("2026", true),
            ("day=1", true),
            ("_day=1", true),
            ("_temporary", false),
            ("_delta_log", false),
            (".staging", false),
        ] {
            assert_eq!(visible(name), expected, "{name}");
        }
    }
}
