//! The types that a file's columns are decoded as.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

use crate::source::read_as::read_as;

/// What the columns of a file, and of others that have the same, are decoded as.
pub(super) struct Typed {
    columns: SchemaDescPtr,
    /// One for each of the file's columns.
    pub(super) types: SchemaRef,
    /// How the columns of these ordinals are decoded: the last that were asked for.
    levels: Mutex<Option<(Vec<usize>, Arc<FieldLevels>)>>,
}

impl Typed {
    /// Works it out for the columns of a footer.
    pub(super) fn infer(
        metadata: &Arc<ParquetMetaData>,
        int96: TimeUnit,
    ) -> Result<Self, ParquetError> {
        let columns = metadata.file_metadata().schema_descr_ptr();
        let read = |options| ArrowReaderMetadata::try_new(Arc::clone(metadata), options);
        let plain = read(ArrowReaderOptions::new().with_skip_arrow_metadata(true))?;
        let types = read_as(plain.schema(), &columns, int96);
        // Whether the decoder can give these types is found here.
        read(ArrowReaderOptions::new().with_schema(Arc::clone(&types)))?;
        Ok(Self {
            columns,
            types,
            levels: Mutex::default(),
        })
    }

    /// Whether a file of these columns has the same types.
    pub(super) fn is_of(&self, columns: &SchemaDescriptor) -> bool {
        self.columns.as_ref() == columns
    }

    /// How the columns of these ordinals are decoded.
    pub(super) fn levels(&self, roots: &[usize]) -> Result<Arc<FieldLevels>, ParquetError> {
        let mut last = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, levels)) = last.as_ref().filter(|(of, _)| of == roots) {
            return Ok(Arc::clone(levels));
        }
        let mask = ProjectionMask::roots(&self.columns, roots.iter().copied());
        let levels = parquet_to_arrow_field_levels(&self.columns, mask, Some(self.types.fields()))?;
        let levels = Arc::new(levels);
        *last = Some((roots.to_vec(), Arc::clone(&levels)));
        Ok(levels)
    }
}
