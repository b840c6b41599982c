//! The lines that are expected: arrow-json's, with Spark's forms for what Spark writes otherwise.
//!
//! Rows, objects, arrays, integers, flags and strings are arrow-json's own. Through its hook come null values and other
//! keys than text in maps, base64, dates and timestamps, decimals, and floats, each from another library than the
//! encoder's.

use std::fmt::LowerExp;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, MapArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Float32Type, Float64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder, make_encoder,
};
use arrow::record_batch::RecordBatch;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{Datelike, NaiveDate};

/// Days of 400 years, after which the calendar repeats itself.
const CYCLE_DAYS: i64 = 146_097;

/// Days from the year 0 to 1970, as chrono counts them.
const EPOCH_DAYS: i32 = 719_163;

/// Digits of the longest double.
const DOUBLE_DIGITS: usize = 770;

/// The rows as lines.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<u8> {
    let builder = WriterBuilder::new().with_encoder_factory(Arc::new(AsSpark));
    let mut writer = builder.build::<_, LineDelimited>(Vec::new());
    for batch in batches {
        writer.write(batch).expect("arrow-json takes the rows");
    }
    writer.finish().expect("memory takes what is written to it");
    upper_case_escapes(writer.into_inner())
}

/// Jackson writes `\u001F` where serde writes `\u001f`.
fn upper_case_escapes(mut lines: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while at < lines.len() {
        if lines[at] != b'\\' {
            at += 1;
            continue;
        }
        if lines[at + 1] == b'u' {
            lines[at + 2..at + 6].make_ascii_uppercase();
        }
        at += 2;
    }
    lines
}

#[derive(Debug)]
struct AsSpark;

impl EncoderFactory for AsSpark {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Map(..) => Box::new(Map::of(field, array.as_map(), options)?),
            DataType::Binary => bytes(move |row| array.as_binary::<i32>().value(row)),
            DataType::BinaryView => bytes(move |row| array.as_binary_view().value(row)),
            DataType::Float32 => each::<Float32Type>(array, |value| number(value, value.into())),
            DataType::Float64 => each::<Float64Type>(array, |value| number(value, value)),
            DataType::Decimal128(_, scale) => {
                let scale = i64::from(*scale);
                each::<Decimal128Type>(array, move |value| decimal(value, scale))
            }
            DataType::Date32 => {
                each::<Date32Type>(array, |days| format!("\"{}\"", day(days.into())))
            }
            DataType::Timestamp(unit, zone) => {
                let utc = zone.is_some();
                match unit {
                    TimeUnit::Second => unreachable!("no dataset has seconds"),
                    TimeUnit::Millisecond => {
                        each::<TimestampMillisecondType>(array, move |it| instant(it, 1_000, utc))
                    }
                    TimeUnit::Microsecond => each::<TimestampMicrosecondType>(array, move |it| {
                        instant(it, 1_000_000, utc)
                    }),
                    TimeUnit::Nanosecond => {
                        let per_second = 1_000_000_000;
                        each::<TimestampNanosecondType>(array, move |it| {
                            instant(it, per_second, utc)
                        })
                    }
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// Writes what a function says of a row.
struct Said<F>(F);

impl<F: Fn(usize) -> String> Encoder for Said<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0(row).as_bytes());
    }
}

fn each<'a, T: ArrowPrimitiveType>(
    array: &'a dyn Array,
    say: impl Fn(T::Native) -> String + 'a,
) -> Box<dyn Encoder + 'a> {
    let array = array.as_primitive::<T>();
    Box::new(Said(move |row| say(array.value(row))))
}

fn bytes<'a>(value: impl Fn(usize) -> &'a [u8] + 'a) -> Box<dyn Encoder + 'a> {
    Box::new(Said(move |row| {
        format!("\"{}\"", BASE64_STANDARD.encode(value(row)))
    }))
}

/// An object whose names may be of any plain type, with its nulls.
struct Map<'a> {
    array: &'a MapArray,
    keys: NullableEncoder<'a>,
    values: NullableEncoder<'a>,
}

impl<'a> Map<'a> {
    fn of(
        field: &'a FieldRef,
        array: &'a MapArray,
        options: &'a EncoderOptions,
    ) -> Result<Self, ArrowError> {
        Ok(Self {
            array,
            keys: make_encoder(field, array.keys(), options)?,
            values: make_encoder(field, array.values(), options)?,
        })
    }
}

impl Encoder for Map<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let offsets = self.array.value_offsets();
        let mut lead = b'{';
        for entry in offsets[row] as usize..offsets[row + 1] as usize {
            out.push(lead);
            lead = b',';
            let mut key = Vec::new();
            self.keys.encode(entry, &mut key);
            let quote: &[u8] = if key.starts_with(b"\"") { b"" } else { b"\"" };
            for piece in [quote, &key, quote, b":"] {
                out.extend_from_slice(piece);
            }
            if self.values.is_null(entry) {
                out.extend_from_slice(b"null");
            } else {
                self.values.encode(entry, out);
            }
        }
        if lead == b'{' {
            out.push(lead);
        }
        out.push(b'}');
    }
}

/// `Double.toString`, and `Float.toString`: digits as Rust finds them, two where one would do.
fn number<T: LowerExp + FromStr + PartialEq>(value: T, wide: f64) -> String {
    if wide.is_nan() {
        return "\"NaN\"".to_owned();
    }
    if wide.is_infinite() {
        let sign = if wide < 0.0 { "-" } else { "" };
        return format!("\"{sign}Infinity\"");
    }
    let mut text = even_of_two(&value, format!("{value:e}"));
    if !text.contains('.') {
        let two = format!("{value:.1e}");
        text = if two.parse().is_ok_and(|it: T| it == value) {
            two
        } else {
            text.replace('e', ".0e")
        };
    }
    let (mantissa, exponent) = text.split_once('e').expect("Rust writes an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    if !(-3..7).contains(&exponent) {
        return format!("{mantissa}E{exponent}");
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits.replace('.', "")),
        None => ("", mantissa.replace('.', "")),
    };
    let leading = "0".repeat((-exponent).max(0) as usize);
    let digits = format!("{leading}{digits}{}", "0".repeat(8));
    let (whole, fraction) = digits.split_at(exponent.max(0) as usize + 1);
    let fraction = match fraction.trim_end_matches('0') {
        "" => "0",
        fraction => fraction,
    };
    format!("{sign}{whole}.{fraction}")
}

/// Where the value lies in the middle between two texts of as many digits, Java takes the even one, Rust the other.
fn even_of_two<T: LowerExp + FromStr + PartialEq>(value: &T, text: String) -> String {
    let end = text.find('e').unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(end);
    let Some((rest, last)) = mantissa.split_at_checked(end - 1) else {
        return text;
    };
    let even = match last {
        "1" | "3" | "5" | "7" | "9" => u32::from_str(last).unwrap_or_default() - 1,
        _ => return text,
    };
    let lower = format!("{rest}{even}{exponent}");
    if !lower.parse().is_ok_and(|it: T| it == *value) {
        return text;
    }
    let exact = format!("{value:.DOUBLE_DIGITS$e}");
    let digits = exact.split('e').next().unwrap_or_default();
    if digits.trim_end_matches('0') == format!("{rest}{even}5") {
        lower
    } else {
        text
    }
}

/// `BigDecimal.toString`.
fn decimal(unscaled: i128, scale: i64) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    let exponent = digits.len() as i64 - 1 - scale;
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    if scale > 0 && exponent >= -6 {
        let scale = scale as usize;
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent = match exponent {
        0 => String::new(),
        exponent => format!("E{exponent:+}"),
    };
    format!("{sign}{first}{point}{rest}{exponent}")
}

fn instant(value: i64, per_second: i64, utc: bool) -> String {
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let nanos = format!("{:09}", fraction * (1_000_000_000 / per_second));
    let digits = match nanos.trim_end_matches('0').len() {
        0..=3 => 3,
        4..=6 => 6,
        _ => 9,
    };
    let (day, second) = (day(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let zone = if utc { "Z" } else { "" };
    format!(
        "\"{day}T{hour:02}:{minute:02}:{second:02}.{}{zone}\"",
        &nanos[..digits]
    )
}

/// The day that many days after the epoch, by chrono's calendar, whose reach is shorter.
fn day(days: i64) -> String {
    let (cycles, days) = (days.div_euclid(CYCLE_DAYS), days.rem_euclid(CYCLE_DAYS));
    let date = NaiveDate::from_num_days_from_ce_opt(EPOCH_DAYS + days as i32);
    let date = date.expect("chrono knows this century");
    let year = i64::from(date.year()) + cycles * 400;
    let sign = match year {
        ..0 => "-",
        0..=9_999 => "",
        _ => "+",
    };
    let year = year.unsigned_abs();
    format!("{sign}{year:04}-{:02}-{:02}", date.month(), date.day())
}
