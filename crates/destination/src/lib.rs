#![doc = include_str!("../README.md")]

mod dir;
mod fault;
mod folder;
mod key;
mod mark;
mod probe;
mod sinks;
mod upload;

pub use folder::FolderSink;
pub use sinks::FolderSinks;
