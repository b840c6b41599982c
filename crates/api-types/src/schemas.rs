//! The wire's shapes as JSON Schemas: one file, read off the types by the test below, which fails when it is behind.

/// An object of JSON Schemas by the names of the types. A wrapper's parameter is the reference `T`.
pub const SCHEMAS: &str = include_str!("../schemas.json");

#[cfg(test)]
mod tests;
