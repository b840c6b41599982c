//! Instants as shared access signatures write them (ISO 8601 in UTC).
//!
//! The one law: what is not certainly an instant is none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// Reads an instant as signatures hold it: a date, perhaps with a time down to minutes, seconds or fractions, in UTC.
pub(crate) fn read(text: &str) -> Option<SystemTime> {
    let (date, time) = match text.split_once('T') {
        None => (text, "00:00"),
        Some((date, time)) => (date, time.strip_suffix('Z')?),
    };
    let date = numbers(date, '-')?;
    let [year, month, day] = date.as_slice() else {
        return None;
    };
    let (time, _fraction) = time.split_once('.').unwrap_or((time, ""));
    let time = numbers(time, ':')?;
    let (hour, minute, second) = match time.as_slice() {
        [hour, minute] => (*hour, *minute, 0),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    let sound = (1970..=9999).contains(year)
        && (1..=12).contains(month)
        && (1..=31).contains(day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !sound {
        return None;
    }
    let secs = days(*year, *month, *day) * DAY + hour * 3600 + minute * 60 + second;
    Some(UNIX_EPOCH + Duration::from_secs(secs))
}

fn numbers(text: &str, between: char) -> Option<Vec<u64>> {
    let number = |part: &str| {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_digit());
        if digits { part.parse().ok() } else { None }
    };
    text.split(between).map(number).collect()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, which is not before it.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March here, so that a leap day ends its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let before_year = year * 365 + year / 4 - year / 100 + year / 400;
    let before_month = (153 * month + 2) / 5;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    before_year + before_month + day - 1 - 719_468
}

/// Writes an instant, down to seconds. One before 1970 becomes its first.
pub(crate) fn write(instant: SystemTime) -> String {
    let since = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (day, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let (year, month, date) = civil(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date that many days after 1970-01-01: the inverse of [`days`].
const fn civil(days_since: u64) -> (u64, u64, u64) {
    let since_zero = days_since + 719_468;
    let era = since_zero / 146_097;
    let of_era = since_zero % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{civil, days, read, write};

    #[test]
    fn instants_are_read_in_every_documented_form() {
        let secs = |secs| Some(UNIX_EPOCH + Duration::from_secs(secs));
        assert_eq!(read("1970-01-01"), secs(0));
        assert_eq!(read("2000-02-29T23:59:59Z"), secs(951_868_799));
        assert_eq!(read("2026-11-26T06:30Z"), secs(1_795_674_600));
        assert_eq!(read("2026-11-26T06:30:00.1234567Z"), secs(1_795_674_600));
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-11-26T06:30",
            "2026-11-26 06:30",
            "x-y-z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_written_and_read_alike() {
        for day in 0..146_097 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
        let text = "2028-02-29T23:59:58Z";
        assert_eq!(write(read(text).unwrap()), text);
    }
}
