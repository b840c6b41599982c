//! Values of columns that stand in the table's log instead of the file (partition columns).
//!
//! The one law: a value that does not parse as the column's type ends the task; it never becomes null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

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
                let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
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
            ("a b/c", DataType::Utf8View, "a b/c"),
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
        ] {
            assert!(Constant::parse(Some(text), &target).is_err(), "{text}");
        }
    }
}
