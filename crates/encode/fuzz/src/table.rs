//! Tables of every type that the encoder takes, in the forms in which batches arrive.
//!
//! Slots under a null hold values, lists and batches begin anywhere in their buffers: what valid arrays may do.

use arrow::record_batch::RecordBatch;
use offtake_encode::schema::{Form, to_arrow_as};
use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, Field, Schema};

use crate::arrays::array;
use crate::choices::Choices;

/// Structs, lists and maps within each other.
const DEPTH_MAX: usize = 3;

/// Values of the rows that are pushed again and again, at most.
const CELLS_MAX: usize = 60_000;

/// A table, as the batches that are pushed one after the other.
pub(crate) fn batches(choices: &mut Choices<'_>) -> Vec<RecordBatch> {
    let schema = Schema {
        fields: fields(choices, 1..=6, 0),
    };
    let form = choices.one_of(&[Form::Plain, Form::Views]);
    let rows = match choices.within(0..=31) {
        0..=2 => choices.within(0..=2),
        3..=27 => choices.within(1..=10),
        28..=30 => choices.within(1..=80),
        _ => choices.within(1..=1_000),
    };
    let whole = batch(choices, &schema, form, rows);
    let mut batches = divided(choices, &whole);
    let cells = (rows * schema.fields.len()).max(100);
    let times = match choices.within(0..=63) {
        0..=55 => 1,
        56..=62 => choices.within(1..=8),
        _ => choices.within(1..=200),
    };
    let times = times.min(CELLS_MAX / cells).max(1);
    let once = batches.clone();
    for _ in 1..times {
        batches.extend_from_slice(&once);
    }
    batches
}

fn batch(choices: &mut Choices<'_>, schema: &Schema, form: Form, rows: usize) -> RecordBatch {
    let schema = to_arrow_as(schema, form);
    let columns = schema.fields().iter().map(|field| {
        let nullable = field.is_nullable();
        array(choices, field.data_type(), nullable, rows)
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).expect("every column has its type")
}

/// The rows in slices; some may be lost at either end.
fn divided(choices: &mut Choices<'_>, whole: &RecordBatch) -> Vec<RecordBatch> {
    let mut rest = whole.clone();
    let mut slices = Vec::new();
    for _ in 0..choices.one_of(&[0, 0, 1, 3]) {
        let rows = choices.within(0..=rest.num_rows());
        let skipped = choices.within(0..=3).min(rows);
        slices.push(rest.slice(skipped, rows - skipped));
        rest = rest.slice(rows, rest.num_rows() - rows);
    }
    slices.push(rest);
    slices
}

fn fields(
    choices: &mut Choices<'_>,
    count: std::ops::RangeInclusive<usize>,
    depth: usize,
) -> Vec<Field> {
    let count = choices.within(count);
    let field = |nth| {
        let name = match choices.within(0..=3) {
            0 => format!("{}{nth}", choices.text()),
            _ => format!("member_{nth}"),
        };
        let data_type = data_type(choices, depth);
        Field::new(name, data_type, !choices.once_in(4))
    };
    (0..count).map(field).collect()
}

fn data_type(choices: &mut Choices<'_>, depth: usize) -> DataType {
    if depth == DEPTH_MAX {
        return leaf(choices);
    }
    match choices.within(0..=9) {
        0 => DataType::Struct(fields(choices, 0..=3, depth + 1)),
        1 => {
            let element = data_type(choices, depth + 1);
            DataType::List(Box::new(Field::new(
                "element",
                element,
                !choices.once_in(4),
            )))
        }
        2 => {
            let value = data_type(choices, depth + 1);
            DataType::Map {
                key: Box::new(leaf(choices)),
                value: Box::new(Field::new("value", value, !choices.once_in(4))),
            }
        }
        _ => leaf(choices),
    }
}

fn leaf(choices: &mut Choices<'_>) -> DataType {
    match choices.within(0..=14) {
        0 => DataType::Boolean,
        1 => DataType::Int8,
        2 => DataType::Int16,
        3 => DataType::Int32,
        4 => DataType::Int64,
        5 => DataType::Float32,
        6 => DataType::Float64,
        7 => DataType::Binary,
        8 => DataType::Date,
        9 | 10 => DataType::Timestamp {
            unit: choices.one_of(&[
                TimestampUnit::Millisecond,
                TimestampUnit::Microsecond,
                TimestampUnit::Nanosecond,
            ]),
            utc: choices.once_in(2),
        },
        11 => {
            let precision = u8::try_from(choices.within(1..=38)).unwrap_or(38);
            let places = choices.within(0..=usize::from(precision));
            let scale = i8::try_from(places).unwrap_or_default();
            DataType::Decimal {
                precision,
                scale: if choices.once_in(8) { -scale } else { scale },
            }
        }
        _ => DataType::Utf8,
    }
}
