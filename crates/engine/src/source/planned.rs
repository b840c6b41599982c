//! What a task's plan says of the columns it reads, worked out once for all of its files.

use arrow::datatypes::{SchemaRef, TimeUnit};
use offtake_encode::schema::{Form, to_arrow_as};
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, Schema};

/// The columns that a task's files are read as.
pub(crate) struct Planned {
    pub(super) schema: Schema,
    pub(super) target: SchemaRef,
    /// What 96-bit instants are read as.
    pub(super) int96: TimeUnit,
}

impl Planned {
    /// What the plan says of the columns.
    pub(crate) fn new(schema: &Schema) -> Self {
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
        }
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
