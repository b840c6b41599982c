//! The types in which a file's columns are decoded.
//!
//! Text and bytes come as views, so that a value of a dictionary is held once however many rows have it. The old
//! 96-bit timestamps come in microseconds, because nanoseconds in 64 bits end in the year 2262.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::Type as PhysicalType;
use parquet::schema::types::SchemaDescriptor;

/// The file's schema, as inferred, with the types to decode as.
pub(crate) fn read_as(inferred: &Schema, parquet: &SchemaDescriptor, int96: TimeUnit) -> SchemaRef {
    let mut walk = Walk {
        parquet,
        leaf: 0,
        int96,
    };
    Arc::new(Schema::new(walk.fields(inferred.fields())))
}

/// Visits leaves in the order of the file's columns.
struct Walk<'a> {
    parquet: &'a SchemaDescriptor,
    leaf: usize,
    int96: TimeUnit,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &Fields) -> Fields {
        fields.iter().map(|field| self.field(field)).collect()
    }

    fn field(&mut self, field: &FieldRef) -> FieldRef {
        let data_type = self.data_type(field.data_type());
        Arc::new(Field::clone(field).with_data_type(data_type))
    }

    fn data_type(&mut self, inferred: &DataType) -> DataType {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "every other type is a leaf that is decoded as inferred"
        )]
        match inferred {
            DataType::Struct(members) => DataType::Struct(self.fields(members)),
            DataType::List(element) => DataType::List(self.field(element)),
            DataType::Map(entries, sorted) => DataType::Map(self.field(entries), *sorted),
            leaf => {
                let as_int96 = self.next_is_int96();
                match leaf {
                    DataType::Utf8 => DataType::Utf8View,
                    DataType::Binary => DataType::BinaryView,
                    DataType::Timestamp(TimeUnit::Nanosecond, None) if as_int96 => {
                        DataType::Timestamp(self.int96, None)
                    }
                    other => other.clone(),
                }
            }
        }
    }

    fn next_is_int96(&mut self) -> bool {
        let leaf = self.leaf;
        self.leaf += 1;
        leaf < self.parquet.num_columns()
            && self.parquet.column(leaf).physical_type() == PhysicalType::INT96
    }
}
