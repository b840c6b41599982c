//! The rows of a demo table, each made from the seed and its number alone.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

/// 2026-01-01T00:00:00Z in microseconds.
const EPOCH_MICROS: i64 = 1_767_225_600_000_000;

/// 2026-01-01 in days since 1970-01-01.
const EPOCH_DAYS: i32 = 20_454;

const DAY_MICROS: i64 = 86_400_000_000;

/// Days that the rows are spread over.
const DAYS: u64 = 7;

const TYPES: [&str; 5] = ["view", "search", "cart", "purchase", "return"];
const GIVEN: [&str; 6] = ["Ada", "Grace", "Zoë", "Søren", "美咲", "Łukasz"];
const FAMILY: [&str; 5] = ["Lovelace", "Hopper", "O'Brien", "Nguyễn", "de la Cruz"];
const CITIES: [(&str, &str); 5] = [
    ("Paris", "FR"),
    ("Köln", "DE"),
    ("São Paulo", "BR"),
    ("東京", "JP"),
    ("New York", "US"),
];

/// A day that rows fall on, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day(Option<u64>);

impl Day {
    /// The day as `2026-01-04`.
    pub(crate) fn text(self) -> Option<String> {
        self.0.map(|day| format!("2026-01-{:02}", day + 1))
    }
}

/// Every day that rows fall on, and the lack of one.
pub(crate) fn days() -> impl Iterator<Item = Day> {
    std::iter::once(Day(None)).chain((0..DAYS).map(|day| Day(Some(day))))
}

/// The day of that row.
pub(crate) fn day_of(row: u64) -> Day {
    Day((row % 100 != 99).then_some(row % DAYS))
}

/// Columns of the data files.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("row_id", DataType::Int64, false),
        Field::new("commit_version", DataType::Int64, false),
        Field::new("event_id", DataType::Utf8, false),
        Field::new("event_type", DataType::Utf8, true),
        Field::new("timestamp", timestamp_type(), true),
        Field::new("person", DataType::Struct(person_fields()), true),
        Field::new("items", DataType::List(item_field()), true),
        Field::new("tags", DataType::Map(tag_field(), false), true),
        Field::new("payload", DataType::Binary, true),
        Field::new("score", DataType::Float64, true),
        Field::new("ratio", DataType::Float32, true),
        Field::new("visits", DataType::Int32, true),
        Field::new("birth_date", DataType::Date32, true),
        Field::new("consent", DataType::Boolean, true),
    ]))
}

fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn address_fields() -> Fields {
    Fields::from(vec![
        Field::new("city", DataType::Utf8, true),
        Field::new("country", DataType::Utf8, true),
        Field::new("postal_code", DataType::Utf8, true),
    ])
}

fn person_fields() -> Fields {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("email", DataType::Utf8, true),
        Field::new("address", DataType::Struct(address_fields()), true),
    ])
}

fn item_fields() -> Fields {
    Fields::from(vec![
        Field::new("sku", DataType::Utf8, true),
        Field::new("qty", DataType::Int32, true),
        Field::new("price", DataType::Decimal128(12, 2), true),
    ])
}

fn item_field() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Struct(item_fields()), true))
}

fn tag_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ])
}

fn tag_field() -> Arc<Field> {
    Arc::new(Field::new(
        "key_value",
        DataType::Struct(tag_fields()),
        false,
    ))
}

/// One row. Fields that a row lacks are null.
struct Event {
    row: u64,
    dice: [u64; 4],
}

impl Event {
    fn new(seed: u64, row: u64) -> Self {
        let mut state = seed ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            row,
            dice: std::array::from_fn(|_| split_mix(&mut state)),
        }
    }

    /// A number below `sides`, from 16 bits of the row's dice.
    fn roll(&self, die: usize, sides: u64) -> u64 {
        let dice = self.dice.get(die / 4).copied().unwrap_or_default();
        (dice >> (die % 4 * 16) & 0xffff) % sides.max(1)
    }

    /// Null once in `every` rows, by a die of its own.
    fn some<T>(&self, die: usize, every: u64, value: T) -> Option<T> {
        (self.roll(die, every) != 0).then_some(value)
    }

    fn signed(&self, die: usize, sides: u64) -> i64 {
        self.roll(die, sides).cast_signed()
    }

    fn pick<T: Copy>(&self, die: usize, from: &[T]) -> Option<T> {
        let at = usize::try_from(self.roll(die, from.len() as u64)).ok()?;
        from.get(at).copied()
    }

    fn id(&self) -> String {
        let [high, low, ..] = self.dice;
        format!("{high:016x}{low:016x}")
    }

    fn timestamp(&self) -> Option<i64> {
        let day = (self.row % DAYS).cast_signed();
        let within = self.dice[1].cast_signed().rem_euclid(DAY_MICROS);
        self.some(0, 50, EPOCH_MICROS + day * DAY_MICROS + within)
    }

    fn person(&self) -> bool {
        self.roll(1, 20) != 0
    }

    fn name(&self) -> Option<String> {
        let (given, family) = (self.pick(2, &GIVEN)?, self.pick(3, &FAMILY)?);
        self.some(4, 30, format!("{given} {family}"))
    }

    fn email(&self) -> Option<String> {
        self.some(5, 10, format!("person{}@example.com", self.roll(6, 5_000)))
    }

    fn city(&self) -> Option<(&'static str, &'static str)> {
        self.pick(7, &CITIES)
    }

    fn items(&self) -> Option<usize> {
        let count = usize::try_from(self.roll(9, 5)).ok()?;
        self.some(8, 15, count)
    }

    fn tags(&self) -> Option<usize> {
        let count = usize::try_from(self.roll(11, 4)).ok()?;
        self.some(10, 12, count)
    }

    fn score(&self) -> Option<f64> {
        let fraction = f64::from(u32::try_from(self.dice[2] >> 32).unwrap_or_default());
        match self.roll(12, 500) {
            0 => Some(f64::NAN),
            1 => Some(f64::NEG_INFINITY),
            2..20 => None,
            _ => Some(fraction / 1024.0 - 1_000_000.0),
        }
    }

    fn ratio(&self) -> Option<f32> {
        let part = u16::try_from(self.roll(13, 10_000)).unwrap_or_default();
        self.some(14, 25, f32::from(part) / 10_000.0)
    }

    fn visits(&self) -> Option<i32> {
        let visits = i32::try_from(self.roll(15, 40_000)).ok()?;
        self.some(13, 40, visits - 1_000)
    }

    fn birth_date(&self) -> Option<i32> {
        let age = i32::try_from(self.roll(4, 30_000)).ok()?;
        self.some(6, 9, EPOCH_DAYS - age)
    }

    fn payload(&self) -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        for (byte, from) in bytes
            .iter_mut()
            .zip(self.dice[3].to_le_bytes().into_iter().cycle())
        {
            *byte = from;
        }
        self.some(3, 5, bytes)
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The rows of those numbers, as brought by that version.
pub(crate) fn batch(seed: u64, version: u64, rows: &[u64]) -> Result<RecordBatch, ArrowError> {
    let events: Vec<Event> = rows.iter().map(|row| Event::new(seed, *row)).collect();
    let each = || events.iter();
    let version = version.cast_signed();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(
            each().map(|it| it.row.cast_signed()),
        )),
        Arc::new(Int64Array::from_iter_values(each().map(|_| version))),
        Arc::new(StringArray::from_iter_values(each().map(Event::id))),
        Arc::new(each().map(|it| it.pick(2, &TYPES)).collect::<StringArray>()),
        Arc::new(
            each()
                .map(Event::timestamp)
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(people(&events)?),
        Arc::new(items(&events)?),
        Arc::new(tags(&events)?),
        Arc::new(each().map(Event::payload).collect::<BinaryArray>()),
        Arc::new(each().map(Event::score).collect::<Float64Array>()),
        Arc::new(each().map(Event::ratio).collect::<Float32Array>()),
        Arc::new(each().map(Event::visits).collect::<Int32Array>()),
        Arc::new(each().map(Event::birth_date).collect::<Date32Array>()),
        Arc::new(
            each()
                .map(|it| it.some(5, 7, it.roll(8, 2) == 0))
                .collect::<BooleanArray>(),
        ),
    ];
    RecordBatch::try_new(schema(), columns)
}

fn people(events: &[Event]) -> Result<StructArray, ArrowError> {
    let postal = |it: &Event| it.some(9, 6, format!("{:05}", it.roll(10, 50_000)));
    let address = StructArray::try_new(
        address_fields(),
        vec![
            Arc::new(
                events
                    .iter()
                    .map(|it| it.city().map(|at| at.0))
                    .collect::<StringArray>(),
            ),
            Arc::new(
                events
                    .iter()
                    .map(|it| it.city().map(|at| at.1))
                    .collect::<StringArray>(),
            ),
            Arc::new(events.iter().map(postal).collect::<StringArray>()),
        ],
        Some(
            events
                .iter()
                .map(|it| it.roll(11, 8) != 0)
                .collect::<NullBuffer>(),
        ),
    )?;
    StructArray::try_new(
        person_fields(),
        vec![
            Arc::new(events.iter().map(Event::name).collect::<StringArray>()),
            Arc::new(events.iter().map(Event::email).collect::<StringArray>()),
            Arc::new(address),
        ],
        Some(events.iter().map(Event::person).collect::<NullBuffer>()),
    )
}

fn items(events: &[Event]) -> Result<ListArray, ArrowError> {
    let lengths: Vec<usize> = events.iter().map(|it| it.items().unwrap_or(0)).collect();
    let all: Vec<(&Event, i64)> = nested(events, &lengths);
    let sku =
        |(it, at): &(&Event, i64)| it.some(1, 25, format!("SKU-{:04}", it.signed(12, 9_000) + at));
    let qty = |(it, at): &(&Event, i64)| i32::try_from(it.signed(13, 9) + at + 1).ok();
    let price = |(it, at): &(&Event, i64)| {
        it.some(14, 30, i128::from(it.signed(15, 60_000) * (at + 1) - 500))
    };
    let values = StructArray::try_new(
        item_fields(),
        vec![
            Arc::new(all.iter().map(sku).collect::<StringArray>()),
            Arc::new(all.iter().map(qty).collect::<Int32Array>()),
            Arc::new(
                all.iter()
                    .map(price)
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(12, 2)?,
            ),
        ],
        None,
    )?;
    ListArray::try_new(
        item_field(),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(values),
        Some(
            events
                .iter()
                .map(|it| it.items().is_some())
                .collect::<NullBuffer>(),
        ),
    )
}

fn tags(events: &[Event]) -> Result<MapArray, ArrowError> {
    let lengths: Vec<usize> = events.iter().map(|it| it.tags().unwrap_or(0)).collect();
    let all = nested(events, &lengths);
    let value = |(it, at): &(&Event, i64)| {
        it.some(
            7,
            9,
            format!("v{} \"quoted\" \\ \u{1f41f}", it.signed(0, 99) + at),
        )
    };
    let entries = StructArray::try_new(
        tag_fields(),
        vec![
            Arc::new(StringArray::from_iter_values(
                all.iter().map(|(_, at)| format!("tag{at}")),
            )),
            Arc::new(all.iter().map(value).collect::<StringArray>()),
        ],
        None,
    )?;
    MapArray::try_new(
        tag_field(),
        OffsetBuffer::from_lengths(lengths),
        entries,
        Some(
            events
                .iter()
                .map(|it| it.tags().is_some())
                .collect::<NullBuffer>(),
        ),
        false,
    )
}

/// Each event as often as its length says, with a count from 0.
fn nested<'a>(events: &'a [Event], lengths: &[usize]) -> Vec<(&'a Event, i64)> {
    events
        .iter()
        .zip(lengths)
        .flat_map(|(event, length)| std::iter::repeat_n(event, *length).zip(0..))
        .collect()
}
