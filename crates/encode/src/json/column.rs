//! Columns of one batch, downcast once, from which rows are gathered.
//!
//! Text and bytes are taken in plain, large and view forms alike.

use arrow::array::{
    Array, AsArray, BinaryArray, BinaryViewArray, BooleanArray, LargeBinaryArray, LargeStringArray,
    StringArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow::record_batch::RecordBatch;
use offtake_model::{ErrorCode, Fault};

use crate::json::shape::Shape;
use crate::json::{Lines, number, text, time};

/// A column of a batch.
pub(crate) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    /// Ordinal of its path, when it has no members.
    leaf: u32,
    values: Values<'a>,
}

/// A member of an object: what to write before its value, and its column.
pub(crate) struct MemberColumn<'a> {
    lead: &'a [u8],
    column: Column<'a>,
}

enum Values<'a> {
    Leaf(Leaf<'a>),
    Struct(Vec<MemberColumn<'a>>),
    List(&'a [i32], Box<Column<'a>>),
    Map(&'a [i32], Box<Column<'a>>, Box<Column<'a>>),
}

enum Leaf<'a> {
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    Boolean(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], i32),
    Date(&'a [i32]),
    Timestamp(&'a [i64], time::Style),
}

impl<'a> Column<'a> {
    /// The columns of the batch as members of a row.
    pub(crate) fn of_rows(
        shape: &'a Shape,
        batch: &'a RecordBatch,
    ) -> Result<Vec<MemberColumn<'a>>, Fault> {
        members(shape, batch.columns().iter().map(AsRef::as_ref))
    }

    fn of(shape: &'a Shape, array: &'a dyn Array) -> Result<Self, Fault> {
        Ok(Self {
            nulls: array.nulls(),
            leaf: match shape {
                Shape::Leaf(ordinal) => *ordinal,
                Shape::Struct(_) | Shape::List(_) | Shape::Map(..) => 0,
            },
            values: Values::of(shape, array)?,
        })
    }

    #[inline]
    fn null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    fn write_or_null(&self, row: usize, out: &mut impl Lines) {
        if self.null(row) {
            out.text().extend_from_slice(b"null");
        } else {
            self.write(row, out);
        }
    }

    fn write(&self, row: usize, out: &mut impl Lines) {
        match &self.values {
            Values::Struct(members) => object(members, row, out),
            Values::List(offsets, elements) => {
                out.text().push(b'[');
                for (nth, element) in entries(offsets, row).enumerate() {
                    if nth > 0 {
                        out.text().push(b',');
                    }
                    elements.write_or_null(element, out);
                }
                out.text().push(b']');
            }
            Values::Map(offsets, keys, values) => {
                out.text().push(b'{');
                for (nth, entry) in entries(offsets, row).enumerate() {
                    if nth > 0 {
                        out.text().push(b',');
                    }
                    keys.write_name(entry, out);
                    out.text().push(b':');
                    values.write_or_null(entry, out);
                }
                out.text().push(b'}');
            }
            Values::Leaf(leaf) => {
                let start = out.text().len();
                leaf.write(row, out.text());
                out.leaf(self.leaf, start);
            }
        }
    }

    /// Writes the value as a member's name: quoted, whatever its type.
    fn write_name(&self, row: usize, out: &mut impl Lines) {
        let Values::Leaf(leaf) = &self.values else {
            return;
        };
        let text = out.text();
        let start = text.len();
        leaf.write(row, text);
        if text.get(start) != Some(&b'"') {
            text.insert(start, b'"');
            text.push(b'"');
        }
        out.leaf(self.leaf, start);
    }
}

impl<'a> Values<'a> {
    fn of(shape: &'a Shape, array: &'a dyn Array) -> Result<Self, Fault> {
        match (shape, array.data_type()) {
            (Shape::Leaf(_), data_type) => Ok(Self::Leaf(Leaf::of(array, data_type)?)),
            (Shape::Struct(_), DataType::Struct(_)) => {
                let columns = array.as_struct().columns().iter().map(AsRef::as_ref);
                Ok(Self::Struct(members(shape, columns)?))
            }
            (Shape::List(element), DataType::List(_)) => {
                let list = array.as_list::<i32>();
                let values = Column::of(element, list.values())?;
                Ok(Self::List(list.offsets(), Box::new(values)))
            }
            (Shape::Map(key, value), DataType::Map(_, _)) => {
                let map = array.as_map();
                let keys = map.keys();
                let keys = Column {
                    nulls: None,
                    leaf: *key,
                    values: Values::Leaf(Leaf::of(keys, keys.data_type())?),
                };
                let values = Column::of(value, map.values())?;
                Ok(Self::Map(map.offsets(), Box::new(keys), Box::new(values)))
            }
            (Shape::Struct(_) | Shape::List(_) | Shape::Map(..), other) => Err(unplanned(other)),
        }
    }
}

impl<'a> Leaf<'a> {
    fn of(array: &'a dyn Array, data_type: &DataType) -> Result<Self, Fault> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "batches arrive in the planned types; every other type is a defect alike"
        )]
        Ok(match data_type {
            DataType::Utf8 => Self::Utf8(array.as_string()),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view()),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::LargeBinary => Self::LargeBinary(array.as_binary()),
            DataType::BinaryView => Self::BinaryView(array.as_binary_view()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int8 => Self::Int8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Self::Int16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Self::Int32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::Float32 => Self::Float32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Self::Float64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, scale) => Self::Decimal(
                array.as_primitive::<Decimal128Type>().values(),
                i32::from(*scale),
            ),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(unit, zone) => Self::of_timestamps(array, *unit, zone.is_some())?,
            other => return Err(unplanned(other)),
        })
    }

    fn of_timestamps(array: &'a dyn Array, unit: TimeUnit, utc: bool) -> Result<Self, Fault> {
        let (values, per_second) = match unit {
            TimeUnit::Millisecond => (
                array.as_primitive::<TimestampMillisecondType>().values(),
                1_000,
            ),
            TimeUnit::Microsecond => (
                array.as_primitive::<TimestampMicrosecondType>().values(),
                1_000_000,
            ),
            TimeUnit::Nanosecond => (
                array.as_primitive::<TimestampNanosecondType>().values(),
                1_000_000_000,
            ),
            TimeUnit::Second => return Err(unplanned(array.data_type())),
        };
        Ok(Self::Timestamp(values, time::Style { per_second, utc }))
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Utf8(array) => text::string(array.value(row).as_bytes(), out),
            Self::LargeUtf8(array) => text::string(array.value(row).as_bytes(), out),
            Self::Utf8View(array) => text::string(array.value(row).as_bytes(), out),
            Self::Binary(array) => text::base64(array.value(row), out),
            Self::LargeBinary(array) => text::base64(array.value(row), out),
            Self::BinaryView(array) => text::base64(array.value(row), out),
            Self::Boolean(array) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
            }
            Self::Int8(values) => number::integer(i64::from(values[row]), out),
            Self::Int16(values) => number::integer(i64::from(values[row]), out),
            Self::Int32(values) => number::integer(i64::from(values[row]), out),
            Self::Int64(values) => number::integer(values[row], out),
            Self::Float32(values) => number::float(values[row], out),
            Self::Float64(values) => number::double(values[row], out),
            Self::Decimal(values, scale) => number::decimal(values[row], *scale, out),
            Self::Date(values) => time::date(values[row], out),
            Self::Timestamp(values, style) => time::timestamp(values[row], *style, out),
        }
    }
}

/// Writes the row as an object, without its null members.
pub(crate) fn object(members: &[MemberColumn<'_>], row: usize, out: &mut impl Lines) {
    out.text().push(b'{');
    let start = out.text().len();
    for member in members {
        if member.column.null(row) {
            continue;
        }
        let text = out.text();
        let comma = usize::from(text.len() == start);
        text.extend_from_slice(&member.lead[comma..]);
        member.column.write(row, out);
    }
    out.text().push(b'}');
}

fn members<'a>(
    shape: &'a Shape,
    columns: impl ExactSizeIterator<Item = &'a dyn Array>,
) -> Result<Vec<MemberColumn<'a>>, Fault> {
    let Shape::Struct(members) = shape else {
        return Err(Fault::new(
            ErrorCode::Internal,
            "write rows of another schema than the planned one",
        ));
    };
    if members.len() != columns.len() {
        return Err(Fault::new(
            ErrorCode::Internal,
            format!(
                "write {} columns where {} are planned",
                columns.len(),
                members.len()
            ),
        ));
    }
    let joined = members.iter().zip(columns).map(|(member, array)| {
        Ok(MemberColumn {
            lead: &member.lead,
            column: Column::of(&member.shape, array)?,
        })
    });
    joined.collect()
}

#[inline]
fn entries(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    // Offsets of a valid array ascend from zero.
    offsets[row].cast_unsigned() as usize..offsets[row + 1].cast_unsigned() as usize
}

fn unplanned(data_type: &DataType) -> Fault {
    Fault::new(
        ErrorCode::Internal,
        format!("write a column of type {data_type} where the plan has another"),
    )
}
