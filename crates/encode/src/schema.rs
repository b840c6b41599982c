//! The dataset's schema in Arrow's words, and back.
//!
//! Names are logical names on both sides; how a column is found in a data file is not told here.
//!
//! The one law: `from_arrow(to_arrow(s))` is `s`, apart from physical names and field ids.

use std::sync::Arc;

use arrow::datatypes::{
    DataType as ArrowType, Field as ArrowField, FieldRef, Fields, Schema as ArrowSchema, SchemaRef,
    TimeUnit,
};
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, ErrorCode, Fault, Field, Schema};

/// The zone of instants in Arrow.
const UTC: &str = "UTC";

/// Name of the struct between a map and its keys and values, as Parquet has it.
const MAP_ENTRIES: &str = "key_value";

/// Digits of the largest unsigned 64-bit number.
const UINT64_DIGITS: u8 = 20;

/// How text and bytes lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One after the other: `Utf8` and `Binary`.
    Plain,
    /// As views of shared buffers: `Utf8View` and `BinaryView`. A value that many rows share is held once.
    Views,
}

/// The schema with Arrow's types: text as `Utf8`, bytes as `Binary`, instants in the zone `UTC`.
pub fn to_arrow(schema: &Schema) -> SchemaRef {
    to_arrow_as(schema, Form::Plain)
}

/// The schema with Arrow's types, text and bytes in that form.
pub fn to_arrow_as(schema: &Schema, form: Form) -> SchemaRef {
    Arc::new(ArrowSchema::new(fields(&schema.fields, form)))
}

fn field_to_arrow(field: &Field, form: Form) -> FieldRef {
    Arc::new(ArrowField::new(
        &field.name,
        type_to_arrow(&field.data_type, form),
        field.nullable,
    ))
}

fn type_to_arrow(data_type: &DataType, form: Form) -> ArrowType {
    match data_type {
        DataType::Boolean => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::Utf8 => match form {
            Form::Plain => ArrowType::Utf8,
            Form::Views => ArrowType::Utf8View,
        },
        DataType::Binary => match form {
            Form::Plain => ArrowType::Binary,
            Form::Views => ArrowType::BinaryView,
        },
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp { unit, utc } => {
            ArrowType::Timestamp(time_unit(*unit), utc.then(|| Arc::from(UTC)))
        }
        DataType::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale),
        DataType::Struct(members) => ArrowType::Struct(fields(members, form)),
        DataType::List(element) => ArrowType::List(field_to_arrow(element, form)),
        DataType::Map { key, value } => {
            let key = Arc::new(ArrowField::new("key", type_to_arrow(key, form), false));
            let value = Arc::new(ArrowField::new(
                "value",
                type_to_arrow(&value.data_type, form),
                value.nullable,
            ));
            let entries = ArrowType::Struct(Fields::from(vec![key, value]));
            ArrowType::Map(
                Arc::new(ArrowField::new(MAP_ENTRIES, entries, false)),
                false,
            )
        }
    }
}

/// The logical schema of Arrow's. Dictionaries, large and view forms become their plain types, unsigned integers the
/// next larger signed ones.
pub fn from_arrow(schema: &ArrowSchema) -> Result<Schema, Fault> {
    let fields = schema.fields().iter().map(|field| from_field(field));
    Ok(Schema {
        fields: fields.collect::<Result<_, _>>()?,
    })
}

fn fields(members: &[Field], form: Form) -> Fields {
    let fields = members.iter().map(|member| field_to_arrow(member, form));
    fields.collect()
}

const fn time_unit(unit: TimestampUnit) -> TimeUnit {
    match unit {
        TimestampUnit::Millisecond => TimeUnit::Millisecond,
        TimestampUnit::Microsecond => TimeUnit::Microsecond,
        TimestampUnit::Nanosecond => TimeUnit::Nanosecond,
    }
}

fn from_field(field: &ArrowField) -> Result<Field, Fault> {
    let data_type = from_type(field.data_type()).map_err(|unknown| {
        Fault::new(
            ErrorCode::TypeNotSupported,
            format!("read the type of column {}: {unknown}", field.name()),
        )
    })?;
    Ok(Field::new(field.name(), data_type, field.is_nullable()))
}

fn from_type(data_type: &ArrowType) -> Result<DataType, String> {
    let inner = |field: &ArrowField| from_field(field).map_err(|fault| fault.message);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "types of Arrow that no dataset has are refused alike"
    )]
    Ok(match data_type {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 => DataType::Int8,
        ArrowType::Int16 | ArrowType::UInt8 => DataType::Int16,
        ArrowType::Int32 | ArrowType::UInt16 => DataType::Int32,
        ArrowType::Int64 | ArrowType::UInt32 => DataType::Int64,
        ArrowType::UInt64 => DataType::Decimal {
            precision: UINT64_DIGITS,
            scale: 0,
        },
        ArrowType::Float16 | ArrowType::Float32 => DataType::Float32,
        ArrowType::Float64 => DataType::Float64,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::Utf8,
        ArrowType::Binary
        | ArrowType::LargeBinary
        | ArrowType::BinaryView
        | ArrowType::FixedSizeBinary(_) => DataType::Binary,
        ArrowType::Date32 => DataType::Date,
        ArrowType::Timestamp(unit, zone) => DataType::Timestamp {
            unit: match unit {
                TimeUnit::Second | TimeUnit::Millisecond => TimestampUnit::Millisecond,
                TimeUnit::Microsecond => TimestampUnit::Microsecond,
                TimeUnit::Nanosecond => TimestampUnit::Nanosecond,
            },
            utc: zone.is_some(),
        },
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => DataType::Decimal {
            precision: *precision,
            scale: *scale,
        },
        ArrowType::Struct(members) => DataType::Struct(
            members
                .iter()
                .map(|member| inner(member))
                .collect::<Result<_, _>>()?,
        ),
        ArrowType::List(element)
        | ArrowType::LargeList(element)
        | ArrowType::FixedSizeList(element, _) => DataType::List(Box::new(inner(element)?)),
        ArrowType::Map(entries, _) => from_entries(entries.data_type())?,
        ArrowType::Dictionary(_, value) => from_type(value)?,
        other => return Err(format!("{other} is no type of a dataset")),
    })
}

fn from_entries(entries: &ArrowType) -> Result<DataType, String> {
    let ArrowType::Struct(members) = entries else {
        return Err("a map without keys and values".to_owned());
    };
    let [key, value] = members.as_ref() else {
        return Err("a map without keys and values".to_owned());
    };
    Ok(DataType::Map {
        key: Box::new(from_type(key.data_type())?),
        value: Box::new(from_field(value).map_err(|fault| fault.message)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_survives_the_way_there_and_back() {
        let utc = DataType::Timestamp {
            unit: TimestampUnit::Microsecond,
            utc: true,
        };
        let address = DataType::Struct(vec![
            Field::new("city", DataType::Utf8, true),
            Field::new("at", utc, false),
        ]);
        let schema = Schema {
            fields: vec![
                Field::new("id", DataType::Int64, false),
                Field::new(
                    "price",
                    DataType::Decimal {
                        precision: 18,
                        scale: 4,
                    },
                    true,
                ),
                Field::new(
                    "addresses",
                    DataType::List(Box::new(Field::new("element", address, true))),
                    true,
                ),
                Field::new(
                    "tags",
                    DataType::Map {
                        key: Box::new(DataType::Int32),
                        value: Box::new(Field::new("value", DataType::Binary, true)),
                    },
                    true,
                ),
            ],
        };
        assert_eq!(from_arrow(&to_arrow(&schema)).unwrap(), schema);
    }

    #[test]
    fn a_type_no_dataset_has_is_refused_by_name() {
        let schema = ArrowSchema::new(vec![ArrowField::new(
            "took",
            ArrowType::Duration(TimeUnit::Second),
            true,
        )]);
        let fault = from_arrow(&schema).unwrap_err();
        assert_eq!(fault.code, ErrorCode::TypeNotSupported);
        assert!(fault.message.contains("took"), "{fault}");
    }
}
