//! Reads `scheduleParams` into a schedule and the form that is echoed.

use offtake_model::resource::Object;
use offtake_model::{ErrorCode, ExportMode, Fault, Millis, Schedule, TimeUnit};
use serde_json::Value;

use crate::naming::FolderTemplate;

/// From here on a number of seconds is taken for one of milliseconds (contract, 6.2).
const LOOKS_LIKE_MILLIS: i64 = 100_000_000_000;

/// Hours that may lie between runs (contract, 16).
const HOURS: [i64; 6] = [3, 6, 8, 9, 12, 24];

const ALLOWED: &str = "allowed are timeUnit hour with interval 3, 6, 8, 9, 12 or 24, timeUnit day with interval 1, \
    both with exportMode FIRST_FULL_THEN_INCREMENTAL, and once: timeUnit day with interval 0 and exportMode DAILY_FULL_EXPORT";

/// What `scheduleParams` say.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// The parameters as given, with numbers as numbers and documented spellings; echoed by reads.
    pub echo: Object,
    /// The folder template, checked, when one was given.
    pub folder_template: Option<String>,
}

/// Reads and checks `scheduleParams`. Unknown keys are kept in the echo and mean nothing.
pub fn parse(params: &Value) -> Result<ParsedSchedule, Fault> {
    let Value::Object(given) = params else {
        return Err(invalid("`scheduleParams` must be an object"));
    };
    let mut echo = given.clone();
    let time_unit = time_unit(&mut echo)?;
    let interval = whole_number(&mut echo, "interval")?
        .ok_or_else(|| invalid("`scheduleParams.interval` is required: a whole number"))?;
    let export_mode = export_mode(&mut echo)?;
    let interval = checked_interval(interval, time_unit, export_mode)?;
    let start = instant(&mut echo, "startTime")?.ok_or_else(|| {
        invalid("`scheduleParams.startTime` is required: seconds since 1970-01-01T00:00:00Z")
    })?;
    let end = instant(&mut echo, "endTime")?;
    if let Some(end) = end.filter(|end| *end <= start) {
        return Err(invalid(format!(
            "`scheduleParams.endTime` must be after `startTime` {}, got {}",
            start.secs(),
            end.secs()
        )));
    }
    let folder_template = folder_template(&mut echo)?;
    Ok(ParsedSchedule {
        schedule: Schedule {
            export_mode: export_mode.unwrap_or(ExportMode::FirstFullThenIncremental),
            interval,
            time_unit,
            start,
            end,
        },
        echo,
        folder_template,
    })
}

fn checked_interval(interval: i64, unit: TimeUnit, mode: Option<ExportMode>) -> Result<u32, Fault> {
    let incremental = mode != Some(ExportMode::DailyFullExport);
    let allowed = match unit {
        TimeUnit::Hour => incremental && HOURS.contains(&interval),
        TimeUnit::Day if incremental => interval == 1,
        TimeUnit::Day => interval == 0,
    };
    let unit = match unit {
        TimeUnit::Hour => "hour",
        TimeUnit::Day => "day",
    };
    let mode = match mode {
        None => "absent, which means FIRST_FULL_THEN_INCREMENTAL",
        Some(ExportMode::FirstFullThenIncremental) => "FIRST_FULL_THEN_INCREMENTAL",
        Some(ExportMode::DailyFullExport) => "DAILY_FULL_EXPORT",
    };
    u32::try_from(interval)
        .ok()
        .filter(|_| allowed)
        .ok_or_else(|| {
            Fault::new(
                ErrorCode::ScheduleInvalid,
                format!(
                    "`scheduleParams` has timeUnit {unit}, interval {interval}, exportMode {mode}; {ALLOWED}"
                ),
            )
        })
}

fn time_unit(echo: &mut Object) -> Result<TimeUnit, Fault> {
    let unit = word(echo, "timeUnit", str::to_ascii_lowercase)?;
    match unit.as_deref() {
        Some("hour") => Ok(TimeUnit::Hour),
        Some("day") => Ok(TimeUnit::Day),
        Some(other) => Err(Fault::new(
            ErrorCode::ScheduleInvalid,
            format!(
                "`scheduleParams.timeUnit` is {}; {ALLOWED}",
                crate::validate::quoted(other)
            ),
        )),
        None => Err(invalid(
            "`scheduleParams.timeUnit` is required: hour or day",
        )),
    }
}

fn export_mode(echo: &mut Object) -> Result<Option<ExportMode>, Fault> {
    let mode = word(echo, "exportMode", str::to_ascii_uppercase)?;
    match mode.as_deref() {
        None => Ok(None),
        Some("DAILY_FULL_EXPORT") => Ok(Some(ExportMode::DailyFullExport)),
        Some("FIRST_FULL_THEN_INCREMENTAL") => Ok(Some(ExportMode::FirstFullThenIncremental)),
        Some(other) => Err(Fault::new(
            ErrorCode::ScheduleInvalid,
            format!(
                "`scheduleParams.exportMode` is {}; {ALLOWED}",
                crate::validate::quoted(other)
            ),
        )),
    }
}

/// Takes either documented spelling; the echo keeps one (contract, 16).
fn folder_template(echo: &mut Object) -> Result<Option<String>, Fault> {
    let same = |text: &str| text.to_owned();
    let other = word(echo, "folderNameTemplate", same)?;
    echo.remove("folderNameTemplate");
    let template = match (word(echo, "foldernameTemplate", same)?, other) {
        (Some(one), Some(other)) if one != other => {
            return Err(invalid(
                "`scheduleParams.foldernameTemplate` and `folderNameTemplate` differ; send one of them",
            ));
        }
        (one, other) => one.or(other),
    };
    let Some(template) = template else {
        return Ok(None);
    };
    FolderTemplate::parse(&template).map_err(|fault| {
        Fault::new(
            fault.code,
            format!("`scheduleParams.foldernameTemplate`: {}", fault.message),
        )
    })?;
    echo.insert(
        "foldernameTemplate".to_owned(),
        Value::String(template.clone()),
    );
    Ok(Some(template))
}

/// Takes a text and writes its normal form back into the echo. Null is absent.
fn word(
    echo: &mut Object,
    key: &str,
    normal: impl Fn(&str) -> String,
) -> Result<Option<String>, Fault> {
    match echo.get_mut(key) {
        None => Ok(None),
        Some(Value::Null) => {
            echo.remove(key);
            Ok(None)
        }
        Some(Value::String(text)) => {
            *text = normal(text);
            Ok(Some(text.clone()))
        }
        Some(_) => Err(invalid(format!("`scheduleParams.{key}` must be a text"))),
    }
}

/// Takes a whole number, also one written as text, and writes it back as a number. Null is absent.
fn whole_number(echo: &mut Object, key: &str) -> Result<Option<i64>, Fault> {
    let Some(given) = echo.get(key) else {
        return Ok(None);
    };
    if given.is_null() {
        echo.remove(key);
        return Ok(None);
    }
    let number = match given {
        Value::Number(number) => number.as_i64().or_else(|| whole_float(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let number = number.ok_or_else(|| {
        invalid(format!(
            "`scheduleParams.{key}` must be a whole number, got {}",
            crate::validate::shown(given)
        ))
    })?;
    echo.insert(key.to_owned(), Value::from(number));
    Ok(Some(number))
}

/// A float such as `3.0`, which JSON does not tell from `3`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range below is exact in both types"
)]
fn whole_float(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

fn instant(echo: &mut Object, key: &str) -> Result<Option<Millis>, Fault> {
    let Some(seconds) = whole_number(echo, key)? else {
        return Ok(None);
    };
    if seconds >= LOOKS_LIKE_MILLIS {
        return Err(invalid(format!(
            "`scheduleParams.{key}` is {seconds}, which looks like milliseconds; send seconds, such as {}",
            seconds / 1_000
        )));
    }
    if seconds < 1 {
        return Err(invalid(format!(
            "`scheduleParams.{key}` must be seconds after 1970-01-01T00:00:00Z, got {seconds}"
        )));
    }
    Ok(Some(Millis::from_secs(seconds)))
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
