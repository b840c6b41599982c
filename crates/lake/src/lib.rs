#![doc = include_str!("../README.md")]

mod changes;
mod confined;
mod fault;
mod file;
mod local;
mod log;
mod mask;
mod path;
mod root;
mod schema;
mod slice;
mod table;

pub mod demo;

pub use local::LocalLake;
pub use root::LakeRoot;
