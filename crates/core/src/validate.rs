//! Request bodies to checked drafts (contract, 4.7–4.10 and 10.1, under the decisions of its section 0).
//!
//! A draft says that the body is legal in itself. Whether the ids in it exist is the service's question; the rules
//! that need both answers are functions here, too. Nothing is stored, sealed or looked up.
//!
//! The one law: nothing that a request asks for is dropped in silence, and no secret ever stands in a message.

mod batch;
mod body;
mod connection;
mod dataset;
mod flow;
mod source;
mod target;

pub use batch::{BatchDraft, batch, input_format};
pub use body::{description, name, quoted, shown};
pub use connection::{AuthDraft, ConnectionDraft, MASK, connection, connection_draft};
pub use dataset::{DatasetDraft, dataset};
pub use flow::{FlowDraft, check_flow_target, flow};
pub use source::{DatasetChoice, SourceDraft, source};
pub(crate) use target::encoding;
pub use target::{TargetDraft, TargetSettings, check_base_connection, target, target_settings};

#[cfg(test)]
mod patterns;
#[cfg(test)]
mod tests;
