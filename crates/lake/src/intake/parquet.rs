//! Parquet files: their columns in the types of a table, rewritten so that every data file is of one kind.
//!
//! The one law: a type that would lose something is refused by the name of its column.

use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::ArrayWriter;
use arrow::record_batch::RecordBatch;
use offtake_model::Fault;
use offtake_model::batch::UploadPreview;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

use super::names::Names;
use super::pack::Packer;
use super::parts::Upload;
use super::report::Report;
use super::shape::{Conflict, check_name, type_name};
use super::{Format, unconvertible};

/// Rows read at once.
const BATCH_ROWS: usize = 4_096;

/// The Parquet files of a batch.
pub(crate) struct ParquetFiles {
    names: Names,
    types: Vec<DataType>,
}

impl ParquetFiles {
    /// Files for a table of those columns.
    pub(crate) fn new(table: &Fields) -> Self {
        Self {
            names: Names::of(table),
            types: table.iter().map(|it| it.data_type().clone()).collect(),
        }
    }

    fn take(&mut self, field: &Field) -> Result<(), Conflict> {
        let name = field.name();
        check_name(name).map_err(|_| Conflict::named(name, "is no name for a column"))?;
        let Some(data_type) = table_type(field.data_type()) else {
            let reason = format!("type {} cannot be kept", field.data_type());
            return Err(Conflict::named(name, &reason));
        };
        match self.names.find(name)? {
            None => {
                self.names.push(name);
                self.types.push(data_type);
                Ok(())
            }
            Some(place) => match self.types.get(place) {
                Some(known) if holds(known, &data_type) => Ok(()),
                known => {
                    let known = known.map(type_name).unwrap_or_default();
                    let reason = format!("{} where the dataset has {known}", type_name(&data_type));
                    Err(Conflict::named(name, &reason))
                }
            },
        }
    }
}

impl Format for ParquetFiles {
    fn survey(&mut self, file: &Upload, report: &mut Report) -> Result<(), Fault> {
        let opened = match ParquetRecordBatchReaderBuilder::try_new(file.clone()) {
            Ok(opened) => opened,
            Err(error) => {
                report.bad(&file.name, 1, format!("not a Parquet file: {error}"));
                return Ok(());
            }
        };
        report.rows += u64::try_from(opened.metadata().file_metadata().num_rows()).unwrap_or(0);
        for field in opened.schema().fields() {
            if let Err(conflict) = self.take(field) {
                report.bad(&file.name, 1, conflict);
            }
        }
        Ok(())
    }

    fn columns(&self) -> Fields {
        self.names
            .iter()
            .zip(&self.types)
            .map(|(name, data_type)| Arc::new(Field::new(name, data_type.clone(), true)))
            .collect()
    }

    fn convert(
        &self,
        file: &Upload,
        schema: &SchemaRef,
        packer: &mut Packer<'_>,
    ) -> Result<(), Fault> {
        let batches = ParquetRecordBatchReaderBuilder::try_new(file.clone())
            .and_then(|opened| opened.with_batch_size(BATCH_ROWS).build())
            .map_err(|error| unconvertible(file, &error))?;
        for batch in batches {
            let fitted = batch
                .and_then(|batch| fit(&batch, schema))
                .map_err(|error| unconvertible(file, &error))?;
            packer.write(&fitted)?;
        }
        Ok(())
    }

    fn look(&self, file: &Upload, wanted: usize, preview: &mut UploadPreview) -> Result<(), Fault> {
        let batches = ParquetRecordBatchReaderBuilder::try_new(file.clone())
            .and_then(|opened| {
                opened
                    .with_limit(wanted - preview.rows.len().min(wanted))
                    .build()
            })
            .map_err(|error| unconvertible(file, &error))?;
        for batch in batches {
            let batch = batch.map_err(|error| unconvertible(file, &error))?;
            let mut writer = ArrayWriter::new(Vec::new());
            writer
                .write(&batch)
                .and_then(|()| writer.finish())
                .map_err(|error| unconvertible(file, &error))?;
            let rows: Vec<Map<String, Value>> = serde_json::from_slice(&writer.into_inner())
                .map_err(|error| unconvertible(file, &error))?;
            for row in rows {
                preview.push(row.into_iter().collect());
            }
        }
        Ok(())
    }
}

fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => cast_with_options(column, field.data_type(), &strict),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Whether every value of `found` is one of `known`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not named is refused, a type of a later Arrow too"
)]
fn holds(known: &DataType, found: &DataType) -> bool {
    use DataType as T;

    known == found
        || match found {
            T::Int8 => matches!(known, T::Int16 | T::Int32 | T::Int64 | T::Float64),
            T::Int16 => matches!(known, T::Int32 | T::Int64 | T::Float64),
            T::Int32 => matches!(known, T::Int64 | T::Float64),
            T::Float32 => matches!(known, T::Float64),
            _ => false,
        }
}

/// The type that a table keeps such values in.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not named is refused, a type of a later Arrow too"
)]
fn table_type(found: &DataType) -> Option<DataType> {
    use DataType as T;

    Some(match found {
        T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::Float32
        | T::Float64
        | T::Date32 => found.clone(),
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Float16 => T::Float32,
        T::Decimal128(precision, scale) if *scale >= 0 => T::Decimal128(*precision, *scale),
        T::Null | T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        // Times without a zone are taken as UTC.
        T::Timestamp(TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond, _) => {
            T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        T::Dictionary(_, value) => table_type(value)?,
        T::List(element) | T::LargeList(element) => T::List(Arc::new(Field::new(
            "element",
            table_type(element.data_type())?,
            true,
        ))),
        T::Struct(fields) if !fields.is_empty() => {
            let fields: Option<Vec<Field>> = fields
                .iter()
                .map(|field| {
                    Some(Field::new(
                        field.name(),
                        table_type(field.data_type())?,
                        true,
                    ))
                })
                .collect();
            T::Struct(fields?.into())
        }
        _ => return None,
    })
}
