//! One opened source file: what it holds, and its row groups as batches in the planned schema.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use offtake_encode::PageBuffers;
use offtake_model::{ErrorCode, Fault, Field, FileSlice};
use offtake_ports::RangeReader;
use parquet::arrow::FieldLevels;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tokio::sync::OwnedSemaphorePermit;

use crate::limits::Limits;
use crate::source::constant::Constant;
use crate::source::fit::{self, Fit};
use crate::source::footer::{self, End};
use crate::source::group::{RowGroup, row_groups};
use crate::source::held::Held;
use crate::source::keep::selection;
use crate::source::pages::GroupPages;
use crate::source::planned::Planned;
use crate::source::window::Window;

/// A source file whose footer was read and found fit for the plan.
pub(crate) struct SourceFile {
    /// For messages.
    pub(crate) name: String,
    /// Rows of the whole file.
    pub(crate) rows: u64,
    reader: Arc<dyn RangeReader>,
    /// For its pages, decompressed.
    buffers: PageBuffers,
    metadata: Arc<ParquetMetaData>,
    /// The file's columns that are decoded.
    levels: Arc<FieldLevels>,
    /// One per planned column.
    columns: Vec<Column>,
    schema: SchemaRef,
    groups: Vec<RowGroup>,
}

/// Where a planned column comes from.
enum Column {
    /// From the decoded column of that ordinal.
    File(usize, Fit),
    /// From the table's log, or nowhere.
    Constant(Constant),
}

impl SourceFile {
    /// Reads the footer and decides how the file's columns become the planned ones.
    pub(crate) async fn open(
        reader: Arc<dyn RangeReader>,
        slice: &FileSlice,
        planned: &Arc<Planned>,
        limits: Limits,
        buffers: PageBuffers,
    ) -> Result<Self, Fault> {
        let name = format!("source file {}/{}", slice.source.root, slice.source.path);
        let End { footer, whole } = footer::read(&name, reader.as_ref(), limits).await?;
        let size = reader.size();
        let (slice, planned) = (slice.clone(), Arc::clone(planned));
        let laying_out = tokio::task::spawn_blocking(move || {
            let metadata = footer::decode(&name, &footer, &planned.footer, limits)?;
            // Inference and sizes walk what the footer says of itself, which may be nonsense.
            let laid_out = catch_unwind(AssertUnwindSafe(|| {
                Self::lay_out(&name, metadata, &slice, &planned, limits)
            }));
            let layout = laid_out.unwrap_or_else(|_panic| {
                let message = format!("read the footer of {name}: the decoder gave up on it");
                Err(Fault::new(ErrorCode::SourceCorrupt, message))
            })?;
            layout.check(&name, size)?;
            Ok((name, layout))
        });
        let laid_out = laying_out
            .await
            .map_err(|error| Fault::new(ErrorCode::Internal, "decode a footer").because(&error));
        let (name, layout) = laid_out.flatten()?;
        Ok(Self {
            rows: layout.groups.iter().map(|group| group.rows).sum(),
            name,
            reader: whole.map_or(reader, |bytes| Arc::new(Held(bytes))),
            buffers,
            metadata: layout.metadata,
            levels: layout.levels,
            columns: layout.columns,
            schema: layout.schema,
            groups: layout.groups,
        })
    }

    fn lay_out(
        name: &str,
        metadata: ParquetMetaData,
        slice: &FileSlice,
        planned: &Planned,
        limits: Limits,
    ) -> Result<Layout, Fault> {
        let Planned { schema, target, .. } = planned;
        let metadata = Arc::new(metadata);
        let corrupt = |error: ParquetError| footer::corrupt(name, &error);
        let typed = planned.typed(&metadata).map_err(corrupt)?;
        let mut roots = Vec::new();
        let mut columns = Vec::new();
        for (planned, target) in schema.fields.iter().zip(target.fields()) {
            let column = match constant_of(planned, slice) {
                Some((_, text)) => constant(name, planned, text.as_deref(), target)?,
                None => from_file(name, planned, &typed.types, target, &mut roots)?,
            };
            columns.push(column);
        }
        let order = ordered(&mut roots);
        for column in &mut columns {
            if let Column::File(nth, _) = column {
                *nth = order.get(*nth).copied().unwrap_or_default();
            }
        }
        Ok(Layout {
            groups: row_groups(&metadata, &roots, limits),
            metadata,
            levels: typed.levels(&roots).map_err(corrupt)?,
            columns,
            schema: Arc::clone(target),
        })
    }

    /// The row groups of those ordinals, or all.
    pub(crate) fn row_groups(&self, ordinals: Option<&[u32]>) -> Result<Vec<RowGroup>, Fault> {
        let Some(ordinals) = ordinals else {
            return Ok(self.groups.clone());
        };
        let picked = ordinals.iter().map(|ordinal| {
            let group = usize::try_from(*ordinal).ok();
            let group = group.and_then(|index| self.groups.get(index)).cloned();
            group.ok_or_else(|| {
                Fault::new(
                    ErrorCode::SourceCorrupt,
                    format!("read {}: it has no row group {ordinal}", self.name),
                )
            })
        });
        picked.collect()
    }

    /// What the footer says.
    pub(crate) const fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    /// Reads that range of the file.
    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        self.reader.read(range).await
    }

    /// Bytes of the whole file.
    pub(crate) fn bytes(&self) -> u64 {
        self.reader.size()
    }

    /// Reads the row group's bytes into that room.
    pub(crate) async fn fetch(
        &self,
        group: &RowGroup,
        limits: Limits,
        room: OwnedSemaphorePermit,
    ) -> Result<Window, Fault> {
        let whole_max = limits.fetch_bytes_max;
        Window::open(&self.reader, group.chunks.clone(), whole_max, room).await
    }

    /// Decodes the kept rows of the row group.
    pub(crate) fn decode<'a>(
        &'a self,
        group: &RowGroup,
        window: Window,
        keep: Option<&[Range<u64>]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Fault>> + use<'a>, Fault> {
        let pages = GroupPages {
            window: Arc::new(window.clone()),
            metadata: Arc::clone(&self.metadata),
            index: group.index,
            buffers: self.buffers.clone(),
        };
        let selection = keep.map(|ranges| selection(ranges, group.rows));
        let batches = ParquetRecordBatchReader::try_new_with_row_groups(
            &self.levels,
            &pages,
            group.batch_rows,
            selection,
        )
        .map_err(|error| footer::corrupt(&self.name, &error))?;
        Ok(batches.map(move |batch| {
            let fitted = batch.and_then(|batch| self.fit(&batch));
            fitted.map_err(|error| {
                window.take_fault().unwrap_or_else(|| {
                    let message = format!("decode {}", self.name);
                    Fault::new(ErrorCode::SourceCorrupt, message).because(&error)
                })
            })
        }))
    }

    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let columns = self.columns.iter().map(|column| match column {
            Column::File(nth, fit) => fit.apply(batch.column(*nth)),
            Column::Constant(constant) => constant.repeat(rows),
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

/// What the footer comes to under the plan.
struct Layout {
    metadata: Arc<ParquetMetaData>,
    levels: Arc<FieldLevels>,
    columns: Vec<Column>,
    schema: SchemaRef,
    groups: Vec<RowGroup>,
}

impl Layout {
    fn check(&self, name: &str, size: u64) -> Result<(), Fault> {
        let promised = self.metadata.file_metadata().num_rows();
        let rows: u64 = self.groups.iter().map(|group| group.rows).sum();
        if u64::try_from(promised) != Ok(rows) {
            return Err(Fault::new(
                ErrorCode::SourceCorrupt,
                format!(
                    "read the footer of {name}: it counts {promised} rows, its row groups {rows}"
                ),
            ));
        }
        let mut chunks = self.groups.iter().flat_map(|group| &group.chunks);
        if chunks.any(|chunk| chunk.end < chunk.start || chunk.end > size) {
            return Err(Fault::new(
                ErrorCode::SourceCorrupt,
                format!("read the footer of {name}: a column lies beyond the end of the file"),
            ));
        }
        Ok(())
    }
}

/// The log's name and value for the column, when the log and not the file has it. Physical names count for nothing
/// here: a renamed column may have the physical name that is another column's name now.
fn constant_of<'a>(planned: &Field, slice: &'a FileSlice) -> Option<&'a (String, Option<String>)> {
    let mut constants = slice.constants.iter();
    constants.find(|(name, _)| name == &planned.name)
}

fn constant(
    file: &str,
    planned: &Field,
    text: Option<&str>,
    target: &ArrowField,
) -> Result<Column, Fault> {
    let parsed = Constant::parse(text, target.data_type());
    parsed.map(Column::Constant).map_err(|error| {
        Fault::new(
            ErrorCode::SourceCorrupt,
            format!(
                "read {file}: the table's value for column {} is no {}",
                planned.name,
                target.data_type()
            ),
        )
        .because(&error)
    })
}

/// Finds the column in the file and notes it among the wanted ones.
fn from_file(
    file: &str,
    planned: &Field,
    types: &ArrowSchema,
    target: &ArrowField,
    roots: &mut Vec<usize>,
) -> Result<Column, Fault> {
    let fields = types.fields();
    let found = fit::find(planned, fields).and_then(|root| Some((root, fields.get(root)?)));
    let Some((root, column)) = found else {
        return Ok(Column::Constant(Constant::null(target.data_type())));
    };
    let fit = Fit::new(column.data_type(), &planned.data_type, target.data_type());
    let fit = fit.map_err(|reason| {
        Fault::new(
            ErrorCode::SourceCorrupt,
            format!("read column {} of {file}: {reason}", planned.name),
        )
    })?;
    roots.push(root);
    Ok(Column::File(roots.len() - 1, fit))
}

/// Sorts the wanted columns as the decoder gives them; answers the new place of each.
fn ordered(roots: &mut Vec<usize>) -> Vec<usize> {
    let wanted = std::mem::take(roots);
    roots.clone_from(&wanted);
    roots.sort_unstable();
    roots.dedup();
    let places = wanted
        .iter()
        .map(|root| roots.binary_search(root).unwrap_or_default());
    places.collect()
}
