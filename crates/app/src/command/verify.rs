//! `offtake verify`: reads everything a manifest names again and says whether it is what was delivered.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use aws_lc_rs::digest;
use clap::Args as ClapArgs;
use offtake_core::manifest;
use offtake_encode::decode::{self, DecodeError};
use offtake_model::{Manifest, ManifestFile};
use serde_json::{Value, json};

use crate::output::{Output, Progress, counted_files, grouped, size};

/// Folder name under which manifests lie, at the export's path.
const MANIFEST_FOLDER: &str = "_offtake";

/// Bytes read at once while hashing.
const CHUNK: usize = 1 << 20;

/// Shown below the help of the command.
const EXIT_CODES: &str = "\
Exit codes:
  0  everything is as delivered
  1  the manifest could not be read at all
  3  the manifest was changed or is damaged
  4  a file is missing
  5  a file has another size
  6  a file has other bytes
  7  a file holds another number of rows
  8  a file cannot be decoded
  9  the delivery's time was over: its manifest and files were taken away
Of several problems the one first in this list decides.";

#[derive(ClapArgs)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The manifest: `<path>/_offtake/<flow>/<dataset>/<delivery>.manifest`.
    manifest: PathBuf,
    /// Folder that the keys in the manifest start from; found from the manifest's own place when absent.
    #[arg(long)]
    root: Option<PathBuf>,
}

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Missing,
    Size { actual: u64 },
    Bytes,
    Rows { actual: u64 },
    Undecodable { reason: String },
}

impl Problem {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Missing => 4,
            Self::Size { .. } => 5,
            Self::Bytes => 6,
            Self::Rows { .. } => 7,
            Self::Undecodable { .. } => 8,
        }
    }

    fn describe(&self, file: &ManifestFile) -> String {
        match self {
            Self::Missing => "is missing".to_owned(),
            Self::Size { actual } => format!("has {actual} bytes, the manifest says {}", file.size),
            Self::Bytes => "has other bytes than were delivered (SHA-256 differs)".to_owned(),
            Self::Rows { actual } => {
                format!("holds {actual} rows, the manifest says {}", file.rows)
            }
            Self::Undecodable { reason } => format!("cannot be decoded: {reason}"),
        }
    }
}

/// Exit code for a manifest that is not what offtake wrote.
const MANIFEST_CHANGED: u8 = 3;

/// Exit code for a delivery that was taken away.
const EXPIRED: u8 = 9;

pub(crate) fn run(args: &Args, output: Output) -> Result<ExitCode> {
    let path = std::path::absolute(&args.manifest)?;
    // The word first: while a delivery is taken away, some of its files may still be there.
    let word = manifest::expired_key(&path.to_string_lossy());
    if Path::new(&word).exists() {
        return Ok(expired(&path, output));
    }
    let bytes =
        std::fs::read(&path).with_context(|| format!("reading manifest {}", path.display()))?;
    let manifest = match manifest::parse(&bytes) {
        Ok(manifest) => manifest,
        Err(fault) => {
            let reason = fault.message;
            output.answer(&json!({ "verified": false, "problem": reason }), || {
                format!("NOT VERIFIED: {reason}")
            });
            return Ok(ExitCode::from(MANIFEST_CHANGED));
        }
    };
    let root = match &args.root {
        Some(root) => root.clone(),
        None => find_root(&path, &manifest),
    };
    if has_expired(&root, &manifest) {
        return Ok(expired(&path, output));
    }
    let problems = check(&root, &manifest, output);
    output.answer(&report(&manifest, &problems), || {
        describe(&manifest, &problems)
    });
    Ok(ExitCode::from(
        problems
            .iter()
            .map(|(_, problem)| problem.exit_code())
            .min()
            .unwrap_or(0),
    ))
}

/// Says that the delivery was taken away.
fn expired(path: &Path, output: Output) -> ExitCode {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    output.answer(
        &json!({ "verified": false, "expired": true, "delivery": name }),
        || {
            format!(
                "EXPIRED: delivery {name} was taken out of the landing zone when its time was over"
            )
        },
    );
    ExitCode::from(EXPIRED)
}

/// Whether the word that the delivery expired stands below the root. The manifest may be a copy that lies elsewhere,
/// and how many folders the export's path has is not written in it: they are the first ones of every key.
fn has_expired(root: &Path, delivered: &Manifest) -> bool {
    let Some(file) = delivered.files.first() else {
        return false;
    };
    let word = manifest::expired_key(&format!(
        "{MANIFEST_FOLDER}/{}/{}/{}.manifest",
        delivered.flow, delivered.dataset, delivered.delivery
    ));
    let mut folders = Path::new(&file.key).ancestors().skip(1);
    folders.any(|folder| root.join(folder).join(&word).exists())
}

/// The outcome in a sentence, for commands that verify on the way.
pub(crate) struct Verdict {
    /// Whether everything is as delivered.
    pub(crate) verified: bool,
    /// The sentence.
    pub(crate) text: String,
}

/// Verifies the files of a manifest that lies at `path`.
pub(crate) fn verdict(path: &Path, manifest: &Manifest, output: Output) -> Verdict {
    let problems = check(&find_root(path, manifest), manifest, output);
    Verdict {
        verified: problems.is_empty(),
        text: describe(manifest, &problems),
    }
}

/// The file's key and what is wrong with it, for every file that is not as delivered.
fn check<'a>(
    root: &Path,
    manifest: &'a Manifest,
    output: Output,
) -> Vec<(&'a ManifestFile, Problem)> {
    let mut progress = Progress::new(output);
    let (mut rows, mut bytes) = (0, 0);
    let mut problems = Vec::new();
    for file in &manifest.files {
        if let Some(problem) = check_file(&root.join(&file.key), file, manifest) {
            problems.push((file, problem));
        }
        rows += file.rows;
        bytes += file.size;
        progress.tell(rows, Some(manifest.total_rows), bytes);
    }
    progress.done();
    problems
}

fn check_file(path: &Path, expected: &ManifestFile, manifest: &Manifest) -> Option<Problem> {
    let Ok(mut file) = File::open(path) else {
        return Some(Problem::Missing);
    };
    let actual = file.metadata().map_or(0, |it| it.len());
    if actual != expected.size {
        return Some(Problem::Size { actual });
    }
    match sha256(&mut file) {
        Ok(digest) if digest == expected.sha256 => {}
        Ok(_) => return Some(Problem::Bytes),
        Err(error) => {
            return Some(Problem::Undecodable {
                reason: error.to_string(),
            });
        }
    }
    match decode::inspect(file, manifest.encoding) {
        Ok(found) if found.rows == expected.rows => None,
        Ok(found) => Some(Problem::Rows { actual: found.rows }),
        Err(error) => Some(Problem::Undecodable {
            reason: reason(&error),
        }),
    }
}

fn reason(error: &DecodeError) -> String {
    error.to_string()
}

pub(crate) fn sha256(file: &mut File) -> std::io::Result<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
            return Ok(hex::encode(context.finish()));
        };
        context.update(chunk);
    }
}

/// The folder that keys start from. A key begins with the export's path, and so does the manifest's own place;
/// how many folders that path has is not written anywhere, so the first that holds a named file is taken.
fn find_root(path: &Path, manifest: &Manifest) -> PathBuf {
    let base = path
        .ancestors()
        .find(|it| it.file_name().is_some_and(|name| name == MANIFEST_FOLDER))
        .and_then(Path::parent)
        .unwrap_or(path);
    base.ancestors()
        .find(|root| {
            manifest
                .files
                .iter()
                .any(|file| root.join(&file.key).exists())
        })
        .unwrap_or(base)
        .to_path_buf()
}

fn report(manifest: &Manifest, problems: &[(&ManifestFile, Problem)]) -> Value {
    let found: Vec<_> = problems
        .iter()
        .map(|(file, problem)| json!({ "file": file.key, "problem": problem.describe(file) }))
        .collect();
    json!({
        "verified": problems.is_empty(),
        "delivery": manifest.delivery,
        "files": manifest.files.len(),
        "rows": manifest.total_rows,
        "bytes": manifest.total_bytes,
        "problems": found,
    })
}

fn describe(manifest: &Manifest, problems: &[(&ManifestFile, Problem)]) -> String {
    if problems.is_empty() {
        return format!(
            "VERIFIED: {}, {} rows, {} are exactly what delivery {} put there",
            counted_files(manifest.files.len() as u64),
            grouped(manifest.total_rows),
            size(manifest.total_bytes),
            manifest.delivery
        );
    }
    let lines: Vec<_> = problems
        .iter()
        .map(|(file, problem)| format!("NOT VERIFIED: {} {}", file.key, problem.describe(file)))
        .collect();
    lines.join("\n")
}
