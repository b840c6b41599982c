//! Keeps everything offtake remembers: identities, resources, runs, deliveries with their journal, and the key
//! that seals secrets. One directory, one process, `SQLite`.
//!
//! It decides nothing: which transition comes next is the delivery crate's business, which fields are valid the
//! core's. Bodies are stored in forms of their own (`rows`), so that the domain types stay free to change.
//!
//! The one law: every write is one transaction that either finds the row as its writer last saw it, or changes
//! nothing.

mod audit;
mod backup;
mod batches;
mod data_dir;
mod failure;
mod identity;
mod journal;
mod queue;
mod quotas;
mod recovery;
mod request_keys;
mod resources;
mod retention;
mod rows;
mod runs;
mod secrets;
mod select;
mod store;
mod zone;

pub use backup::{Copied, Restoring, check_copy, copy_database};
pub use secrets::{KeyFileSecrets, StoredKeys, former_keys};
pub use store::Store;
