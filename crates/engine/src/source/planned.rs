//! What a task's plan says of the columns it reads, worked out once for all of its files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::{SchemaRef, TimeUnit};
use offtake_encode::schema::{Form, to_arrow_as};
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, Schema};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetStatisticsPolicy};

use crate::source::typed::Typed;

/// The columns that a task's files are read as.
pub(crate) struct Planned {
    pub(super) schema: Schema,
    pub(super) target: SchemaRef,
    /// What 96-bit instants are read as.
    int96: TimeUnit,
    /// What is read of a footer.
    pub(super) footer: ParquetMetaDataOptions,
    /// What the last file's columns are decoded as: most files of a table have the same.
    typed: Mutex<Option<Arc<Typed>>>,
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

    /// What the columns of a footer are decoded as.
    pub(super) fn typed(
        &self,
        metadata: &Arc<ParquetMetaData>,
    ) -> Result<Arc<Typed>, ParquetError> {
        let columns = metadata.file_metadata().schema_descr();
        if let Some(typed) = self.last().as_ref().filter(|it| it.is_of(columns)) {
            return Ok(Arc::clone(typed));
        }
        let typed = Arc::new(Typed::infer(metadata, self.int96)?);
        *self.last() = Some(Arc::clone(&typed));
        Ok(typed)
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<Typed>>> {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner)
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
