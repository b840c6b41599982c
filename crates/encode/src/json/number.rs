//! Numbers in Java's notation: integers, the shortest floats that read back the same, decimals with their scale.

use std::io::Write;

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Digits of the largest 128-bit number.
const DIGITS_MAX: usize = 39;

/// Below this a float may have so few bits that one digit identifies it, where Java writes two.
const TINY_DOUBLE: f64 = 1e-300;
const TINY_FLOAT: f32 = 1e-37;

/// Room for any float as text.
const FLOAT_TEXT_MAX: usize = 40;

/// Writes the number.
#[inline]
pub(crate) fn integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let digits = Digits::of(value.unsigned_abs());
    out.extend_from_slice(digits.as_slice());
}

/// Writes two digits of a number below 100.
#[inline]
pub(crate) fn pair(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&two_digits(value));
}

/// Writes the number with leading zeros up to that width.
#[inline]
pub(crate) fn padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let digits = Digits::of(value);
    zeros(width.saturating_sub(digits.as_slice().len()), out);
    out.extend_from_slice(digits.as_slice());
}

/// Writes an unscaled value and its scale as `BigDecimal.toString` does: plainly, unless the scale is negative or the
/// first digit stands behind the sixth place.
pub(crate) fn decimal(unscaled: i128, scale: i32, out: &mut Vec<u8>) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let digits = Digits::of_wide(unscaled.unsigned_abs());
    let digits = digits.as_slice();
    let Ok(places) = usize::try_from(scale) else {
        return scientific_decimal(digits, scale, out);
    };
    if places == 0 {
        out.extend_from_slice(digits);
        return;
    }
    if places > digits.len() + 5 {
        return scientific_decimal(digits, scale, out);
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    out.push(b'.');
    zeros(places - fraction.len(), out);
    out.extend_from_slice(fraction);
}

/// Writes the number as `Double.toString` does; what JSON has no number for, in quotes.
#[inline]
pub(crate) fn double(value: f64, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    if (1e-3..1e7).contains(&magnitude) || value == 0.0 {
        shortest(&value, out);
    } else if magnitude.is_finite() {
        let tiny = (magnitude < TINY_DOUBLE)
            .then(|| format!("{value:.1e}"))
            .filter(|text| text.parse() == Ok(value));
        scientific(&value, tiny, out);
    } else {
        not_finite(value, out);
    }
}

/// Writes the number as `Float.toString` does; what JSON has no number for, in quotes.
#[inline]
pub(crate) fn float(value: f32, out: &mut Vec<u8>) {
    let magnitude = f64::from(value).abs();
    if (1e-3..1e7).contains(&magnitude) || value == 0.0 {
        shortest(&value, out);
    } else if magnitude.is_finite() {
        let tiny = (value.abs() < TINY_FLOAT)
            .then(|| format!("{value:.1e}"))
            .filter(|text| text.parse() == Ok(value));
        scientific(&value, tiny, out);
    } else {
        not_finite(f64::from(value), out);
    }
}

fn not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    });
}

/// Writes the fewest digits that read back as the same number.
#[inline]
fn shortest<T: serde::Serialize>(value: &T, mut out: impl Write) {
    let written = serde_json::to_writer(&mut out, value);
    debug_assert!(written.is_ok(), "memory takes what is written to it");
}

/// Writes `d.dddE±n` from the shortest digits, or from `two_digits` where there is only one.
#[cold]
fn scientific<T: serde::Serialize>(value: &T, two_digits: Option<String>, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(FLOAT_TEXT_MAX);
    shortest(value, &mut text);
    let mut parts = Scientific::parse(&text);
    if parts.digits.len() == 1
        && let Some(two_digits) = two_digits
    {
        parts = Scientific::parse(two_digits.as_bytes());
    }
    if parts.negative {
        out.push(b'-');
    }
    let (first, rest) = parts.digits.split_at(1.min(parts.digits.len()));
    out.extend_from_slice(first);
    out.push(b'.');
    out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
    out.push(b'E');
    integer(parts.exponent, out);
}

/// A float's text, taken apart.
struct Scientific {
    negative: bool,
    /// Significant digits, without zeros at either end.
    digits: Vec<u8>,
    /// Of the first digit.
    exponent: i64,
}

impl Scientific {
    fn parse(text: &[u8]) -> Self {
        let negative = text.first() == Some(&b'-');
        let mantissa_end = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, tail) = text.split_at(mantissa_end.unwrap_or(text.len()));
        let written: i64 = tail
            .get(1..)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_default();
        let mut digits = Vec::with_capacity(mantissa.len());
        let mut point = None;
        let mut leading_zeros = 0;
        for byte in mantissa {
            match byte {
                b'.' => point = Some(digits.len() + leading_zeros),
                b'0' if digits.is_empty() => leading_zeros += 1,
                b'0'..=b'9' => digits.push(*byte),
                _ => {}
            }
        }
        let whole = point.unwrap_or(digits.len() + leading_zeros);
        let exponent = written + to_i64(whole) - to_i64(leading_zeros) - 1;
        let significant = digits.iter().rposition(|digit| *digit != b'0');
        digits.truncate(significant.map_or(0, |last| last + 1));
        Self {
            negative,
            digits,
            exponent,
        }
    }
}

#[cold]
fn scientific_decimal(digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    let (first, rest) = digits.split_at(1.min(digits.len()));
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    let exponent = to_i64(rest.len()) - i64::from(scale);
    if exponent != 0 {
        out.push(b'E');
        if exponent > 0 {
            out.push(b'+');
        }
        integer(exponent, out);
    }
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn zeros(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b'0');
}

#[inline]
fn two_digits(value: u64) -> [u8; 2] {
    let at = (value % 100) as usize * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Decimal digits of a number, written from the right end of a buffer.
struct Digits {
    buffer: [u8; DIGITS_MAX],
    start: usize,
}

impl Digits {
    #[inline]
    fn of(value: u64) -> Self {
        let mut digits = Self {
            buffer: [b'0'; DIGITS_MAX],
            start: DIGITS_MAX,
        };
        digits.prepend(value);
        digits
    }

    #[inline]
    fn of_wide(value: u128) -> Self {
        const CHUNK: u128 = 10_u128.pow(19);
        if let Ok(small) = u64::try_from(value) {
            return Self::of(small);
        }
        let mut digits = Self {
            buffer: [b'0'; DIGITS_MAX],
            start: DIGITS_MAX,
        };
        let mut rest = value;
        let mut chunk_end = DIGITS_MAX;
        while rest >= CHUNK {
            digits.prepend(u64::try_from(rest % CHUNK).unwrap_or_default());
            rest /= CHUNK;
            chunk_end -= 19;
            digits.start = chunk_end;
        }
        digits.prepend(u64::try_from(rest).unwrap_or_default());
        digits
    }

    #[inline]
    fn prepend(&mut self, value: u64) {
        let mut rest = value;
        while rest >= 100 {
            self.start -= 2;
            self.buffer[self.start..self.start + 2].copy_from_slice(&two_digits(rest));
            rest /= 100;
        }
        let [tens, ones] = two_digits(rest);
        self.start -= 1;
        self.buffer[self.start] = ones;
        if rest >= 10 {
            self.start -= 1;
            self.buffer[self.start] = tens;
        }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_written_as_java_does() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.000_999_9, "9.999E-4"),
            (5.27e-4, "5.27E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-1.5e10, "-1.5E10"),
            (123_456_789.125, "1.23456789125E8"),
            (1e23, "1.0E23"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (1e-323, "9.9E-324"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| double(value, out)), expected);
        }
    }

    #[test]
    fn floats_are_written_as_java_does() {
        let cases = [
            (0.1, "0.1"),
            (1e10, "1.0E10"),
            (0.772_194_27, "0.77219427"),
            (5.27e-4, "5.27E-4"),
            (16_777_216.0, "1.6777216E7"),
            (f32::MAX, "3.4028235E38"),
            (1e-45, "1.4E-45"),
            (f32::INFINITY, "\"Infinity\""),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| float(value, out)), expected);
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        let cases = [
            (71_050_000, 4, "7105.0000"),
            (-5, 2, "-0.05"),
            (0, 2, "0.00"),
            (0, 6, "0.000000"),
            (0, 7, "0E-7"),
            (1, 6, "0.000001"),
            (12, 10, "1.2E-9"),
            (1, 10, "1E-10"),
            (123, -2, "1.23E+4"),
            (
                99_999_999_999_999_999_999_999_999_999_999_999_999,
                38,
                "0.99999999999999999999999999999999999999",
            ),
            (
                10_000_000_000_000_000_000_000_000_000_000_000_001,
                0,
                "10000000000000000000000000000000000001",
            ),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        ];
        for (unscaled, scale, expected) in cases {
            assert_eq!(text(|out| decimal(unscaled, scale, out)), expected);
        }
    }

    #[test]
    fn integers_reach_both_ends() {
        for value in [0, 9, 10, 99, 100, 12_345, i64::MAX, i64::MIN, -1] {
            assert_eq!(text(|out| integer(value, out)), value.to_string());
        }
    }
}
