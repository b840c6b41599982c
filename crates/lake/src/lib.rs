#![doc = include_str!("../README.md")]

mod changes;
mod fault;
mod file;
mod folder;
mod intake;
mod lakes;
mod log;
mod mask;
mod path;
mod place;
mod root;
mod schema;
mod slice;
mod table;

pub mod demo;

pub use intake::{LocalIntake, UploadFolder};
pub use lakes::Lakes;
pub use root::LakeRoot;
