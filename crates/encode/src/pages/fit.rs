//! Whether a file's row groups may pass as they are.

use arrow::datatypes::SchemaRef;
use offtake_model::{DataType, ErrorCode, Fault, Field, Schema};
use parquet::arrow::{ArrowSchemaConverter, parquet_to_arrow_schema};
use parquet::basic::Compression as Codec;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::SchemaDescriptor;

use crate::schema::{from_arrow, to_arrow};

/// Bytes of a column chunk at most, compressed or not: as much is held in memory at once.
const CHUNK_BYTES_MAX: i64 = 128 << 20;

/// Row groups of a Parquet file at most; their ordinal has 16 bits.
const GROUPS_MAX: usize = 32_767;

/// Why row groups must be decoded and encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Columns of the table have other names or ids in the file.
    Mapped,
    /// The file's columns are not the planned ones, or are held as other types.
    OtherSchema,
    /// A column chunk is too large to be held at once.
    TooLarge,
    /// A column chunk lies elsewhere, or is compressed in a way that is not understood.
    Unreadable,
}

/// Finds whether these row groups of a file pass as rows of the schema; answers why not.
pub fn check(metadata: &ParquetMetaData, schema: &Schema, groups: &[usize]) -> Result<(), Refusal> {
    if schema.fields.iter().any(mapped) {
        return Err(Refusal::Mapped);
    }
    let planned = written_schema(schema).map_err(|_fault| Refusal::OtherSchema)?;
    let found = metadata.file_metadata().schema_descr();
    if !same_leaves(found, &planned) || !same_columns(found, schema) {
        return Err(Refusal::OtherSchema);
    }
    if groups.len() > GROUPS_MAX {
        return Err(Refusal::TooLarge);
    }
    let chunks = groups
        .iter()
        .filter_map(|index| metadata.row_groups().get(*index))
        .flat_map(RowGroupMetaData::columns);
    for chunk in chunks {
        if chunk.compressed_size().max(chunk.uncompressed_size()) > CHUNK_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        if !readable(chunk) {
            return Err(Refusal::Unreadable);
        }
    }
    Ok(())
}

/// The Parquet schema that encoded rows are written with.
pub(super) fn written_schema(schema: &Schema) -> Result<SchemaDescriptor, Fault> {
    let arrow: SchemaRef = to_arrow(schema);
    ArrowSchemaConverter::new()
        .with_coerce_types(true)
        .convert(&arrow)
        .map_err(|error| {
            Fault::new(ErrorCode::TypeNotSupported, "start a Parquet file").because(&error)
        })
}

fn readable(chunk: &ColumnChunkMetaData) -> bool {
    let start = chunk.byte_range().0;
    let within = |offset: i64| u64::try_from(offset).is_ok_and(|offset| offset >= start);
    chunk.file_path().is_none()
        && chunk.compression() != Codec::LZO
        && within(chunk.data_page_offset())
        && chunk.dictionary_page_offset().is_none_or(within)
}

/// Levels and physical types, leaf by leaf.
fn same_leaves(found: &SchemaDescriptor, planned: &SchemaDescriptor) -> bool {
    found.num_columns() == planned.num_columns()
        && (0..found.num_columns()).all(|leaf| {
            let (found, planned) = (found.column(leaf), planned.column(leaf));
            found.max_def_level() == planned.max_def_level()
                && found.max_rep_level() == planned.max_rep_level()
                && found.physical_type() == planned.physical_type()
                && found.type_length() == planned.type_length()
        })
}

/// Names and logical types, column by column.
fn same_columns(found: &SchemaDescriptor, planned: &Schema) -> bool {
    let found = parquet_to_arrow_schema(found, None).ok();
    let found = found.and_then(|found| from_arrow(&found).ok());
    found.is_some_and(|found| same_fields(&found.fields, &planned.fields))
}

fn same_fields(found: &[Field], planned: &[Field]) -> bool {
    found.len() == planned.len()
        && found
            .iter()
            .zip(planned)
            .all(|(found, planned)| found.name == planned.name && same_field(found, planned))
}

/// Names of list elements are no names of the table.
fn same_field(found: &Field, planned: &Field) -> bool {
    found.nullable == planned.nullable && same_type(&found.data_type, &planned.data_type)
}

fn same_type(found: &DataType, planned: &DataType) -> bool {
    match (found, planned) {
        (DataType::Struct(found), DataType::Struct(planned)) => same_fields(found, planned),
        (DataType::List(found), DataType::List(planned)) => same_field(found, planned),
        (
            DataType::Map { key, value },
            DataType::Map {
                key: planned_key,
                value: planned_value,
            },
        ) => same_type(key, planned_key) && same_field(value, planned_value),
        (found, planned) => found == planned,
    }
}

fn mapped(field: &Field) -> bool {
    let renamed = field
        .physical_name
        .as_ref()
        .is_some_and(|name| *name != field.name);
    renamed || field.field_id.is_some() || mapped_within(&field.data_type)
}

fn mapped_within(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(members) => members.iter().any(mapped),
        DataType::List(element) => mapped(element),
        DataType::Map { key, value } => mapped_within(key) || mapped(value),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date
        | DataType::Timestamp { .. }
        | DataType::Decimal { .. } => false,
    }
}
