//! What JSON rows look like: the columns that a table has, and those that rows bring along.
//!
//! Numbers are long or double, a column that only ever was null becomes text. New columns are always welcome, a long
//! may become a double while it is new; anything else that doesn't fit is a conflict of that row.
//!
//! The one law: the same rows in the same order give the same columns, whatever the rows that were refused.
//!
//! budget: one rule for each pair of kinds, and the rules only make sense together.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, Field, Fields, TimestampMicrosecondType};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of a row.
const DEPTH_MAX: usize = 32;

/// Most fields of all rows together, nested ones counted (contract, 13).
const FIELDS_MAX: usize = 10_000;

/// Longest name of a field, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A JSON value without what it says, save for text.
pub(crate) enum Node<'a> {
    Null,
    Bool,
    Long,
    Double,
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Struct(Vec<(Cow<'a, str>, Self)>),
}

impl Node<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool => "a boolean",
            Node::Long => "a whole number",
            Node::Double => "a number",
            Node::Text(_) => "text",
            Node::List(_) => "an array",
            Node::Struct(_) => "an object",
        }
    }
}

/// Why a value doesn't fit, and in which column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    path: Vec<String>,
    reason: String,
}

impl Conflict {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            reason: reason.into(),
        }
    }

    /// About a column as a whole.
    pub(crate) fn named(name: &str, reason: &str) -> Self {
        Self::new(reason).within(name)
    }

    fn within(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "column `{}`: ", self.path.join("."))?;
        }
        f.write_str(&self.reason)
    }
}

/// What the values of one column have been so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Null only.
    Unknown,
    Bool,
    Long,
    Double,
    Text,
    List(Box<Self>),
    Struct(Members),
    /// A type that the table has already and that doesn't change.
    Kept(DataType),
}

/// The fields of a struct, in the order in which they were first seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members {
    fields: Vec<(String, Shape)>,
    index: HashMap<String, usize>,
    folded: HashSet<String>,
}

impl Members {
    /// The columns of a table.
    pub(crate) fn of_table(fields: &Fields) -> Self {
        let mut members = Self::default();
        for field in fields {
            members.push(field.name(), Shape::of_type(field.data_type()));
        }
        members
    }

    /// Takes a row in, or says what doesn't fit and stays as it was.
    pub(crate) fn take(&mut self, row: &Node<'_>) -> Result<(), Conflict> {
        let Node::Struct(values) = row else {
            return Err(Conflict::new("a row must be an object"));
        };
        if self.fits(values, 1)? {
            return Ok(());
        }
        let mut next = self.clone();
        next.absorb(values);
        if next.count() > FIELDS_MAX {
            return Err(Conflict::new(format!("more than {FIELDS_MAX} fields")));
        }
        *self = next;
        Ok(())
    }

    /// The columns as a table has them.
    pub(crate) fn to_fields(&self) -> Fields {
        self.fields
            .iter()
            .filter_map(|(name, shape)| Some(Arc::new(Field::new(name, shape.to_type()?, true))))
            .collect()
    }

    fn push(&mut self, name: &str, shape: Shape) {
        self.index.insert(name.to_owned(), self.fields.len());
        self.folded.insert(name.to_lowercase());
        self.fields.push((name.to_owned(), shape));
    }

    fn get(&self, name: &str, likely: usize) -> Option<(usize, &Shape)> {
        if let Some((found, shape)) = self.fields.get(likely)
            && found == name
        {
            return Some((likely, shape));
        }
        let at = *self.index.get(name)?;
        self.fields.get(at).map(|(_, shape)| (at, shape))
    }

    /// Whether the values fit as things are; false when something new comes with them.
    fn fits(&self, values: &[(Cow<'_, str>, Node<'_>)], depth: usize) -> Result<bool, Conflict> {
        let mut as_is = true;
        let mut likely = 0;
        let mut new: Vec<String> = Vec::new();
        for (name, value) in values {
            if let Some((at, shape)) = self.get(name, likely) {
                likely = at + 1;
                let fit = shape.fits(value, depth);
                as_is &= fit.map_err(|conflict| conflict.within(name))?;
                continue;
            }
            as_is = false;
            check_name(name)?;
            let folded = name.to_lowercase();
            if self.folded.contains(&folded) || new.contains(&folded) {
                let reason = "another column has this name in other case";
                return Err(Conflict::named(name, reason));
            }
            new.push(folded);
            let fit = Shape::Unknown.fits(value, depth);
            fit.map_err(|conflict| conflict.within(name))?;
        }
        Ok(as_is)
    }

    fn absorb(&mut self, values: &[(Cow<'_, str>, Node<'_>)]) {
        for (name, value) in values {
            let known = self.index.get(name.as_ref()).copied();
            let at = known.unwrap_or_else(|| {
                self.push(name, Shape::Unknown);
                self.fields.len() - 1
            });
            if let Some((_, shape)) = self.fields.get_mut(at) {
                shape.absorb(value);
            }
        }
    }

    fn count(&self) -> usize {
        self.fields.iter().map(|(_, shape)| 1 + shape.count()).sum()
    }
}

impl Shape {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a type that JSON knows nothing of is kept as it is"
    )]
    pub(crate) fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Float64 => Self::Double,
            DataType::Utf8 => Self::Text,
            DataType::List(element) => Self::List(Box::new(Self::of_type(element.data_type()))),
            DataType::Struct(fields) => Self::Struct(Members::of_table(fields)),
            other => Self::Kept(other.clone()),
        }
    }

    /// The type of the column; none for objects that never had a field.
    fn to_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Unknown | Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::List(element) => {
                DataType::List(Arc::new(Field::new("element", element.to_type()?, true)))
            }
            Self::Struct(members) => {
                let fields = members.to_fields();
                if fields.is_empty() {
                    return None;
                }
                DataType::Struct(fields)
            }
            Self::Kept(data_type) => data_type.clone(),
        })
    }

    fn fits(&self, value: &Node<'_>, depth: usize) -> Result<bool, Conflict> {
        if depth > DEPTH_MAX {
            return Err(Conflict::new(format!(
                "nested deeper than {DEPTH_MAX} levels"
            )));
        }
        match (self, value) {
            (_, Node::Null)
            | (Self::Bool, Node::Bool)
            | (Self::Long, Node::Long)
            | (Self::Double, Node::Long | Node::Double)
            | (Self::Text, Node::Text(_)) => Ok(true),
            (Self::Long, Node::Double)
            | (Self::Unknown, Node::Bool | Node::Long | Node::Double | Node::Text(_)) => Ok(false),
            (Self::Unknown, Node::List(values)) => {
                let mut element = Self::Unknown;
                for value in values {
                    element.fits(value, depth + 1)?;
                    element.absorb(value);
                }
                Ok(false)
            }
            (Self::Unknown, Node::Struct(values)) => {
                Members::default().fits(values, depth + 1)?;
                Ok(false)
            }
            (Self::List(element), Node::List(values)) => fit_all(element, values, depth),
            (Self::Struct(members), Node::Struct(values)) => members.fits(values, depth + 1),
            (Self::Kept(data_type), value) => fit_kept(data_type, value),
            (_, value) => Err(Conflict::new(format!(
                "{} where the dataset has {}",
                value.kind(),
                self.kind()
            ))),
        }
    }

    /// Grows to hold a value that fits.
    fn absorb(&mut self, value: &Node<'_>) {
        match (&mut *self, value) {
            (Self::Unknown, Node::Bool) => *self = Self::Bool,
            (Self::Unknown, Node::Long) => *self = Self::Long,
            (Self::Unknown | Self::Long, Node::Double) => *self = Self::Double,
            (Self::Unknown, Node::Text(_)) => *self = Self::Text,
            (Self::Unknown, Node::List(_)) => {
                *self = Self::List(Box::new(Self::Unknown));
                self.absorb(value);
            }
            (Self::Unknown, Node::Struct(_)) => {
                *self = Self::Struct(Members::default());
                self.absorb(value);
            }
            (Self::List(element), Node::List(values)) => {
                for value in values {
                    element.absorb(value);
                }
            }
            (Self::Struct(members), Node::Struct(values)) => members.absorb(values),
            (_, _) => {}
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::List(element) => element.count(),
            Self::Struct(members) => members.count(),
            Self::Unknown | Self::Bool | Self::Long | Self::Double | Self::Text | Self::Kept(_) => {
                0
            }
        }
    }

    fn kind(&self) -> String {
        match self {
            Self::Unknown => "nothing yet".to_owned(),
            Self::Bool => "boolean".to_owned(),
            Self::Long => "long".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Text => "string".to_owned(),
            Self::List(_) => "an array".to_owned(),
            Self::Struct(_) => "an object".to_owned(),
            Self::Kept(data_type) => type_name(data_type),
        }
    }
}

/// Elements may differ from each other as rows may: each is judged with those before it taken in.
fn fit_all(element: &Shape, values: &[Node<'_>], depth: usize) -> Result<bool, Conflict> {
    let mut grown: Option<Shape> = None;
    for value in values {
        let shape = grown.as_ref().unwrap_or(element);
        if !shape.fits(value, depth + 1)? {
            let mut next = shape.clone();
            next.absorb(value);
            grown = Some(next);
        }
    }
    Ok(grown.is_none())
}

fn fit_kept(data_type: &DataType, value: &Node<'_>) -> Result<bool, Conflict> {
    let fits = match (data_type, value) {
        (DataType::Int64, Node::Long) | (DataType::Float32, Node::Long | Node::Double) => true,
        (DataType::Date32, Node::Text(text)) => Date32Type::parse(text).is_some(),
        (DataType::Timestamp(_, _), Node::Text(text)) => {
            TimestampMicrosecondType::parse(text).is_some()
        }
        _ => false,
    };
    if fits {
        return Ok(true);
    }
    Err(Conflict::new(format!(
        "{} where the dataset has {}",
        value.kind(),
        type_name(data_type)
    )))
}

/// How a column's type is called in messages.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other types have the library's names"
)]
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "long".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 => "string".to_owned(),
        DataType::Date32 => "a date".to_owned(),
        DataType::Timestamp(_, _) => "a timestamp".to_owned(),
        other => other.to_string(),
    }
}

/// Whether a column may have that name.
pub(crate) fn check_name(name: &str) -> Result<(), Conflict> {
    let legal =
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    if legal {
        return Ok(());
    }
    Err(Conflict::new(format!(
        "a column's name must have 1 to {NAME_BYTES_MAX} bytes and no control characters"
    )))
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node<'de>, E> {
        Ok(Node::Long)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(match i64::try_from(value) {
            Ok(_) => Node::Long,
            Err(_) => Node::Double,
        })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Double)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Node<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, Node<'de>)> = Vec::new();
        while let Some(Name(name)) = pairs.next_key()? {
            fields.push((name, pairs.next_value()?));
        }
        let names: HashSet<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
        if names.len() < fields.len() {
            return Err(A::Error::custom("a field is given twice"));
        }
        Ok(Node::Struct(fields))
    }
}

/// A field's name, borrowed where it can be.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}
