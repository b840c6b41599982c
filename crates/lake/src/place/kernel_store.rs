//! What the table library sees of a place: one table's folder, read-only, as an object store.
//!
//! The library resolves whatever URLs a table's log names; the log is other people's data. So it gets a world
//! in which the table is everything there is.
//! The one law: no read through here leaves the table's folder or this machine.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::fs::Dir;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use tokio::runtime::Handle;

use super::ENTRIES_MAX;
use crate::fault::{absent, leaves_folder};

const STORE: &str = "lake";

/// A folder of a disk.
#[derive(Clone, Debug)]
pub(crate) struct DiskStore {
    dir: Arc<Dir>,
}

impl DiskStore {
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
impl ObjectStore for DiskStore {
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

impl fmt::Display for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table's folder, read-only")
    }
}

/// A folder of an object store, asked on the service's runtime whoever asks: the library's engine has a runtime of
/// its own, and connections made there would end with it.
#[derive(Clone, Debug)]
pub(crate) struct RemoteStore {
    store: Arc<dyn ObjectStore>,
    handle: Handle,
}

impl RemoteStore {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, handle: Handle) -> Self {
        Self { store, handle }
    }

    fn listed(
        &self,
        prefix: Option<&Path>,
        after: Option<&Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix, after) = (Arc::clone(&self.store), prefix.cloned(), after.cloned());
        let listing = self.handle.spawn(async move {
            let listed = match &after {
                Some(after) => store.list_with_offset(prefix.as_ref(), after),
                None => store.list(prefix.as_ref()),
            };
            let mut found: Vec<ObjectMeta> = listed.take(ENTRIES_MAX).try_collect().await?;
            // The library takes order for granted; not every store promises it.
            found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
            Ok(found)
        });
        stream::once(async move { joined(listing.await) })
            .map_ok(|found| stream::iter(found.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }
}

/// A refusal of the store is told apart from one of ours, which the library's errors have only one word for.
fn joined<T>(answer: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    let answer = answer.unwrap_or_else(|source| Err(Error::JoinError { source }));
    answer.map_err(|error| {
        if let Error::PermissionDenied { path, source } = error {
            return Error::Unauthenticated { path, source };
        }
        error
    })
}

#[async_trait]
impl ObjectStore for RemoteStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (store, location) = (Arc::clone(&self.store), location.clone());
        let getting = self
            .handle
            .spawn(async move { store.get_opts(&location, options).await });
        joined(getting.await)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, None)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (store, prefix) = (Arc::clone(&self.store), prefix.cloned());
        let listing = self
            .handle
            .spawn(async move { store.list_with_delimiter(prefix.as_ref()).await });
        joined(listing.await)
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

impl fmt::Display for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table's folder in a store, read-only")
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
