//! Dates and timestamps of the proleptic Gregorian calendar.
//!
//! Years have at least four digits; beyond 9999 they carry a plus sign, before year 0 a minus sign.

use crate::json::number;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SHIFT: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;
const SECONDS_PER_DAY: i64 = 86_400;

/// How timestamps of a column are written.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Units of a second: 1,000, 1,000,000 or 1,000,000,000.
    pub(crate) per_second: i64,
    /// Whether the value is an instant, marked by `Z`.
    pub(crate) utc: bool,
}

/// Writes `"yyyy-MM-dd"`.
pub(crate) fn date(days: i32, out: &mut Vec<u8>) {
    out.push(b'"');
    day(i64::from(days), out);
    out.push(b'"');
}

/// Writes `"yyyy-MM-ddTHH:mm:ss.SSS"`, with six or nine fraction digits where the value needs them.
pub(crate) fn timestamp(value: i64, style: Style, out: &mut Vec<u8>) {
    let seconds = value.div_euclid(style.per_second);
    let fraction = value.rem_euclid(style.per_second) * (1_000_000_000 / style.per_second);
    out.push(b'"');
    day(seconds.div_euclid(SECONDS_PER_DAY), out);
    let second = seconds.rem_euclid(SECONDS_PER_DAY).cast_unsigned();
    out.push(b'T');
    number::pair(second / 3600, out);
    out.push(b':');
    number::pair(second / 60 % 60, out);
    out.push(b':');
    number::pair(second % 60, out);
    out.push(b'.');
    let nanos = fraction.cast_unsigned();
    if nanos.is_multiple_of(1_000_000) {
        number::padded(nanos / 1_000_000, 3, out);
    } else if nanos.is_multiple_of(1_000) {
        number::padded(nanos / 1_000, 6, out);
    } else {
        number::padded(nanos, 9, out);
    }
    if style.utc {
        out.push(b'Z');
    }
    out.push(b'"');
}

/// Writes the day that many days after 1970-01-01: civil date from days, counting years from March.
fn day(days: i64, out: &mut Vec<u8>) {
    let shifted = days + EPOCH_SHIFT;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if year > 9_999 {
        out.push(b'+');
    }
    if year < 0 {
        out.push(b'-');
    }
    number::padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    number::pair(month.cast_unsigned(), out);
    out.push(b'-');
    number::pair(day.cast_unsigned(), out);
}
