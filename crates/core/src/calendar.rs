//! Civil dates of instants, in UTC, in the proleptic Gregorian calendar.
//!
//! It knows no zones, no leap seconds and no clock; schedules and names need no more.
//!
//! The one law: [`Civil::at`] and [`Civil::millis`] undo each other.

use offtake_model::Millis;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01. Years begin in March here, so that the leap day is a year's last.
const EPOCH_SHIFT: i64 = 719_468;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A date and a time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Year; 0 is 1 BC.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
    /// Hour, 0 to 23.
    pub hour: u32,
    /// Minute, 0 to 59.
    pub minute: u32,
    /// Second, 0 to 59.
    pub second: u32,
    /// Millisecond, 0 to 999.
    pub milli: u32,
}

impl Civil {
    /// The date and time of an instant.
    pub fn at(instant: Millis) -> Self {
        let (year, month, day) = date_of(instant.0.div_euclid(MILLIS_PER_DAY));
        let millis = instant.0.rem_euclid(MILLIS_PER_DAY);
        let part = |unit: i64, count: i64| u32::try_from(millis / unit % count).unwrap_or_default();
        Self {
            year,
            month,
            day,
            hour: part(3_600_000, 24),
            minute: part(60_000, 60),
            second: part(1_000, 60),
            milli: part(1, 1_000),
        }
    }

    /// The instant of this date and time; fields beyond their ranges carry over.
    pub fn millis(self) -> Millis {
        let days = days_of(self.year, self.month, self.day);
        let seconds =
            (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        Millis(
            days.saturating_mul(MILLIS_PER_DAY)
                .saturating_add(seconds * 1_000 + i64::from(self.milli)),
        )
    }
}

/// The minute of an instant as `YYYYMMDDHHMM`, as folders are named (contract, 7.1).
pub fn export_time(instant: Millis) -> String {
    let it = Civil::at(instant);
    format!(
        "{:04}{:02}{:02}{:02}{:02}",
        it.year, it.month, it.day, it.hour, it.minute
    )
}

/// The instant as RFC 3339 in UTC: `2026-11-23T01:00:00Z`, with three more digits when it has milliseconds.
pub fn rfc3339(instant: Millis) -> String {
    let it = Civil::at(instant);
    let fraction = match it.milli {
        0 => String::new(),
        milli => format!(".{milli:03}"),
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}Z",
        it.year, it.month, it.day, it.hour, it.minute, it.second
    )
}

/// The instant that [`rfc3339`] writes in just these words, without milliseconds.
pub fn second(text: &str) -> Option<Millis> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let instant = Civil {
        year: i64::from(number(0, 4)?),
        month: number(5, 7)?,
        day: number(8, 10)?,
        hour: number(11, 13)?,
        minute: number(14, 16)?,
        second: number(17, 19)?,
        milli: 0,
    }
    .millis();
    (rfc3339(instant) == text).then_some(instant)
}

/// The day of an instant as `YYYY-MM-DD`.
pub fn date(instant: Millis) -> String {
    let it = Civil::at(instant);
    format!("{:04}-{:02}-{:02}", it.year, it.month, it.day)
}

/// The second of an instant as HTTP headers have it: `Mon, 23 Nov 2026 01:00:00 GMT`.
pub fn http_date(instant: Millis) -> String {
    let it = Civil::at(instant);
    let day = instant.0.div_euclid(MILLIS_PER_DAY).rem_euclid(7);
    let named = |names: &[&'static str], place: i64| {
        usize::try_from(place)
            .ok()
            .and_then(|place| names.get(place))
            .copied()
            .unwrap_or_default()
    };
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        // The first day of 1970 was a Thursday.
        named(&["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"], day),
        it.day,
        named(&MONTHS, i64::from(it.month) - 1),
        it.year,
        it.hour,
        it.minute,
        it.second
    )
}

/// Year, month and day of a day counted from 1970-01-01.
fn date_of(days: i64) -> (i64, u32, u32) {
    let shifted = days + EPOCH_SHIFT;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (
        year,
        u32::try_from(month).unwrap_or_default(),
        u32::try_from(day).unwrap_or_default(),
    )
}

/// The day counted from 1970-01-01.
fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let march_year = year - i64::from(month <= 2);
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let march_month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_SHIFT
}

#[cfg(test)]
mod tests {
    use offtake_model::Millis;
    use proptest::prelude::*;

    use super::{Civil, date, export_time, http_date, rfc3339, second};

    const YEAR_1: i64 = -62_135_596_800_000;
    const YEAR_10000: i64 = 253_402_300_800_000;

    fn leap(year: i64) -> bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    fn month_length(year: i64, month: u32) -> i64 {
        match month {
            2 if leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Counts years and months one by one.
    fn slow_date(mut days: i64) -> (i64, u32, u32) {
        let mut year = 1970;
        while days < 0 {
            year -= 1;
            days += 365 + i64::from(leap(year));
        }
        while days >= 365 + i64::from(leap(year)) {
            days -= 365 + i64::from(leap(year));
            year += 1;
        }
        let mut month = 1;
        while days >= month_length(year, month) {
            days -= month_length(year, month);
            month += 1;
        }
        (year, month, u32::try_from(days).unwrap() + 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn dates_agree_with_counting_and_lead_back(millis in YEAR_1..YEAR_10000) {
            let it = Civil::at(Millis(millis));
            let day = millis.div_euclid(86_400_000);
            prop_assert_eq!((it.year, it.month, it.day), slow_date(day));
            let of_day = millis - day * 86_400_000;
            prop_assert_eq!(
                of_day,
                i64::from(it.hour) * 3_600_000 + i64::from(it.minute) * 60_000
                    + i64::from(it.second) * 1_000 + i64::from(it.milli)
            );
            prop_assert_eq!(it.millis(), Millis(millis));
        }

        #[test]
        fn every_instant_has_a_date(millis in any::<i64>()) {
            let it = Civil::at(Millis(millis));
            prop_assert!((1..=12).contains(&it.month) && (1..=31).contains(&it.day));
        }
    }

    #[test]
    fn month_and_century_ends_are_right() {
        for (text, millis) in [
            ("0001-01-01T00:00:00Z", YEAR_1),
            ("9999-12-31T23:59:59.999Z", YEAR_10000 - 1),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
            ("2023-02-09T00:06:50Z", 1_675_901_210_000),
        ] {
            assert_eq!(rfc3339(Millis(millis)), text);
        }
    }

    #[test]
    fn folder_minutes_and_days_have_fixed_width() {
        assert_eq!(export_time(Millis(1_675_901_210_000)), "202302090006");
        assert_eq!(date(Millis(1_675_901_210_000)), "2023-02-09");
        assert_eq!(export_time(Millis(YEAR_1)), "000101010000");
    }
    #[test]
    fn only_what_is_written_just_so_is_read_back() {
        let text = "2026-09-21T14:13:20Z";
        assert_eq!(second(text), Some(Millis(1_790_000_000_000)));
        for other in [
            "",
            "2026-09-21T14:13:20",
            "2026-09-21T14:13:20.000Z",
            "2026-09-21 14:13:20Z",
            "2026-09-31T14:13:20Z",
            "2026-09-21T14:13:60Z",
            "2026-13-21T14:13:20Z",
            "2026-00-21T14:13:20Z",
            "+026-09-21T14:13:20Z",
            "2026-09-21T14:13:20+00:00",
            "é026-09-21T14:13:20Z",
        ] {
            assert_eq!(second(other), None, "{other}");
        }
    }

    #[test]
    fn a_date_in_a_header_has_its_day_of_the_week() {
        for (text, millis) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 999),
            ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("Thu, 09 Feb 2023 00:06:50 GMT", 1_675_901_210_000),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400_000),
        ] {
            assert_eq!(http_date(Millis(millis)), text);
        }
    }
}
