//! What a task's plan says of the columns it reads, worked out once for all of its files.

use std::sync::{Mutex, PoisonError};

use arrow::datatypes::{SchemaRef, TimeUnit};
use offtake_encode::schema::{Form, to_arrow_as};
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, Schema};
use parquet::file::metadata::{ParquetMetaDataOptions, ParquetStatisticsPolicy};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

/// The columns that a task's files are read as.
pub(crate) struct Planned {
    pub(super) schema: Schema,
    pub(super) target: SchemaRef,
    /// What 96-bit instants are read as.
    pub(super) int96: TimeUnit,
    /// What is read of a footer.
    pub(super) footer: ParquetMetaDataOptions,
    /// The last file's columns and the types they are decoded as: most files of a table have the same.
    typed: Mutex<Option<(SchemaDescPtr, SchemaRef)>>,
}

impl Planned {
    /// What the plan says of the columns of files whose rows are decoded: their statistics are of no use.
    pub(crate) fn to_decode(schema: &Schema) -> Self {
        let without = ParquetStatisticsPolicy::SkipAll;
        let footer = ParquetMetaDataOptions::new()
            .with_column_stats_policy(without.clone())
            .with_encoding_stats_policy(without);
        Self::new(schema, footer)
    }

    /// What the plan says of the columns of files that may pass as they are.
    pub(crate) fn to_pass(schema: &Schema) -> Self {
        Self::new(schema, ParquetMetaDataOptions::new())
    }

    fn new(schema: &Schema, footer: ParquetMetaDataOptions) -> Self {
        let mut fields = schema.fields.iter();
        let finest = fields.any(|field| wants_nanoseconds(&field.data_type));
        Self {
            target: to_arrow_as(schema, Form::Views),
            schema: schema.clone(),
            int96: if finest {
                TimeUnit::Nanosecond
            } else {
                TimeUnit::Microsecond
            },
            footer,
            typed: Mutex::default(),
        }
    }

    /// The types that these columns are decoded as, if they are the last file's.
    pub(super) fn typed_before(&self, columns: &SchemaDescriptor) -> Option<SchemaRef> {
        let last = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, types) = last.as_ref()?;
        (known.as_ref() == columns).then(|| SchemaRef::clone(types))
    }

    /// Remembers what a file's columns are decoded as.
    pub(super) fn note_typed(&self, columns: SchemaDescPtr, types: SchemaRef) {
        let mut last = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((columns, types));
    }
}

fn wants_nanoseconds(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp { unit, .. } => *unit == TimestampUnit::Nanosecond,
        DataType::Struct(members) => members.iter().any(|it| wants_nanoseconds(&it.data_type)),
        DataType::List(element) => wants_nanoseconds(&element.data_type),
        DataType::Map { key, value } => {
            wants_nanoseconds(key) || wants_nanoseconds(&value.data_type)
        }
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
        | DataType::Decimal { .. } => false,
    }
}
