//! Partition columns that the names of folders carry, as Hive writes them: `day=2026-11-25`.
//!
//! The one law: a column's type holds every value that any folder's name gives it.

use std::collections::BTreeSet;

use offtake_model::schema::TimestampUnit;
use offtake_model::{DataType, ErrorCode, Fault, Field, FolderFile, Schema};

use crate::path;
use crate::root::TableDir;

/// How Hive spells a null in a folder's name.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition columns of a folder.
pub(super) struct Partitions {
    columns: Vec<(String, DataType)>,
}

impl Partitions {
    /// Reads keys off all files, whose types are those of what was delivered before, or else inferred over all values.
    pub(super) fn infer(
        table: &TableDir,
        files: &[FolderFile],
        known: Option<&Schema>,
    ) -> Result<Self, Fault> {
        let Some(first) = files.first() else {
            return Ok(Self {
                columns: Vec::new(),
            });
        };
        let keys = keys_of(table, first);
        let mut values = vec![BTreeSet::new(); keys.len()];
        for file in files {
            let found = values_of(table, file);
            if found.len() != keys.len() || found.iter().zip(&keys).any(|(it, key)| it.0 != *key) {
                return Err(conflict(
                    file,
                    &format!(
                        "its folders have the partition keys [{}], those of `{}` have [{}]",
                        keys_of(table, file).join(", "),
                        first.path,
                        keys.join(", ")
                    ),
                ));
            }
            for ((_, value), all) in found.into_iter().zip(&mut values) {
                all.extend(value);
            }
        }
        let columns = keys
            .into_iter()
            .zip(values)
            .map(|(key, values)| {
                let before = known.and_then(|known| known.fields.iter().find(|it| it.name == key));
                let data_type = match before {
                    Some(field) => field.data_type.clone(),
                    None => infer(&values),
                };
                (key, data_type)
            })
            .collect();
        Ok(Self { columns })
    }

    /// The columns, any of which may be null.
    pub(super) fn columns(&self) -> Vec<Field> {
        self.columns
            .iter()
            .map(|(name, data_type)| Field::new(name, data_type.clone(), true))
            .collect()
    }

    /// The file's values of the columns.
    pub(super) fn constants(
        &self,
        table: &TableDir,
        file: &FolderFile,
    ) -> Result<Vec<(String, Option<String>)>, Fault> {
        values_of(table, file)
            .into_iter()
            .zip(&self.columns)
            .map(|((key, value), (_, data_type))| {
                let Some(value) = value else {
                    return Ok((key, None));
                };
                let spelled = spelled(&value, data_type).ok_or_else(|| {
                    conflict(
                        file,
                        &format!(
                            "its folder's value of `{key}` does not fit the type {} delivered before",
                            super::merge::name_of(data_type)
                        ),
                    )
                })?;
                Ok((key, Some(spelled)))
            })
            .collect()
    }
}

fn conflict(file: &FolderFile, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::SourceSchemaConflict,
        format!("source file `{}` cannot be taken in: {reason}", file.path),
    )
}

fn keys_of(table: &TableDir, file: &FolderFile) -> Vec<String> {
    values_of(table, file)
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

/// Keys and values in the names of the file's folders below the dataset's. An empty value is a null, too.
fn values_of(table: &TableDir, file: &FolderFile) -> Vec<(String, Option<String>)> {
    let below = file.path.strip_prefix(&table.path).unwrap_or(&file.path);
    let folders = below.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders
        .split('/')
        .filter_map(|name| name.split_once('='))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| {
            let value = decoded(value);
            let value = Some(value).filter(|it| it != NULL && !it.is_empty());
            (decoded(key), value)
        })
        .collect()
}

/// Percent signs that encode nothing stand for themselves, as writers leave them.
fn decoded(text: &str) -> String {
    path::percent_decode(text).unwrap_or_else(|_| text.to_owned())
}

/// The narrowest type that holds all the values.
fn infer(values: &BTreeSet<String>) -> DataType {
    let timestamp = DataType::Timestamp {
        unit: TimestampUnit::Microsecond,
        utc: false,
    };
    [DataType::Int64, DataType::Date, timestamp]
        .into_iter()
        .find(|it| !values.is_empty() && values.iter().all(|value| spelled(value, it).is_some()))
        .unwrap_or(DataType::Utf8)
}

/// The value as a reader of constants expects it, when it is one of the type.
fn spelled(value: &str, data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Utf8 => Some(value.to_owned()),
        DataType::Int64 => value.parse::<i64>().ok().map(|number| number.to_string()),
        DataType::Date => date(value).then(|| value.to_owned()),
        DataType::Timestamp { .. } => timestamp(value).then(|| value.to_owned()),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Float32
        | DataType::Float64
        | DataType::Binary
        | DataType::Decimal { .. }
        | DataType::Struct(_)
        | DataType::List(_)
        | DataType::Map { .. } => None,
    }
}

/// `YYYY-MM-DD`, a day that exists.
fn date(text: &str) -> bool {
    let mut parts = text.split('-').map(|part| {
        let digits = part.bytes().all(|it| it.is_ascii_digit());
        (part.len(), part.parse::<u32>().ok().filter(|_| digits))
    });
    let (Some((4, Some(year))), Some((2, Some(month))), Some((2, Some(day))), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `YYYY-MM-DD HH:MM:SS`, with up to six digits of a second's fraction.
fn timestamp(text: &str) -> bool {
    let Some((day, clock)) = text.split_once([' ', 'T']) else {
        return false;
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':').map(|part| {
        let digits = part.len() == 2 && part.bytes().all(|it| it.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| digits)
    });
    let (Some(Some(0..24)), Some(Some(0..60)), Some(Some(0..60)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    date(day) && (1..=6).contains(&fraction.len()) && fraction.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_type_that_holds_every_value_is_taken() {
        let of = |values: &[&str]| infer(&values.iter().map(|it| (*it).to_owned()).collect());
        let timestamp = DataType::Timestamp {
            unit: TimestampUnit::Microsecond,
            utc: false,
        };
        assert_eq!(of(&["1", "-20", "007"]), DataType::Int64);
        assert_eq!(of(&["1", "x"]), DataType::Utf8);
        assert_eq!(of(&["9223372036854775808"]), DataType::Utf8);
        assert_eq!(of(&["2024-02-29", "1999-12-31"]), DataType::Date);
        assert_eq!(of(&["2023-02-29"]), DataType::Utf8);
        assert_eq!(of(&["2024-02-29", "1"]), DataType::Utf8);
        assert_eq!(of(&["2024-02-29 23:59:59.5"]), timestamp);
        assert_eq!(of(&["2024-02-29 24:00:00"]), DataType::Utf8);
        assert_eq!(of(&[]), DataType::Utf8);
    }

    #[test]
    fn numbers_are_spelled_without_padding() {
        assert_eq!(spelled("007", &DataType::Int64).as_deref(), Some("7"));
        assert_eq!(spelled("x", &DataType::Int64), None);
    }
}
