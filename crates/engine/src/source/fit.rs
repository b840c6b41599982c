//! The way from a file's column to the planned one, decided once per file.
//!
//! Columns are matched by field id, then by physical name, then by name; members of structs alike. What the file
//! lacks is null. Types are only ever widened, save that small integers may lie in a file as plain 32-bit ones: one that
//! does not fit its column ends the task.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, MapArray, StructArray, new_null_array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field as ArrowField, FieldRef, Fields, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use offtake_model::{DataType as Planned, Field};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

/// What becomes of a decoded column.
#[derive(Debug)]
pub(crate) enum Fit {
    /// It stays as it is.
    Same,
    /// It is converted to that type.
    Cast(DataType),
    /// Its instants are cut to a coarser unit of that many ticks, towards the past: before 1970, too.
    Floor(i64, DataType),
    /// It has a type without values, and becomes nulls of that type.
    Null(DataType),
    /// Its members are picked one by one.
    Struct(Vec<Member>, Fields),
    /// Its elements are fitted.
    List(Box<Self>, FieldRef),
    /// Its values are fitted; keys and values keep their order.
    Map(Box<Self>, Box<Self>, FieldRef),
}

/// Where a member of a planned struct comes from.
#[derive(Debug)]
pub(crate) enum Member {
    /// From the file's member of that ordinal.
    Found(usize, Fit),
    /// From nowhere.
    Missing(DataType),
}

/// The ordinal of the file's column for the planned one.
pub(crate) fn find(planned: &Field, columns: &Fields) -> Option<usize> {
    let by_id = planned.field_id.and_then(|id| {
        columns
            .iter()
            .position(|column| field_id(column) == Some(id))
    });
    let name = planned.physical_name.as_ref().unwrap_or(&planned.name);
    by_id.or_else(|| {
        columns.iter().position(|column| {
            // A column that carries another id is another column, whatever its name.
            let other = planned.field_id.is_some() && field_id(column).is_some();
            column.name() == name && !other
        })
    })
}

impl Fit {
    /// Decides how a column of the file becomes the planned one, whose Arrow type is `target`.
    /// The error says what does not fit, as a fragment.
    pub(crate) fn new(
        found: &DataType,
        planned: &Planned,
        target: &DataType,
    ) -> Result<Self, String> {
        if *found == DataType::Null {
            return Ok(Self::Null(target.clone()));
        }
        match (planned, found, target) {
            (Planned::Struct(members), DataType::Struct(columns), DataType::Struct(targets)) => {
                let picked = members
                    .iter()
                    .zip(targets)
                    .map(|(member, target)| Member::new(member, columns, target));
                Ok(Self::Struct(
                    picked.collect::<Result<_, _>>()?,
                    targets.clone(),
                ))
            }
            (Planned::List(element), DataType::List(column), DataType::List(target)) => {
                let fit = Self::new(column.data_type(), &element.data_type, target.data_type())?;
                Ok(Self::List(Box::new(fit), Arc::clone(target)))
            }
            (Planned::Map { key, value }, DataType::Map(found, _), DataType::Map(target, _)) => {
                let ([found_key, found_value], [target_key, target_value]) =
                    (entries(found)?, entries(target)?);
                let keys = Self::new(found_key.data_type(), key, target_key.data_type())?;
                let values = Self::new(
                    found_value.data_type(),
                    &value.data_type,
                    target_value.data_type(),
                )?;
                Ok(Self::Map(
                    Box::new(keys),
                    Box::new(values),
                    Arc::clone(target),
                ))
            }
            (Planned::Struct(_) | Planned::List(_) | Planned::Map { .. }, _, _) => {
                Err(format!("it is {found} in the file, {target} in the table"))
            }
            _ if found == target => Ok(Self::Same),
            _ if coarser(found, target).is_some() => Ok(Self::Floor(
                coarser(found, target).unwrap_or(1),
                target.clone(),
            )),
            _ if widens(found, target) => Ok(Self::Cast(target.clone())),
            _ => Err(format!("it is {found} in the file, {target} in the table")),
        }
    }

    /// The column as planned.
    pub(crate) fn apply(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Same => Ok(Arc::clone(column)),
            Self::Cast(target) => {
                let strict = CastOptions {
                    safe: false,
                    ..CastOptions::default()
                };
                cast_with_options(column, target, &strict)
            }
            Self::Floor(ticks, target) => {
                let found = cast(column, &DataType::Int64)?;
                let found = found.as_primitive::<Int64Type>();
                let floored: Int64Array = found.unary(|instant| instant.div_euclid(*ticks));
                cast(&floored, target)
            }
            Self::Null(target) => Ok(new_null_array(target, column.len())),
            Self::Struct(members, fields) => {
                let found = column.as_struct();
                let picked = members
                    .iter()
                    .map(|member| member.pick(found))
                    .collect::<Result<Vec<_>, _>>()?;
                let nulls = found.nulls().cloned();
                let rebuilt =
                    StructArray::try_new_with_length(fields.clone(), picked, nulls, found.len());
                Ok(Arc::new(rebuilt?))
            }
            Self::List(fit, element) => {
                let found = column.as_list::<i32>();
                let values = fit.apply(found.values())?;
                let (element, offsets) = (Arc::clone(element), found.offsets().clone());
                let rebuilt = ListArray::try_new(element, offsets, values, found.nulls().cloned());
                Ok(Arc::new(rebuilt?))
            }
            Self::Map(keys, values, entries) => {
                let found = column.as_map();
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(ArrowError::SchemaError("a map without entries".to_owned()));
                };
                let columns = vec![keys.apply(found.keys())?, values.apply(found.values())?];
                let rebuilt = MapArray::try_new(
                    Arc::clone(entries),
                    found.offsets().clone(),
                    StructArray::try_new(fields.clone(), columns, None)?,
                    found.nulls().cloned(),
                    false,
                );
                Ok(Arc::new(rebuilt?))
            }
        }
    }
}

impl Member {
    fn new(planned: &Field, columns: &Fields, target: &ArrowField) -> Result<Self, String> {
        let found = find(planned, columns).and_then(|nth| Some((nth, columns.get(nth)?)));
        let Some((nth, column)) = found else {
            return Ok(Self::Missing(target.data_type().clone()));
        };
        let fit = Fit::new(column.data_type(), &planned.data_type, target.data_type());
        let fit = fit.map_err(|reason| format!("member {}: {reason}", planned.name))?;
        Ok(Self::Found(nth, fit))
    }

    fn pick(&self, found: &StructArray) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Found(nth, fit) => fit.apply(found.column(*nth)),
            Self::Missing(data_type) => Ok(new_null_array(data_type, found.len())),
        }
    }
}

fn field_id(column: &ArrowField) -> Option<i32> {
    column
        .metadata()
        .get(PARQUET_FIELD_ID_META_KEY)?
        .parse()
        .ok()
}

fn entries(map: &ArrowField) -> Result<[&FieldRef; 2], String> {
    if let DataType::Struct(members) = map.data_type()
        && let [key, value] = members.as_ref()
    {
        return Ok([key, value]);
    }
    Err("it is a map without keys and values".to_owned())
}

/// Ticks of the found unit in one of the target's, when the target tells less apart.
const fn coarser(found: &DataType, target: &DataType) -> Option<i64> {
    let (DataType::Timestamp(found, _), DataType::Timestamp(target, _)) = (found, target) else {
        return None;
    };
    match (found, target) {
        (TimeUnit::Nanosecond, TimeUnit::Microsecond)
        | (TimeUnit::Microsecond, TimeUnit::Millisecond) => Some(1_000),
        (TimeUnit::Nanosecond, TimeUnit::Millisecond) => Some(1_000_000),
        _ => None,
    }
}

/// Whether every value of one type has its like in the other.
/// What only the values can tell, such as text in bytes, is checked as they are converted.
fn widens(found: &DataType, target: &DataType) -> bool {
    use DataType as T;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the types that widen are listed; no other does"
    )]
    match found {
        T::Dictionary(_, value) => value.as_ref() == target || widens(value, target),
        T::Int8 | T::UInt8 => matches!(
            target,
            T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(_, _)
        ),
        T::Int16 | T::UInt16 => matches!(
            target,
            T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(_, _)
        ),
        // Some writers leave out that a 32-bit column holds smaller integers; each value is checked.
        T::Int32 => matches!(
            target,
            T::Int8 | T::Int16 | T::Int64 | T::Float64 | T::Decimal128(_, _)
        ),
        T::UInt32 => matches!(target, T::Int64 | T::Float64 | T::Decimal128(_, _)),
        T::Int64 | T::UInt64 => matches!(target, T::Decimal128(_, _)),
        T::Float16 => matches!(target, T::Float32 | T::Float64),
        T::Float32 => matches!(target, T::Float64),
        T::Date32 | T::Timestamp(_, _) => matches!(target, T::Timestamp(_, _)),
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Binary | T::LargeBinary | T::BinaryView => {
            matches!(target, T::Utf8 | T::Utf8View | T::Binary | T::BinaryView)
        }
        T::FixedSizeBinary(_) => matches!(target, T::Binary | T::BinaryView),
        T::Decimal32(_, from) | T::Decimal64(_, from) | T::Decimal128(_, from) => {
            matches!(target, T::Decimal128(_, to) if from <= to)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Int32Array, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    };
    use offtake_model::schema::TimestampUnit;

    use super::*;

    fn fit(found: &DataType, planned: &Planned, target: &DataType) -> Result<Fit, String> {
        Fit::new(found, planned, target)
    }

    #[test]
    fn narrowing_is_refused_with_both_types() {
        let reason = fit(&DataType::Int64, &Planned::Int32, &DataType::Int32).unwrap_err();
        assert_eq!(reason, "it is Int64 in the file, Int32 in the table");
        let utc = Planned::Timestamp {
            unit: TimestampUnit::Microsecond,
            utc: true,
        };
        let target = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert!(fit(&DataType::Utf8, &utc, &target).is_err());
    }

    #[test]
    fn a_column_without_a_type_is_null() {
        let found: ArrayRef = Arc::new(arrow::array::NullArray::new(3));
        for (planned, target) in [
            (Planned::Utf8, DataType::Utf8View),
            (
                Planned::Struct(Vec::new()),
                DataType::Struct(Fields::empty()),
            ),
        ] {
            let fit = fit(found.data_type(), &planned, &target).unwrap();
            let fitted = fit.apply(&found).unwrap();
            assert_eq!((fitted.data_type(), fitted.null_count()), (&target, 3));
        }
    }

    #[test]
    fn members_are_picked_by_name_widened_and_added() {
        let found = StructArray::from(vec![
            (
                Arc::new(ArrowField::new("gone", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef,
            ),
            (
                Arc::new(ArrowField::new("n", DataType::Int32, true)),
                Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
            ),
        ]);
        let planned = Planned::Struct(vec![
            Field::new("new", Planned::Utf8, true),
            Field::new("n", Planned::Int64, true),
        ]);
        let target = DataType::Struct(Fields::from(vec![
            ArrowField::new("new", DataType::Utf8, true),
            ArrowField::new("n", DataType::Int64, true),
        ]));
        let fit = Fit::new(found.data_type(), &planned, &target).unwrap();
        let fitted = fit.apply(&(Arc::new(found) as ArrayRef)).unwrap();
        assert_eq!(fitted.data_type(), &target);
        assert_eq!(fitted.as_struct().column(0).null_count(), 2);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        assert_eq!(fitted.as_struct().column(1), &numbers);
    }

    #[test]
    fn ids_stand_above_names() {
        let with_id = |name: &str, id: &str| {
            let key = PARQUET_FIELD_ID_META_KEY.to_owned();
            ArrowField::new(name, DataType::Utf8, true).with_metadata([(key, id.to_owned())].into())
        };
        let columns = Fields::from(vec![with_id("a", "7"), with_id("b", "8")]);
        let mut planned = Field::new("a", Planned::Utf8, true);
        assert_eq!(find(&planned, &columns), Some(0));
        planned.field_id = Some(8);
        assert_eq!(find(&planned, &columns), Some(1));
        planned.field_id = Some(9);
        assert_eq!(find(&planned, &columns), None);
        planned.field_id = None;
        planned.physical_name = Some("b".to_owned());
        assert_eq!(find(&planned, &columns), Some(1));
    }

    #[test]
    fn instants_before_1970_are_cut_towards_the_past() {
        let planned = Planned::Timestamp {
            unit: TimestampUnit::Microsecond,
            utc: true,
        };
        let target = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let found: ArrayRef = Arc::new(
            TimestampNanosecondArray::from(vec![Some(-1), Some(-1_000), None, Some(1_999)])
                .with_timezone("UTC"),
        );
        let fit = Fit::new(found.data_type(), &planned, &target).unwrap();
        let expected = TimestampMicrosecondArray::from(vec![Some(-1), Some(-1), None, Some(1)])
            .with_timezone("UTC");
        assert_eq!(fit.apply(&found).unwrap().as_ref(), &expected as &dyn Array);
    }

    #[test]
    fn small_integers_may_lie_in_a_plain_column_if_they_fit() {
        let fit = Fit::new(&DataType::Int32, &Planned::Int8, &DataType::Int8).unwrap();
        let of = |number| -> ArrayRef { Arc::new(Int32Array::from(vec![number])) };
        assert!(fit.apply(&of(-128)).is_ok());
        assert!(fit.apply(&of(128)).is_err());
    }
}
