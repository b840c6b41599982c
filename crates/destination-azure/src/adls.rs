//! Azure Data Lake Storage Gen2: the staged sink over the dfs endpoint of an account with hierarchical namespace.
//!
//! A file is written under an attempt's own name in a staging folder and made visible by a rename, which is one act
//! there and can be told never to replace anything. Its tag is a property of the file, which goes with it.
//!
//! The one law: an answer that may be lost is never taken for a failure, and a refusal is never taken for success.

mod address;
mod calls;
mod entra;
mod listing;
mod sink;
mod stage;

pub(crate) use address::LakeAddress;
pub(crate) use calls::Lake;
pub(crate) use entra::{Application, Principal};
pub(crate) use sink::{AdlsSink, Hierarchical};
