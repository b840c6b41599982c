//! A table's schema in our own words, and whether one schema only adds to another.
//!
//! The one law: a type that the export could not reproduce is refused by the name of its column.

use delta_kernel::schema::{
    ColumnMetadataKey, DataType as KernelType, MetadataValue, PrimitiveType, StructField,
    StructType,
};
use delta_kernel::table_features::ColumnMappingMode;
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, ErrorCode, Fault, Field, Schema};

/// Deepest nesting of a column's type.
const DEPTH_MAX: usize = 64;

/// Most fields of a schema, nested ones counted.
const FIELDS_MAX: usize = 20_000;

/// Converts a table's schema. Columns are matched in the files as the mapping mode says.
pub(crate) fn convert(
    table: &str,
    schema: &StructType,
    mapping: ColumnMappingMode,
) -> Result<Schema, Fault> {
    let mut converter = Converter {
        table,
        mapping,
        fields: 0,
        path: Vec::new(),
    };
    Ok(Schema {
        fields: converter.fields(schema)?,
    })
}

/// Name of the column in the data files and in the log's partition values.
pub(crate) fn physical_name(field: &StructField, mapping: ColumnMappingMode) -> String {
    let mapped = match field.get_config_value(&ColumnMetadataKey::ColumnMappingPhysicalName) {
        Some(MetadataValue::String(name)) if mapping != ColumnMappingMode::None => name,
        _ => &field.name,
    };
    mapped.clone()
}

struct Converter<'a> {
    table: &'a str,
    mapping: ColumnMappingMode,
    fields: usize,
    path: Vec<String>,
}

impl Converter<'_> {
    fn fields(&mut self, schema: &StructType) -> Result<Vec<Field>, Fault> {
        schema.fields().map(|field| self.field(field)).collect()
    }

    fn field(&mut self, field: &StructField) -> Result<Field, Fault> {
        self.fields += 1;
        self.path.push(field.name.clone());
        if self.fields > FIELDS_MAX {
            return Err(self.refuse("a schema of so many columns"));
        }
        let data_type = self.data_type(&field.data_type)?;
        self.path.pop();
        let physical = physical_name(field, self.mapping);
        Ok(Field {
            physical_name: (physical != field.name).then_some(physical),
            field_id: self.field_id(field)?,
            ..Field::new(field.name.clone(), data_type, field.nullable)
        })
    }

    fn field_id(&self, field: &StructField) -> Result<Option<i32>, Fault> {
        if self.mapping != ColumnMappingMode::Id {
            return Ok(None);
        }
        field
            .column_mapping_id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Some)
            .ok_or_else(|| self.refuse("a column mapped by id without an id"))
    }

    fn data_type(&mut self, data_type: &KernelType) -> Result<DataType, Fault> {
        if self.path.len() > DEPTH_MAX {
            return Err(self.refuse("a type nested so deeply"));
        }
        match data_type {
            KernelType::Primitive(primitive) => self.primitive(primitive),
            KernelType::Struct(inner) => Ok(DataType::Struct(self.fields(inner)?)),
            KernelType::Array(array) => {
                let element = self.inner("element", &array.element_type)?;
                let element = Field::new("element", element, array.contains_null);
                Ok(DataType::List(Box::new(element)))
            }
            KernelType::Map(map) => {
                let key = self.inner("key", &map.key_type)?;
                let value = self.inner("value", &map.value_type)?;
                Ok(DataType::Map {
                    key: Box::new(key),
                    value: Box::new(Field::new("value", value, map.value_contains_null)),
                })
            }
            KernelType::Variant(_) => Err(self.refuse("type `variant`")),
        }
    }

    fn inner(&mut self, name: &str, data_type: &KernelType) -> Result<DataType, Fault> {
        self.path.push(name.to_owned());
        let converted = self.data_type(data_type)?;
        self.path.pop();
        Ok(converted)
    }

    fn primitive(&self, primitive: &PrimitiveType) -> Result<DataType, Fault> {
        Ok(match primitive {
            PrimitiveType::String => DataType::Utf8,
            PrimitiveType::Long => DataType::Int64,
            PrimitiveType::Integer => DataType::Int32,
            PrimitiveType::Short => DataType::Int16,
            PrimitiveType::Byte => DataType::Int8,
            PrimitiveType::Float => DataType::Float32,
            PrimitiveType::Double => DataType::Float64,
            PrimitiveType::Boolean => DataType::Boolean,
            PrimitiveType::Binary => DataType::Binary,
            PrimitiveType::Date => DataType::Date,
            PrimitiveType::Timestamp => DataType::Timestamp {
                unit: TimestampUnit::Microsecond,
                utc: true,
            },
            PrimitiveType::TimestampNtz => DataType::Timestamp {
                unit: TimestampUnit::Microsecond,
                utc: false,
            },
            PrimitiveType::Decimal(decimal) => DataType::Decimal {
                precision: decimal.precision(),
                scale: i8::try_from(decimal.scale())
                    .map_err(|_| self.refuse("a decimal of that scale"))?,
            },
            PrimitiveType::Void
            | PrimitiveType::IntervalYearMonth
            | PrimitiveType::IntervalDayTime => {
                return Err(self.refuse(&format!("type `{primitive}`")));
            }
        })
    }

    fn refuse(&self, what: &str) -> Fault {
        Fault::new(
            ErrorCode::SourceFeatureUnsupported,
            format!(
                "table `{}`, column `{}`: {what} is not supported",
                self.table,
                self.path.join(".")
            ),
        )
    }
}

/// Whether rows written under `old` read the same under `new`, save for columns that they don't have.
pub(crate) fn only_adds(old: &[Field], new: &[Field]) -> bool {
    let kept = old.iter().all(|before| {
        new.iter()
            .find(|after| after.name == before.name)
            .is_some_and(|after| field_only_adds(before, after))
    });
    let added_are_nullable = new
        .iter()
        .filter(|after| old.iter().all(|before| before.name != after.name))
        .all(|after| after.nullable);
    kept && added_are_nullable
}

fn field_only_adds(old: &Field, new: &Field) -> bool {
    let physical = |field: &Field| {
        field
            .physical_name
            .clone()
            .unwrap_or_else(|| field.name.clone())
    };
    let same_column = physical(old) == physical(new);
    // Turning column mapping on gives ids to columns that had none.
    let same_id = old.field_id.is_none() || old.field_id == new.field_id;
    let not_narrower = new.nullable || !old.nullable;
    same_column && same_id && not_narrower && type_only_adds(&old.data_type, &new.data_type)
}

fn type_only_adds(old: &DataType, new: &DataType) -> bool {
    match (old, new) {
        (DataType::Struct(old), DataType::Struct(new)) => only_adds(old, new),
        (DataType::List(old), DataType::List(new)) => field_only_adds(old, new),
        (
            DataType::Map {
                key: old_key,
                value: old_value,
            },
            DataType::Map {
                key: new_key,
                value: new_value,
            },
        ) => type_only_adds(old_key, new_key) && field_only_adds(old_value, new_value),
        (old, new) => old == new,
    }
}

#[cfg(test)]
mod tests {
    use offtake_model::{DataType, Field};

    use super::only_adds;

    fn field(name: &str, data_type: DataType, nullable: bool) -> Field {
        Field::new(name, data_type, nullable)
    }

    #[test]
    fn only_new_nullable_columns_and_wider_nullability_are_additions() {
        let id = field("id", DataType::Int64, false);
        let old = [id.clone()];
        let check = |new: &[Field], expected: bool| assert_eq!(only_adds(&old, new), expected);
        check(&old, true);
        check(&[field("a", DataType::Utf8, true), id.clone()], true);
        check(&[field("a", DataType::Utf8, false), id.clone()], false);
        check(&[field("id", DataType::Int64, true)], true);
        check(&[field("id", DataType::Int32, false)], false);
        check(&[field("ID", DataType::Int64, false)], false);
        check(&[], false);
        let mut renamed = id;
        renamed.physical_name = Some("other".to_owned());
        check(&[renamed], false);
    }

    #[test]
    fn nested_fields_follow_the_same_rule() {
        let list = |fields: Vec<Field>| {
            let element = field("element", DataType::Struct(fields), true);
            [field("items", DataType::List(Box::new(element)), true)]
        };
        let sku = field("sku", DataType::Utf8, true);
        let qty = field("qty", DataType::Int32, true);
        assert!(only_adds(
            &list(vec![sku.clone()]),
            &list(vec![sku.clone(), qty.clone()])
        ));
        assert!(!only_adds(&list(vec![sku.clone(), qty]), &list(vec![sku])));
    }
}
