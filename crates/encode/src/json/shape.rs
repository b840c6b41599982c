//! What can be known of the rows before the first one: member names, escaped, and types.

use offtake_model::{DataType, ErrorCode, Fault, Field, Schema};

use crate::json::text;

/// How a value is written.
pub(crate) enum Shape {
    /// A value without members, and the ordinal of its path among all such.
    Leaf(u32),
    /// An object.
    Struct(Vec<Member>),
    /// An array.
    List(Box<Self>),
    /// An object whose names are data: their ordinal, and its values.
    Map(u32, Box<Self>),
}

/// A named member of an object.
pub(crate) struct Member {
    /// Comma, quoted name and colon.
    pub(crate) lead: Box<[u8]>,
    /// Its value.
    pub(crate) shape: Shape,
}

impl Default for Shape {
    fn default() -> Self {
        Self::Struct(Vec::new())
    }
}

impl Shape {
    /// The shape of the schema's rows.
    pub(crate) fn of_rows(schema: &Schema) -> Result<Self, Fault> {
        Self::of_members(&schema.fields, &mut 0)
    }

    /// `leaves` counts the paths that were given an ordinal.
    fn of_members(fields: &[Field], leaves: &mut u32) -> Result<Self, Fault> {
        let members = fields.iter().map(|field| Member::of(field, leaves));
        Ok(Self::Struct(members.collect::<Result<_, _>>()?))
    }

    fn of(field: &Field, leaves: &mut u32) -> Result<Self, Fault> {
        let mut leaf = || {
            *leaves += 1;
            *leaves
        };
        match &field.data_type {
            DataType::Struct(members) => Self::of_members(members, leaves),
            DataType::List(element) => Ok(Self::List(Box::new(Self::of(element, leaves)?))),
            DataType::Map { key, value } => {
                if matches!(
                    **key,
                    DataType::Struct(_) | DataType::List(_) | DataType::Map { .. }
                ) {
                    return Err(Fault::new(
                        ErrorCode::TypeNotSupported,
                        format!(
                            "write column {} as JSON: its map keys are no plain values",
                            field.name
                        ),
                    ));
                }
                Ok(Self::Map(leaf(), Box::new(Self::of(value, leaves)?)))
            }
            DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Utf8
            | DataType::Binary
            | DataType::Date
            | DataType::Timestamp { .. }
            | DataType::Decimal { .. } => Ok(Self::Leaf(leaf())),
        }
    }
}

impl Member {
    fn of(field: &Field, leaves: &mut u32) -> Result<Self, Fault> {
        let mut lead = vec![b','];
        text::string(field.name.as_bytes(), &mut lead);
        lead.push(b':');
        Ok(Self {
            lead: lead.into_boxed_slice(),
            shape: Shape::of(field, leaves)?,
        })
    }
}
