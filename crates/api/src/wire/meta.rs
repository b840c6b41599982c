//! What is remembered of a batch, as a small tree of files (contract, 10.3): two folders with a file each, and a sample.

use offtake_api_types::batch::{BadRow, SelfLinks};
use offtake_api_types::{DataOf, DownloadableFile, Link, UploadedFile};
use offtake_service::BatchMeta;
use serde::Serialize;

use super::batch::data;
use crate::EXPORT;

/// Folders and the one file in each.
const INPUT_FILES: (&str, &str) = ("input_files", "input_files_0.json");
const ROW_ERRORS: (&str, &str) = ("row_errors", "row_errors_0.json");

/// Beside the folders: the same rows for whoever looks at one file only.
const SAMPLE: &str = "row_errors_sample.json";

/// What a path of the tree leads to.
pub(crate) enum Meta {
    /// A folder.
    Folder(DataOf<DownloadableFile>),
    /// A file: a line of JSON for each thing.
    File(String),
}

/// What the path leads to; none when there is nothing.
pub(crate) fn at(batch: &str, meta: BatchMeta, path: Option<&str>) -> Option<Meta> {
    let path = path.unwrap_or_default().trim_matches('/');
    let (folder, file) = path.split_once('/').unwrap_or((path, ""));
    let (files, rows) = (input_files(&meta), row_errors(meta));
    if path == SAMPLE && !rows.is_empty() {
        return Some(Meta::File(rows));
    }
    let sample = (!rows.is_empty()).then(|| entry(batch, SAMPLE, SAMPLE, rows.len()));
    let trees = [(INPUT_FILES, files), (ROW_ERRORS, rows)];
    let mut there = trees.into_iter().filter(|(_, lines)| !lines.is_empty());
    if folder.is_empty() {
        let folders = there.map(|((name, _), _)| entry(batch, name, name, 0));
        return Some(Meta::Folder(data(folders.chain(sample).collect())));
    }
    let ((_, only), lines) = there.find(|((name, _), _)| *name == folder)?;
    match file {
        "" => {
            let path = format!("{folder}/{only}");
            let listed = vec![entry(batch, only, &path, lines.len())];
            Some(Meta::Folder(data(listed)))
        }
        name if name == only => Some(Meta::File(lines)),
        _ => None,
    }
}

fn entry(batch: &str, name: &str, path: &str, bytes: usize) -> DownloadableFile {
    DownloadableFile {
        name: name.to_owned(),
        length: bytes.to_string(),
        links: SelfLinks {
            own: Link {
                href: format!("{EXPORT}/batches/{batch}/meta?path={path}"),
            },
        },
    }
}

fn input_files(meta: &BatchMeta) -> String {
    lines(meta.input_files.iter().map(|file| UploadedFile {
        name: file.name.clone(),
        size_in_bytes: file.bytes,
    }))
}

fn row_errors(meta: BatchMeta) -> String {
    lines(meta.bad_rows.into_iter().map(|row| BadRow {
        file: row.file,
        line: row.line,
        reason: row.reason,
    }))
}

fn lines<T: Serialize>(things: impl Iterator<Item = T>) -> String {
    let mut lines = String::new();
    for thing in things {
        // A type of the wire without maps and floats always has a JSON form.
        lines.push_str(&serde_json::to_string(&thing).unwrap_or_default());
        lines.push('\n');
    }
    lines
}
