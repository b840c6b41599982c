//! Uploaded files on disk: a folder per batch, in it a folder per file, in it its parts.
//!
//! A part is written aside, made durable and then given its name, which says where it belongs. What is there can
//! be told from the names alone, so nothing has to be remembered across a crash.
//!
//! The one law: a part that has its name is whole and durable.
//!
//! budget: the names on disk and everything that reads or writes them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::batch::UploadedFile;
use offtake_model::{BatchId, ErrorCode, Fault, OrgId, SandboxName, Tenant};
use offtake_ports::{Part, Upload, Uploads};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::fault::blocking;
use crate::path;

/// Largest part, in bytes.
const PART_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Largest file that comes in parts, in bytes.
const FILE_BYTES_MAX: u64 = 100_000_000_000;

/// Longest folder name on the file systems we know, less what we add.
const NAME_BYTES_MAX: usize = 240;

/// Name of the mark of a finished file.
const COMPLETE: &str = "complete";

/// Begins the names of what is not in place yet.
const ASIDE: &str = ".aside-";

/// Uploaded files below one folder.
#[derive(Clone, Debug)]
pub struct UploadFolder {
    root: PathBuf,
}

/// A part of a file that is in place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlacedPart {
    pub(crate) start: u64,
    pub(crate) end: u64,
    total: u64,
    pub(crate) path: PathBuf,
}

impl UploadFolder {
    /// Keeps uploads below that folder, which is made when the first one comes.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn batch(&self, tenant: &Tenant, batch: &BatchId) -> PathBuf {
        self.root
            .join(encoded(tenant.org.as_str()))
            .join(encoded(tenant.sandbox.as_str()))
            .join(encoded(batch.as_str()))
    }

    fn file(&self, tenant: &Tenant, batch: &BatchId, name: &str) -> Result<PathBuf, Fault> {
        let folder = encoded(name);
        if name.is_empty() || folder.len() > NAME_BYTES_MAX {
            return Err(Fault::new(
                ErrorCode::FieldInvalid,
                format!("a file's name must have 1 to {NAME_BYTES_MAX} characters"),
            ));
        }
        Ok(self.batch(tenant, batch).join(folder))
    }

    /// The files of a batch with their parts, by name.
    pub(crate) fn parts(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
    ) -> Result<Vec<(UploadedFile, Vec<PlacedPart>)>, Fault> {
        let folder = self.batch(tenant, batch);
        let mut files = Vec::new();
        for name in names(&folder).map_err(|error| broken("list", &error))? {
            if name.starts_with(ASIDE) {
                continue;
            }
            let Ok(given) = path::percent_decode(&name) else {
                continue;
            };
            files.push(look(&folder.join(&name), &given)?);
        }
        files.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        Ok(files)
    }
}

#[async_trait]
impl Uploads for UploadFolder {
    async fn begin(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
        part: Part,
    ) -> Result<Box<dyn Upload>, Fault> {
        let folder = self.file(tenant, batch, file)?;
        let name = file.to_owned();
        let batch = self.batch(tenant, batch);
        let aside = batch.join(format!("{ASIDE}{}", Uuid::new_v4()));
        let (bytes_max, exact) = match part {
            Part::Whole => (PART_BYTES_MAX, None),
            Part::Range { start, end, .. } => {
                let length = end.saturating_sub(start);
                (PART_BYTES_MAX, Some(length))
            }
        };
        if exact.is_some_and(|length| length > PART_BYTES_MAX) {
            return Err(too_large());
        }
        let (place, made) = (folder.clone(), aside.clone());
        let opened = blocking("an upload".to_owned(), move || {
            if let Part::Range { start, end, total } = part {
                fits(&place, &name, start, end, total)?;
            }
            fs::create_dir_all(&batch).map_err(|error| broken("begin", &error))?;
            File::create_new(&made).map_err(|error| broken("begin", &error))
        })
        .await?;
        Ok(Box::new(OpenUpload {
            file: tokio::fs::File::from_std(opened),
            aside: Some(aside),
            folder,
            part,
            written: 0,
            bytes_max,
            exact,
        }))
    }

    async fn initialize(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
    ) -> Result<bool, Fault> {
        let folder = self.file(tenant, batch, file)?;
        blocking("an upload".to_owned(), move || {
            if folder.join(COMPLETE).exists() {
                fs::remove_dir_all(&folder).map_err(|error| broken("replace", &error))?;
            }
            let new = !folder.exists();
            fs::create_dir_all(&folder)
                .and_then(|()| sync_parent(&folder))
                .map_err(|error| broken("begin", &error))?;
            Ok(new)
        })
        .await
    }

    async fn complete(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
    ) -> Result<UploadedFile, Fault> {
        let folder = self.file(tenant, batch, file)?;
        let name = file.to_owned();
        blocking("an upload".to_owned(), move || finish_file(&folder, &name)).await
    }

    async fn list(&self, tenant: &Tenant, batch: &BatchId) -> Result<Vec<UploadedFile>, Fault> {
        let (folder, tenant, batch) = (self.clone(), tenant.clone(), batch.clone());
        blocking("uploads".to_owned(), move || {
            let files = folder.parts(&tenant, &batch)?;
            Ok(files.into_iter().map(|(file, _)| file).collect())
        })
        .await
    }

    async fn remove(&self, tenant: &Tenant, batch: &BatchId) -> Result<(), Fault> {
        let folder = self.batch(tenant, batch);
        blocking("uploads".to_owned(), move || {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(broken("remove", &error))
                }
                Err(_) | Ok(()) => Ok(()),
            }
        })
        .await
    }

    async fn batches(&self) -> Result<Vec<(Tenant, BatchId)>, Fault> {
        let root = self.root.clone();
        blocking("uploads".to_owned(), move || {
            let list = |path: &Path| names(path).map_err(|error| broken("list", &error));
            let mut found = Vec::new();
            for org in list(&root)? {
                for sandbox in list(&root.join(&org))? {
                    for batch in list(&root.join(&org).join(&sandbox))? {
                        let read = |name: &str| path::percent_decode(name).unwrap_or_default();
                        let tenant = Tenant {
                            org: OrgId(read(&org)),
                            sandbox: SandboxName(read(&sandbox)),
                        };
                        found.push((tenant, BatchId(read(&batch))));
                    }
                }
            }
            Ok(found)
        })
        .await
    }
}

struct OpenUpload {
    file: tokio::fs::File,
    aside: Option<PathBuf>,
    folder: PathBuf,
    part: Part,
    written: u64,
    bytes_max: u64,
    exact: Option<u64>,
}

#[async_trait]
impl Upload for OpenUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        if self.exact.is_some_and(|exact| self.written > exact) {
            return Err(range_invalid(
                "the part has more bytes than its Content-Range says",
            ));
        }
        if self.written > self.bytes_max {
            return Err(too_large());
        }
        self.file
            .write_all(&bytes)
            .await
            .map_err(|error| broken("write", &error))
    }

    async fn finish(mut self: Box<Self>) -> Result<bool, Fault> {
        if self.written == 0 {
            return Err(Fault::new(ErrorCode::FileEmpty, "the file has no bytes"));
        }
        if self.exact.is_some_and(|exact| self.written != exact) {
            return Err(range_invalid(
                "the part has fewer bytes than its Content-Range says",
            ));
        }
        let flushed = match self.file.flush().await {
            Ok(()) => self.file.sync_all().await,
            Err(error) => Err(error),
        };
        flushed.map_err(|error| broken("write", &error))?;
        let Some(aside) = self.aside.take() else {
            return Ok(false);
        };
        let (folder, part, bytes) = (self.folder.clone(), self.part, self.written);
        blocking("an upload".to_owned(), move || {
            place(&aside, &folder, part, bytes).map_err(|error| {
                // What could not be placed is not kept either.
                let _ = fs::remove_file(&aside);
                broken("keep", &error)
            })
        })
        .await
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            // Left behind, it is removed with its batch.
            let _ = fs::remove_file(aside);
        }
    }
}

/// Gives durable bytes their name; true when they replaced a whole file.
fn place(aside: &Path, folder: &Path, part: Part, bytes: u64) -> io::Result<bool> {
    match part {
        Part::Range { start, end, total } => {
            fs::rename(aside, folder.join(part_name(start, end, total)))?;
            File::open(folder)?.sync_all()?;
            Ok(false)
        }
        Part::Whole => {
            let made = aside.with_extension("folder");
            fs::create_dir(&made)?;
            fs::rename(aside, made.join(part_name(0, bytes, bytes)))?;
            File::create(made.join(COMPLETE))?.sync_all()?;
            File::open(&made)?.sync_all()?;
            let replaced = folder.exists();
            if replaced {
                let old = aside.with_extension("replaced");
                fs::rename(folder, &old)?;
                fs::rename(&made, folder)?;
                fs::remove_dir_all(&old)?;
            } else {
                fs::rename(&made, folder)?;
            }
            sync_parent(folder)?;
            Ok(replaced)
        }
    }
}

fn fits(folder: &Path, name: &str, start: u64, end: u64, total: u64) -> Result<(), Fault> {
    if start >= end || end > total {
        return Err(range_invalid("Content-Range is no range of the file"));
    }
    if total > FILE_BYTES_MAX {
        return Err(too_large());
    }
    if !folder.is_dir() {
        return Err(range_invalid(&format!(
            "file `{name}` was not begun; send POST with ?action=INITIALIZE first"
        )));
    }
    let (_, parts) = look(folder, name)?;
    for other in &parts {
        if other.total != total {
            return Err(range_invalid(&format!(
                "file `{name}` has {} bytes by an earlier part, {total} by this one",
                other.total
            )));
        }
        let same = (other.start, other.end) == (start, end);
        if !same && start < other.end && other.start < end {
            return Err(range_invalid(&format!(
                "bytes {start}-{} of file `{name}` overlap bytes {}-{}, which are there",
                end - 1,
                other.start,
                other.end - 1
            )));
        }
    }
    Ok(())
}

fn finish_file(folder: &Path, name: &str) -> Result<UploadedFile, Fault> {
    if !folder.is_dir() {
        return Err(Fault::new(
            ErrorCode::ResourceNotFound,
            format!("files not found with id = [{name}]"),
        ));
    }
    let (mut file, parts) = look(folder, name)?;
    let total = parts.first().map_or(0, |part| part.total);
    if total == 0 || file.bytes < total {
        return Err(Fault::new(
            ErrorCode::UploadIncomplete,
            format!(
                "file `{name}` has {} of {total} bytes without a gap",
                file.bytes
            ),
        ));
    }
    File::create(folder.join(COMPLETE))
        .and_then(|mark| mark.sync_all())
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| broken("complete", &error))?;
    file.complete = true;
    Ok(file)
}

/// What the folder of a file holds.
fn look(folder: &Path, name: &str) -> Result<(UploadedFile, Vec<PlacedPart>), Fault> {
    let found = names(folder).map_err(|error| broken("list", &error))?;
    let mut parts: Vec<PlacedPart> = found
        .iter()
        .filter_map(|name| parse_part(folder, name))
        .collect();
    parts.sort();
    let mut bytes = 0;
    for part in &parts {
        if part.start == bytes {
            bytes = part.end;
        }
    }
    let file = UploadedFile {
        name: name.to_owned(),
        bytes,
        complete: found.iter().any(|name| name == COMPLETE),
    };
    Ok((file, parts))
}

fn part_name(start: u64, end: u64, total: u64) -> String {
    format!("{start:020}-{end:020}-{total:020}")
}

fn parse_part(folder: &Path, name: &str) -> Option<PlacedPart> {
    let mut numbers = name.split('-').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(PlacedPart {
        start: next()?,
        end: next()?,
        total: next()?,
        path: folder.join(name),
    })
}

/// Names in a folder; none when it isn't there.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// A name as one plain folder name, the same one for the same name only.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'@');
        if plain || (byte == b'.' && !text.is_empty()) {
            text.push(char::from(byte));
        } else {
            // Writing to text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn too_large() -> Fault {
    Fault::new(
        ErrorCode::UploadTooLarge,
        format!("one part may have {PART_BYTES_MAX} bytes, a file in parts {FILE_BYTES_MAX} bytes"),
    )
}

fn range_invalid(message: &str) -> Fault {
    Fault::new(ErrorCode::UploadRangeInvalid, message)
}

fn broken(verb: &str, error: &io::Error) -> Fault {
    Fault::new(
        ErrorCode::StoreUnavailable,
        format!("failed to {verb} an upload in the data directory"),
    )
    .because(error)
}
