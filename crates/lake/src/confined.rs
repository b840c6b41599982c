//! What the table library sees of the disk: one table's folder, read-only.
//!
//! The library resolves whatever URLs a table's log names; the log is other people's data. So it gets a world
//! in which the table is everything there is.
//! The one law: no read through here leaves the table's folder or this machine.

mod engine;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::fs::Dir;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

pub(crate) use engine::ConfinedEngine;

use crate::fault::{absent, leaves_folder};

/// URL of the table as the library is told it. Everything the library reads must be below it.
pub(crate) const TABLE_URL: &str = "lake:///";

/// Most entries of one folder that are listed.
pub(crate) const ENTRIES_MAX: usize = 4_000_000;

const STORE: &str = "lake";

/// One table's folder as a read-only object store.
#[derive(Clone, Debug)]
pub(crate) struct ConfinedStore {
    dir: Arc<Dir>,
}

impl ConfinedStore {
    pub(crate) fn new(dir: Arc<Dir>) -> Self {
        Self { dir }
    }

    fn open(&self, location: &Path) -> Result<(std::fs::File, ObjectMeta)> {
        let failed = |error| store_error(location, error);
        // Asked first, because opening a pipe would wait for its other end.
        if !self
            .dir
            .metadata(location.as_ref())
            .map_err(failed)?
            .is_file()
        {
            return Err(failed(std::io::ErrorKind::NotFound.into()));
        }
        let file = self.dir.open(location.as_ref()).map_err(failed)?.into_std();
        let metadata = file.metadata().map_err(failed)?;
        let modified = metadata.modified().map_err(failed)?;
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: modified.into(),
            size: metadata.len(),
            e_tag: None,
            version: None,
        };
        Ok((file, meta))
    }

    fn entries(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        let failed = |error| store_error(folder, error);
        let entries = if folder.as_ref().is_empty() {
            self.dir.entries()
        } else {
            self.dir.read_dir(folder.as_ref())
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) if absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries.take(ENTRIES_MAX) {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let metadata = match entry.metadata() {
                Ok(metadata) if metadata.is_file() => metadata,
                Ok(_) => continue,
                Err(error) if absent(&error) => continue,
                Err(error) => return Err(failed(error)),
            };
            let Ok(location) = Path::parse(format!("{folder}/{name}")) else {
                continue;
            };
            found.push(ObjectMeta {
                location,
                last_modified: metadata.modified().map_err(failed)?.into_std().into(),
                size: metadata.len(),
                e_tag: None,
                version: None,
            });
        }
        // The library takes order for granted where the scheme isn't `file`.
        found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }
}

#[async_trait]
impl ObjectStore for ConfinedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (file, meta) = self.open(location)?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|error| Error::Generic {
                store: STORE,
                source: Box::new(error),
            })?,
            None => 0..meta.size,
        };
        let payload = if options.head {
            GetResultPayload::Stream(stream::once(async { Ok(Bytes::new()) }).boxed())
        } else {
            GetResultPayload::File(file, location.as_ref().into())
        };
        Ok(GetResult {
            payload,
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    /// Lists one folder, not the ones below it: the log is flat, and nothing else is listed.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let folder = prefix.cloned().unwrap_or_default();
        match self.entries(&folder) {
            Ok(entries) => stream::iter(entries.into_iter().map(Ok)).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = prefix.cloned().unwrap_or_default();
        Ok(ListResult {
            common_prefixes: Vec::new(),
            objects: self.entries(&folder)?,
        })
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only("put"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only("put"))
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(read_only("delete")) }).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only("copy"))
    }
}

impl fmt::Display for ConfinedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table's folder, read-only")
    }
}

fn read_only(operation: &str) -> Error {
    Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: STORE.to_owned(),
    }
}

fn store_error(location: &Path, error: std::io::Error) -> Error {
    if absent(&error) {
        return Error::NotFound {
            path: location.to_string(),
            source: Box::new(error),
        };
    }
    if leaves_folder(&error) {
        return Error::PermissionDenied {
            path: location.to_string(),
            source: Box::new(error),
        };
    }
    Error::Generic {
        store: STORE,
        source: Box::new(error),
    }
}
