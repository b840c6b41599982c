//! Arrays of a given type and length, null where they may be.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BinaryViewArray, BooleanArray, ListArray, MapArray,
    PrimitiveArray, StringArray, StringViewArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};

use crate::choices::Choices;

/// An array of that type.
pub(crate) fn array(
    choices: &mut Choices<'_>,
    data_type: &DataType,
    nullable: bool,
    rows: usize,
) -> ArrayRef {
    let nulls = if nullable { nulls(choices, rows) } else { None };
    match data_type {
        DataType::Struct(members) if members.is_empty() => {
            Arc::new(StructArray::new_empty_fields(rows, nulls))
        }
        DataType::Struct(members) => {
            let columns = members.iter().map(|member| {
                let nullable = member.is_nullable();
                array(choices, member.data_type(), nullable, rows)
            });
            let columns = columns.collect();
            Arc::new(StructArray::new(members.clone(), columns, nulls))
        }
        DataType::List(element) => {
            let (offsets, count) = offsets(choices, rows);
            let nullable = element.is_nullable();
            let values = array(choices, element.data_type(), nullable, count);
            Arc::new(ListArray::new(Arc::clone(element), offsets, values, nulls))
        }
        DataType::Map(entries, sorted) => {
            let (offsets, count) = offsets(choices, rows);
            let members = array(choices, entries.data_type(), false, count);
            let members = members.as_any().downcast_ref::<StructArray>();
            let members = members.expect("entries are structs").clone();
            let entries = Arc::clone(entries);
            Arc::new(MapArray::new(entries, offsets, members, nulls, *sorted))
        }
        leaf => leaves(choices, leaf, nulls, rows),
    }
}

fn leaves(
    choices: &mut Choices<'_>,
    data_type: &DataType,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> ArrayRef {
    match data_type {
        DataType::Boolean => {
            let values = (0..rows).map(|_| choices.once_in(2)).collect();
            Arc::new(BooleanArray::new(values, nulls))
        }
        DataType::Int8 => primitive::<Int8Type>(rows, nulls, |_| integer(choices) as i8),
        DataType::Int16 => primitive::<Int16Type>(rows, nulls, |_| integer(choices) as i16),
        DataType::Int32 => primitive::<Int32Type>(rows, nulls, |_| integer(choices) as i32),
        DataType::Int64 => primitive::<Int64Type>(rows, nulls, |_| integer(choices)),
        DataType::Float32 => primitive::<Float32Type>(rows, nulls, |_| float(choices)),
        DataType::Float64 => primitive::<Float64Type>(rows, nulls, |_| double(choices)),
        DataType::Date32 => primitive::<Date32Type>(rows, nulls, |_| integer(choices) as i32),
        DataType::Decimal128(precision, scale) => {
            let bound = 10_i128.pow(u32::from(*precision));
            let values = (0..rows).map(|_| unscaled(choices) % bound);
            let array = PrimitiveArray::<Decimal128Type>::new(values.collect(), nulls);
            let array = array.with_precision_and_scale(*precision, *scale);
            Arc::new(array.expect("the schema's own precision and scale"))
        }
        DataType::Timestamp(unit, zone) => {
            macro_rules! timestamps {
                ($kind:ty) => {{
                    let values = (0..rows).map(|_| instant(choices)).collect();
                    let array = PrimitiveArray::<$kind>::new(values, nulls);
                    Arc::new(array.with_timezone_opt(zone.clone()))
                }};
            }
            match unit {
                TimeUnit::Second | TimeUnit::Millisecond => timestamps!(TimestampMillisecondType),
                TimeUnit::Microsecond => timestamps!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => timestamps!(TimestampNanosecondType),
            }
        }
        _ => texts(choices, data_type, nulls, rows),
    }
}

fn texts(
    choices: &mut Choices<'_>,
    data_type: &DataType,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> ArrayRef {
    let texts: Vec<String> = (0..rows).map(|_| choices.text()).collect();
    // Bytes that are no text.
    let bytes = |text: &String| -> Vec<u8> { text.bytes().map(|it| it.rotate_left(3)).collect() };
    match data_type {
        DataType::Utf8 => {
            let (offsets, values, _) = StringArray::from(texts).into_parts();
            Arc::new(StringArray::new(offsets, values, nulls))
        }
        DataType::Utf8View => {
            let array: StringViewArray = texts.iter().map(Some).collect();
            let (views, buffers, _) = array.into_parts();
            Arc::new(StringViewArray::new(views, buffers, nulls))
        }
        DataType::Binary => {
            let array = BinaryArray::from_iter_values(texts.iter().map(bytes));
            let (offsets, values, _) = array.into_parts();
            Arc::new(BinaryArray::new(offsets, values, nulls))
        }
        DataType::BinaryView => {
            let array = BinaryViewArray::from_iter_values(texts.iter().map(bytes));
            let (views, buffers, _) = array.into_parts();
            Arc::new(BinaryViewArray::new(views, buffers, nulls))
        }
        other => unreachable!("{other} is no type of a dataset"),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    rows: usize,
    nulls: Option<NullBuffer>,
    value: impl FnMut(usize) -> T::Native,
) -> ArrayRef {
    let values = (0..rows).map(value).collect();
    Arc::new(PrimitiveArray::<T>::new(values, nulls))
}

fn nulls(choices: &mut Choices<'_>, rows: usize) -> Option<NullBuffer> {
    let once_in = choices.one_of(&[0, 1, 2, 2, 5, 30]);
    (once_in > 0).then(|| (0..rows).map(|_| !choices.once_in(once_in)).collect())
}

/// Offsets of so many lists, the first of which may begin behind the first element; and the elements they need.
fn offsets(choices: &mut Choices<'_>, rows: usize) -> (OffsetBuffer<i32>, usize) {
    let skipped = choices.one_of(&[0, 0, 0, 1, 7]);
    let mut end = choices.take_room(skipped);
    let mut offsets = vec![end as i32];
    for _ in 0..rows {
        let asked = match choices.within(0..=20) {
            0..=5 => 0,
            20 => choices.within(0..=60),
            few => few % 4 + 1,
        };
        end += choices.take_room(asked);
        offsets.push(end as i32);
    }
    (OffsetBuffer::new(offsets.into()), end)
}

/// An integer, whose lower bits are one of a smaller type.
fn integer(choices: &mut Choices<'_>) -> i64 {
    match choices.within(0..=7) {
        0 => 0,
        1..=3 => choices.within(0..=300) as i64 - 20,
        4 => power_of_ten(choices) as i64 - choices.within(0..=2) as i64,
        5 => choices.one_of(&[i64::MIN, i64::MAX, -128, 0x7FFF_FFFF, 0x8000, -1]),
        6 => (choices.word() >> choices.within(0..=63)) as i64,
        _ => choices.word() as i64,
    }
}

fn power_of_ten(choices: &mut Choices<'_>) -> i128 {
    10_i128.pow(choices.within(0..=38) as u32)
}

fn unscaled(choices: &mut Choices<'_>) -> i128 {
    let wide = i128::from(choices.word() as i64) << 64 | i128::from(choices.word());
    match choices.within(0..=4) {
        0 => i128::from(integer(choices)),
        1 => power_of_ten(choices) - choices.within(0..=2) as i128,
        2 => -power_of_ten(choices),
        3 => wide >> choices.within(0..=127),
        _ => wide,
    }
}

/// A timestamp of any unit, mostly with a round fraction.
fn instant(choices: &mut Choices<'_>) -> i64 {
    let value = integer(choices);
    let unit = choices.one_of(&[1, 1_000, 1_000_000, 1_000_000_000, 86_400_000]);
    let value = value.wrapping_mul(unit);
    if choices.once_in(2) {
        // Of this century, in milliseconds or microseconds.
        return 1_750_000_000_860 * choices.one_of(&[1, 1_000, 1_000_000]) + value % 1_000_000_000;
    }
    value
}

fn double(choices: &mut Choices<'_>) -> f64 {
    let magnitude = match choices.within(0..=8) {
        0 => choices.one_of(&[0.0, 1e-3, 1e7, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE]),
        1 => choices.within(0..=300) as f64,
        2 => choices.within(0..=100_000) as f64 / 100.0,
        3 => f64::from_bits(choices.word() >> choices.within(12..=63)),
        4 => decimal_power(choices, 330),
        5 => {
            let near = choices.one_of(&[1e-3_f64, 1e7, 1e-300, 1e16, 1e21]);
            f64::from_bits(near.to_bits() + choices.within(0..=4) as u64 - 2)
        }
        6 => f64::from(float(choices)),
        _ => f64::from_bits(choices.word()),
    };
    if choices.once_in(3) {
        -magnitude
    } else {
        magnitude
    }
}

fn float(choices: &mut Choices<'_>) -> f32 {
    let magnitude = match choices.within(0..=6) {
        0 => choices.one_of(&[0.0, 1e-3, 1e7, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE]),
        1 => choices.within(0..=100_000) as f32 / 100.0,
        2 => f32::from_bits((choices.word() as u32) >> choices.within(8..=31)),
        3 => decimal_power(choices, 46) as f32,
        4 => {
            let near = choices.one_of(&[1e-3_f32, 1e7, 1e-37, 16_777_216.0]);
            f32::from_bits(near.to_bits() + choices.within(0..=4) as u32 - 2)
        }
        _ => f32::from_bits(choices.word() as u32),
    };
    if choices.once_in(3) {
        -magnitude
    } else {
        magnitude
    }
}

/// One digit and an exponent up to that.
fn decimal_power(choices: &mut Choices<'_>, exponent_max: usize) -> f64 {
    let digit = choices.within(1..=9);
    let exponent = choices.within(0..=exponent_max * 2) as i64 - exponent_max as i64;
    format!("{digit}e{exponent}").parse().unwrap_or_default()
}
