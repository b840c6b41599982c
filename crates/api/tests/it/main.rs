//! The HTTP surface over the real store, driven in process, with a lake of one known table.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests may fail loudly, and their tables are long"
)]

mod access;
mod again;
mod audit;
mod batches;
mod bodies;
mod catalog;
mod connections;
mod document;
mod drafts;
mod edits;
mod flows;
mod identity;
mod keys;
mod landing_zone;
mod limits;
mod lists;
mod matrix;
mod numbers;
mod once;
mod runs;
mod secrecy;
mod selected;
mod specs;
mod tutorial;
mod world;
