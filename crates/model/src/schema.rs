//! The logical schema of a dataset, free of any table library's types.

use serde::{Deserialize, Serialize};

/// The columns of a dataset, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Top-level columns.
    pub fields: Vec<Field>,
}

/// A named value of a row or of a struct.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The logical name, as a reader of the export sees it.
    pub name: String,
    /// The logical type.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Whether nulls may occur.
    pub nullable: bool,
    /// The name in the data files where it differs from `name` (column mapping).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_name: Option<String>,
    /// The Parquet field id to match by, where the table maps columns by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_id: Option<i32>,
}

impl Field {
    /// A field found in the data files under its own name.
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Self {
            name: name.into(),
            data_type,
            nullable,
            physical_name: None,
            field_id: None,
        }
    }
}

/// A logical type. Integers are signed, text is UTF-8, decimals have at most 38 digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 8 bits.
    Int8,
    /// 16 bits.
    Int16,
    /// 32 bits.
    Int32,
    /// 64 bits.
    Int64,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// UTF-8 text.
    Utf8,
    /// Bytes.
    Binary,
    /// A day of the proleptic Gregorian calendar.
    Date,
    /// An instant, or with `utc` false a wall-clock reading without a zone.
    Timestamp {
        /// The finest difference told apart.
        unit: TimestampUnit,
        /// Whether the value is an instant in UTC.
        utc: bool,
    },
    /// A decimal number.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Named fields.
    Struct(Vec<Field>),
    /// A list; the field describes the element.
    List(Box<Field>),
    /// A map; keys are never null.
    Map {
        /// Type of the keys.
        key: Box<Self>,
        /// The values.
        value: Box<Field>,
    },
}

/// The finest difference a timestamp tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimestampUnit {
    /// 1/1,000 s.
    Millisecond,
    /// 1/1,000,000 s.
    Microsecond,
    /// 1/1,000,000,000 s.
    Nanosecond,
}
