//! The forms in which values are stored. They are contracts with databases that exist: each has a version and a
//! golden test, and changes only together with a way to read what was written before.
//!
//! The one law: nothing outside this module knows how a stored value is spelled.

pub(crate) mod body;
pub(crate) mod run;

use std::fmt::Display;
use std::str::FromStr;

use offtake_model::{DeliveryState, Fault, ResourceKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::{Attempting, corrupt};

/// The version of every JSON form written today.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    value: &'a T,
}

#[derive(Deserialize)]
struct Stored<T> {
    version: u32,
    value: T,
}

/// Spells a value as versioned JSON.
pub(crate) fn to_json<T: Serialize>(value: &T, what: impl Display) -> Result<String, Fault> {
    serde_json::to_string(&Written {
        version: VERSION,
        value,
    })
    .attempting(format_args!("write {what}"))
}

/// Reads what [`to_json`] wrote.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str, what: impl Display) -> Result<T, Fault> {
    let stored: Stored<T> =
        serde_json::from_str(text).attempting(format_args!("read stored {what}"))?;
    if stored.version == VERSION {
        return Ok(stored.value);
    }
    Err(corrupt(format_args!(
        "stored {what} has version {}, this program reads {VERSION}",
        stored.version
    )))
}

/// Reads an id from its column.
pub(crate) fn parse_id<T: FromStr>(text: &str, what: &str) -> Result<T, Fault> {
    text.parse()
        .map_err(|_| corrupt(format_args!("stored {what} id {text:?} is none")))
}

/// Reads a delivery's state from its column.
pub(crate) fn parse_state(text: &str) -> Result<DeliveryState, Fault> {
    DeliveryState::parse(text)
        .ok_or_else(|| corrupt(format_args!("stored delivery state {text:?} is none")))
}

/// A counter as a column holds it.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A counter as a column held it.
pub(crate) fn counter<T: TryFrom<i64>>(column: i64, what: &str) -> Result<T, Fault> {
    T::try_from(column).map_err(|_| corrupt(format_args!("stored {what} {column} is none")))
}

/// A kind's name in its column.
pub(crate) const fn kind_name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Connection => "connection",
        ResourceKind::Source => "source",
        ResourceKind::Target => "target",
        ResourceKind::Flow => "flow",
        ResourceKind::Dataset => "dataset",
    }
}

#[cfg(test)]
mod tests;
