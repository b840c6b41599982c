//! Source files: footers, the way from their columns to the planned ones, and their bytes.
//!
//! A file's own Arrow schema is ignored: what Parquet says of itself is enough, and one thing less to trust.

mod constant;
mod extras;
mod file;
mod fit;
mod footer;
mod group;
mod held;
mod keep;
mod pages;
mod planned;
mod read_as;
mod typed;
mod window;

pub(crate) use extras::{filters, page_index};
pub(crate) use file::SourceFile;
pub(crate) use group::RowGroup;
pub(crate) use keep::{Cut, kept};
pub(crate) use planned::Planned;
pub(crate) use window::Window;
