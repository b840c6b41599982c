//! The library's engine, with a guard before every read.
//!
//! The default engine fetches URLs that look pre-signed over the network. A log can name such URLs (deletion
//! vectors, checkpoint sidecars), so each read is refused here unless it is of the table's own scheme.
//! The one law: a URL of another scheme or with a host is never passed on.

use std::sync::Arc;

use bytes::Bytes;
use delta_kernel::schema::SchemaRef;
use delta_kernel::{
    Engine, EngineData, EvaluationHandler, FileDataReadResultIterator, FileMeta, FileSize,
    FileSlice, FilteredEngineData, JsonHandler, KernelError, KernelResult, KernelResultIterator,
    KernelResultIteratorStatic, ParquetFooter, ParquetHandler, PredicateRef, StorageHandler,
};
use delta_kernel_default_engine::DefaultEngineBuilder;
use url::Url;

use super::Place;

/// An engine that reads one table's folder and nothing else.
pub(crate) struct ConfinedEngine {
    evaluation: Arc<dyn EvaluationHandler>,
    storage: Arc<dyn StorageHandler>,
    json: Arc<dyn JsonHandler>,
    parquet: Arc<dyn ParquetHandler>,
}

impl ConfinedEngine {
    /// Builds the engine. Its IO runs on a thread of its own, so callers may block in any runtime.
    pub(crate) fn new(table: &dyn Place) -> Self {
        let inner = DefaultEngineBuilder::new(table.kernel_store()).build();
        Self {
            evaluation: inner.evaluation_handler(),
            storage: Arc::new(Guarded(inner.storage_handler())),
            json: Arc::new(Guarded(inner.json_handler())),
            parquet: Arc::new(Guarded(inner.parquet_handler())),
        }
    }
}

impl Engine for ConfinedEngine {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        Arc::clone(&self.evaluation)
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        Arc::clone(&self.storage)
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::clone(&self.json)
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        Arc::clone(&self.parquet)
    }
}

struct Guarded<T: ?Sized>(Arc<T>);

fn allow(url: &Url) -> KernelResult<()> {
    if url.scheme() == "lake" && url.host_str().unwrap_or_default().is_empty() {
        return Ok(());
    }
    Err(KernelError::InvalidTableLocation(url.to_string()))
}

fn allow_all(files: &[FileMeta]) -> KernelResult<()> {
    files.iter().try_for_each(|file| allow(&file.location))
}

fn read_only<T>() -> KernelResult<T> {
    Err(KernelError::Unsupported("writing to a lake".to_owned()))
}

impl StorageHandler for Guarded<dyn StorageHandler> {
    fn list_from(&self, path: &Url) -> KernelResult<KernelResultIteratorStatic<FileMeta>> {
        allow(path)?;
        self.0.list_from(path)
    }

    fn read_files(&self, files: Vec<FileSlice>) -> KernelResult<KernelResultIteratorStatic<Bytes>> {
        files.iter().try_for_each(|(url, _)| allow(url))?;
        self.0.read_files(files)
    }

    fn head(&self, path: &Url) -> KernelResult<FileMeta> {
        allow(path)?;
        self.0.head(path)
    }

    fn copy_atomic(&self, _: &Url, _: &Url) -> KernelResult<()> {
        read_only()
    }

    fn put(&self, _: &Url, _: Bytes, _: bool) -> KernelResult<()> {
        read_only()
    }

    fn delete(&self, _: &Url) -> KernelResult<()> {
        read_only()
    }
}

impl JsonHandler for Guarded<dyn JsonHandler> {
    fn parse_json(
        &self,
        json_strings: Box<dyn EngineData>,
        output_schema: SchemaRef,
    ) -> KernelResult<Box<dyn EngineData>> {
        self.0.parse_json(json_strings, output_schema)
    }

    fn read_json_files(
        &self,
        files: &[FileMeta],
        physical_schema: SchemaRef,
        predicate: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        allow_all(files)?;
        self.0.read_json_files(files, physical_schema, predicate)
    }

    fn write_json_file(
        &self,
        _: &Url,
        _: KernelResultIterator<'_, FilteredEngineData>,
        _: bool,
    ) -> KernelResult<FileSize> {
        read_only()
    }
}

impl ParquetHandler for Guarded<dyn ParquetHandler> {
    fn read_parquet_files(
        &self,
        files: &[FileMeta],
        physical_schema: SchemaRef,
        predicate: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        allow_all(files)?;
        self.0.read_parquet_files(files, physical_schema, predicate)
    }

    fn read_parquet_footer(&self, file: &FileMeta) -> KernelResult<ParquetFooter> {
        allow(&file.location)?;
        self.0.read_parquet_footer(file)
    }

    fn write_parquet_file(
        &self,
        _: Url,
        _: KernelResultIteratorStatic<Box<dyn EngineData>>,
    ) -> KernelResult<FileSize> {
        read_only()
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::allow;

    #[test]
    fn only_urls_below_the_table_are_read() {
        for (url, allowed) in [
            ("lake:///_delta_log/00000000000000000000.json", true),
            ("lake://host/x", false),
            ("file:///etc/passwd", false),
            ("https://example.com/x?sp=r&sig=s", false),
            ("http://127.0.0.1/?X-Amz-Signature=s", false),
            ("s3://bucket/x", false),
        ] {
            assert_eq!(allow(&Url::parse(url).unwrap()).is_ok(), allowed, "{url}");
        }
    }
}
