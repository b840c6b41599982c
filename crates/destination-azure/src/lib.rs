#![doc = include_str!("../README.md")]

mod adls;
mod blob;
mod client;
mod connection_string;
mod instant;
mod issue;
mod listing;
mod login;
mod place;
mod refusal;
mod sas;
mod sinks;
mod upload;

pub use blob::{ContainerZoneSettings, ContainerZones};
pub use issue::ContainerSas;
pub use sinks::AzureSinks;
