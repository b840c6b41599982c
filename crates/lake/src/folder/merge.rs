//! One schema for all files of a folder.
//!
//! The one law: every value of every file has its like in the merged schema, or the file is refused by name.

use std::sync::Arc;

use arrow::datatypes::{
    DataType as ArrowType, Field as ArrowField, Fields, Schema as ArrowSchema, TimeUnit,
};
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, ErrorCode, Fault, Field, Schema};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type as Physical;
use parquet::errors::ParquetError;
use parquet::schema::types::SchemaDescriptor;

/// The types of a file as its Parquet schema says them, without columns that have no type yet: writers give such
/// to columns that hold nothing but nulls. 96-bit timestamps are read as far as microseconds reach.
pub(super) fn types_of(descriptor: &SchemaDescriptor) -> Result<ArrowSchema, ParquetError> {
    let found = parquet_to_arrow_schema(descriptor, None)?;
    let mut leaves = descriptor.columns().iter().map(|leaf| leaf.physical_type());
    let fields: Vec<Arc<ArrowField>> = found
        .fields()
        .iter()
        .filter_map(|field| typed(field, &mut leaves))
        .collect();
    Ok(ArrowSchema::new(fields))
}

fn typed(
    field: &ArrowField,
    leaves: &mut impl Iterator<Item = Physical>,
) -> Option<Arc<ArrowField>> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other type is one leaf and stays as it is"
    )]
    let data_type = match field.data_type() {
        ArrowType::Struct(members) => {
            let members: Vec<_> = members
                .iter()
                .filter_map(|member| typed(member, leaves))
                .collect();
            (!members.is_empty()).then(|| ArrowType::Struct(Fields::from(members)))
        }
        ArrowType::List(element) => typed(element, leaves).map(ArrowType::List),
        ArrowType::LargeList(element) => typed(element, leaves).map(ArrowType::LargeList),
        ArrowType::FixedSizeList(element, length) => {
            typed(element, leaves).map(|element| ArrowType::FixedSizeList(element, *length))
        }
        ArrowType::Map(entries, sorted) => {
            typed(entries, leaves).and_then(|entries| match entries.data_type() {
                ArrowType::Struct(members) if members.len() == 2 => {
                    Some(ArrowType::Map(Arc::clone(&entries), *sorted))
                }
                _ => None,
            })
        }
        leaf => match (leaf, leaves.next()) {
            (ArrowType::Null, _) => None,
            (_, Some(Physical::INT96)) => Some(ArrowType::Timestamp(TimeUnit::Microsecond, None)),
            (leaf, _) => Some(leaf.clone()),
        },
    };
    data_type.map(|data_type| Arc::new(field.clone().with_data_type(data_type)))
}

/// Brings the schemas of files together, one after the other.
pub(super) struct Merger<'a> {
    /// Columns that the folders' names give; they stand last, and above the files' own.
    partitions: &'a [Field],
    fields: Vec<Field>,
    begun: bool,
}

impl<'a> Merger<'a> {
    /// Begins with what was delivered before, if anything was.
    pub(super) fn new(partitions: &'a [Field], known: Option<&Schema>) -> Self {
        let mut fields = known.map(|known| known.fields.clone()).unwrap_or_default();
        fields.retain(|field| !is_among(field, partitions));
        Self {
            partitions,
            fields,
            begun: known.is_some(),
        }
    }

    /// Adds a file's columns.
    pub(super) fn add(&mut self, file: &str, schema: &Schema) -> Result<(), Fault> {
        let fields: Vec<Field> = schema
            .fields
            .iter()
            .filter(|field| !is_among(field, self.partitions))
            .cloned()
            .collect();
        if !self.begun {
            self.begun = true;
            self.fields = fields;
            return unique(&self.fields).map_err(|reason| conflict(file, &reason));
        }
        if self.fields == fields {
            return Ok(());
        }
        unique(&fields).map_err(|reason| conflict(file, &reason))?;
        self.fields = members(&self.fields, &fields).map_err(|reason| conflict(file, &reason))?;
        Ok(())
    }

    /// The schema of all.
    pub(super) fn finish(self) -> Schema {
        let mut fields = self.fields;
        fields.extend(self.partitions.iter().cloned());
        Schema { fields }
    }
}

fn is_among(field: &Field, columns: &[Field]) -> bool {
    columns.iter().any(|it| it.name == field.name)
}

fn conflict(file: &str, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::SourceSchemaConflict,
        format!("source file `{file}` cannot be taken in: {reason}"),
    )
}

fn unique(fields: &[Field]) -> Result<(), String> {
    let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    let mut pairs = names.iter().zip(names.iter().skip(1));
    match pairs.find(|(name, next)| name == next) {
        Some((name, _)) => Err(format!("it has the column `{name}` twice")),
        None => Ok(()),
    }
}

/// The members of both, those of the first in front; what only one has may be null.
fn members(before: &[Field], here: &[Field]) -> Result<Vec<Field>, String> {
    let mut merged = Vec::with_capacity(before.len());
    for field in before {
        merged.push(match here.iter().find(|it| it.name == field.name) {
            Some(other) => both(field, other)?,
            None => nullable(field),
        });
    }
    let added = here
        .iter()
        .filter(|field| before.iter().all(|it| it.name != field.name));
    merged.extend(added.map(nullable));
    Ok(merged)
}

fn nullable(field: &Field) -> Field {
    Field {
        nullable: true,
        ..field.clone()
    }
}

fn both(before: &Field, here: &Field) -> Result<Field, String> {
    let data_type = types(&before.data_type, &here.data_type).map_err(|reason| match reason {
        Misfit::Here => format!(
            "column `{}` is {} there and {} in the files before it",
            here.name,
            name_of(&here.data_type),
            name_of(&before.data_type)
        ),
        Misfit::Within(reason) => format!("in column `{}`, {reason}", here.name),
    })?;
    Ok(Field {
        data_type,
        nullable: before.nullable || here.nullable,
        ..before.clone()
    })
}

enum Misfit {
    Here,
    Within(String),
}

impl From<String> for Misfit {
    fn from(reason: String) -> Self {
        Self::Within(reason)
    }
}

fn types(before: &DataType, here: &DataType) -> Result<DataType, Misfit> {
    if before == here {
        return Ok(here.clone());
    }
    Ok(match (before, here) {
        (DataType::Struct(before), DataType::Struct(here)) => {
            DataType::Struct(members(before, here)?)
        }
        (DataType::List(before), DataType::List(here)) => {
            DataType::List(Box::new(both(before, here)?))
        }
        (
            DataType::Map { key, value },
            DataType::Map {
                key: other_key,
                value: other,
            },
        ) => DataType::Map {
            key: Box::new(types(key, other_key)?),
            value: Box::new(both(value, other)?),
        },
        (
            DataType::Decimal { precision, scale },
            DataType::Decimal {
                precision: other,
                scale: other_scale,
            },
        ) if scale == other_scale => DataType::Decimal {
            precision: *precision.max(other),
            scale: *scale,
        },
        (
            DataType::Timestamp { unit, utc },
            DataType::Timestamp {
                unit: other,
                utc: other_utc,
            },
        ) if utc == other_utc => DataType::Timestamp {
            unit: finer(*unit, *other),
            utc: *utc,
        },
        (before, here) => {
            let width = |it| width(it).ok_or(Misfit::Here);
            let ((kind, before_bits), (other, here_bits)) = (width(before)?, width(here)?);
            if kind != other {
                return Err(Misfit::Here);
            }
            if before_bits > here_bits {
                before.clone()
            } else {
                here.clone()
            }
        }
    })
}

const fn finer(one: TimestampUnit, other: TimestampUnit) -> TimestampUnit {
    match (one, other) {
        (TimestampUnit::Nanosecond, _) | (_, TimestampUnit::Nanosecond) => {
            TimestampUnit::Nanosecond
        }
        (TimestampUnit::Microsecond, _) | (_, TimestampUnit::Microsecond) => {
            TimestampUnit::Microsecond
        }
        (TimestampUnit::Millisecond, TimestampUnit::Millisecond) => TimestampUnit::Millisecond,
    }
}

/// Kind and bits of a type that widens within its kind.
const fn width(data_type: &DataType) -> Option<(char, u8)> {
    match data_type {
        DataType::Int8 => Some(('i', 8)),
        DataType::Int16 => Some(('i', 16)),
        DataType::Int32 => Some(('i', 32)),
        DataType::Int64 => Some(('i', 64)),
        DataType::Float32 => Some(('f', 32)),
        DataType::Float64 => Some(('f', 64)),
        DataType::Boolean
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date
        | DataType::Timestamp { .. }
        | DataType::Decimal { .. }
        | DataType::Struct(_)
        | DataType::List(_)
        | DataType::Map { .. } => None,
    }
}

/// The type as a person says it.
pub(super) fn name_of(data_type: &DataType) -> String {
    let plain = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Utf8 => "text",
        DataType::Binary => "binary",
        DataType::Date => "date",
        DataType::Timestamp { utc: true, .. } => "timestamp in UTC",
        DataType::Timestamp { utc: false, .. } => "timestamp without zone",
        DataType::Decimal { precision, scale } => return format!("decimal({precision},{scale})"),
        DataType::Struct(_) => "a struct",
        DataType::List(_) => "a list",
        DataType::Map { .. } => "a map",
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, data_type: DataType) -> Field {
        Field::new(name, data_type, false)
    }

    fn merged(schemas: &[Vec<Field>]) -> Result<Vec<Field>, Fault> {
        let mut merger = Merger::new(&[], None);
        for (nth, fields) in schemas.iter().enumerate() {
            let schema = Schema {
                fields: fields.clone(),
            };
            merger.add(&format!("file {nth}"), &schema)?;
        }
        Ok(merger.finish().fields)
    }

    #[test]
    fn columns_are_added_widened_and_become_nullable() {
        let found = merged(&[
            vec![field("a", DataType::Int32), field("b", DataType::Utf8)],
            vec![field("c", DataType::Date), field("a", DataType::Int64)],
        ]);
        let expected = vec![
            field("a", DataType::Int64),
            nullable(&field("b", DataType::Utf8)),
            nullable(&field("c", DataType::Date)),
        ];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_brought_together_names_file_and_column() {
        let inner = |data_type| vec![field("s", DataType::Struct(vec![field("x", data_type)]))];
        let fault = merged(&[inner(DataType::Int32), inner(DataType::Utf8)]).unwrap_err();
        assert_eq!(fault.code, ErrorCode::SourceSchemaConflict);
        assert_eq!(
            fault.message,
            "source file `file 1` cannot be taken in: in column `s`, column `x` is text there and int32 in the files before it"
        );
        let twice = vec![field("a", DataType::Utf8), field("a", DataType::Utf8)];
        let fault = merged(&[twice]).unwrap_err();
        assert!(fault.message.contains("the column `a` twice"), "{fault}");
    }

    #[test]
    fn folders_give_their_columns_whatever_the_file_says() {
        let day = nullable(&field("day", DataType::Date));
        let partitions = [day.clone()];
        let mut merger = Merger::new(&partitions, None);
        let schema = Schema {
            fields: vec![field("day", DataType::Utf8), field("a", DataType::Int8)],
        };
        merger.add("file", &schema).unwrap();
        assert_eq!(merger.finish().fields, [field("a", DataType::Int8), day]);
    }
}
