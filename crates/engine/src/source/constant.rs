//! Values of columns that stand in the table's log instead of the file (partition columns).
//!
//! The one law: a value that does not parse as the column's type ends the task; it never becomes null.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// Places that an exponent may move the point of a decimal by; no decimal column has more digits.
const EXPONENT_MAX: i32 = 76;

/// One value for every row of a file.
pub(crate) struct Constant {
    /// One element.
    value: ArrayRef,
}

impl Constant {
    /// Parses the value as the log spells it. The empty text is null, of whatever type.
    pub(crate) fn parse(text: Option<&str>, target: &DataType) -> Result<Self, ArrowError> {
        let value = match text.filter(|text| !text.is_empty()) {
            None => new_null_array(target, 1),
            Some(text) => {
                let strict = CastOptions {
                    safe: false,
                    ..CastOptions::default()
                };
                let text = if matches!(target, DataType::Decimal128(_, _)) {
                    plain(text)
                } else {
                    Cow::Borrowed(text)
                };
                let text: ArrayRef = Arc::new(StringArray::from(vec![text.as_ref()]));
                cast_with_options(&text, target, &strict)?
            }
        };
        Ok(Self { value })
    }

    /// The null of that type.
    pub(crate) fn null(target: &DataType) -> Self {
        Self {
            value: new_null_array(target, 1),
        }
    }

    /// The value, that many times.
    pub(crate) fn repeat(&self, rows: usize) -> Result<ArrayRef, ArrowError> {
        if self.value.null_count() == 1 {
            return Ok(new_null_array(self.value.data_type(), rows));
        }
        take(&self.value, &UInt32Array::from(vec![0; rows]), None)
    }
}

/// A decimal without its exponent. Writers on the JVM spell small ones as `1.2E-9` and a zero of ten places as `0E-10`.
/// What is no such number stays as it is.
fn plain(text: &str) -> Cow<'_, str> {
    let expanded = || {
        let (number, exponent) = text.split_once(['e', 'E'])?;
        let exponent: i32 = exponent.parse().ok()?;
        let (sign, number) = match number.strip_prefix('-') {
            Some(number) => ("-", number),
            None => ("", number),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if exponent.abs() > EXPONENT_MAX || whole.is_empty() {
            return None;
        }
        let places = usize::try_from(exponent.unsigned_abs()).ok()?;
        let zeros = "0".repeat(places);
        // Room on the side that the point moves to.
        let (whole, fraction) = if exponent < 0 {
            (format!("{zeros}{whole}"), fraction.to_owned())
        } else {
            (whole.to_owned(), format!("{fraction}{zeros}"))
        };
        let digits = format!("{whole}{fraction}");
        let point = if exponent < 0 {
            whole.len().checked_sub(places)?
        } else {
            whole.len() + places
        };
        let (whole, fraction) = digits.split_at_checked(point)?;
        Some(format!("{sign}{whole}.{fraction}"))
    };
    expanded().map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn shown(text: &str, target: &DataType) -> String {
        let constant = Constant::parse(Some(text), target).unwrap();
        let array = constant.repeat(3).unwrap();
        assert_eq!(array.len(), 3);
        array_value_to_string(&array, 2).unwrap()
    }

    #[test]
    fn every_spelling_of_the_log_is_understood() {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let wall = DataType::Timestamp(TimeUnit::Microsecond, None);
        let cases = [
            ("2024-02-29", DataType::Date32, "2024-02-29"),
            ("-7", DataType::Int8, "-7"),
            ("true", DataType::Boolean, "true"),
            ("1.5", DataType::Float64, "1.5"),
            ("-0.25", DataType::Decimal128(10, 3), "-0.250"),
            ("0E-10", DataType::Decimal128(20, 10), "0.0000000000"),
            ("-1.2E-9", DataType::Decimal128(20, 10), "-0.0000000012"),
            ("1.25E+1", DataType::Decimal128(9, 2), "12.50"),
            ("12e3", DataType::Decimal128(9, 2), "12000.00"),
            ("a b/c", DataType::Utf8View, "a b/c"),
            ("1E-2", DataType::Utf8View, "1E-2"),
            (
                "2024-02-29 01:02:03",
                instant.clone(),
                "2024-02-29T01:02:03Z",
            ),
            (
                "2024-02-29 01:02:03.5",
                instant.clone(),
                "2024-02-29T01:02:03.500Z",
            ),
            (
                "2024-02-29T01:02:03.000004Z",
                instant,
                "2024-02-29T01:02:03.000004Z",
            ),
            ("2024-02-29 01:02:03", wall, "2024-02-29T01:02:03"),
        ];
        for (text, target, expected) in cases {
            assert_eq!(shown(text, &target), expected);
        }
    }

    #[test]
    fn nothing_and_the_empty_text_are_null() {
        for text in [None, Some("")] {
            let constant = Constant::parse(text, &DataType::Utf8).unwrap();
            assert_eq!(constant.repeat(2).unwrap().null_count(), 2);
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for (text, target) in [
            ("tomorrow", DataType::Date32),
            ("300", DataType::Int8),
            ("yes please", DataType::Boolean),
            ("1E", DataType::Decimal128(9, 2)),
            ("E-2", DataType::Decimal128(9, 2)),
            ("1E9", DataType::Decimal128(9, 2)),
            ("1E-9000000000", DataType::Decimal128(9, 2)),
            ("1E2000000000", DataType::Decimal128(9, 2)),
        ] {
            assert!(Constant::parse(Some(text), &target).is_err(), "{text}");
        }
    }
}
