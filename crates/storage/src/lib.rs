#![doc = include_str!("../README.md")]

mod address;
mod door;
mod guard;
mod key_set;
mod names;
mod network;
mod networks;
mod read;
mod resolve;
mod retries;
mod sign;
mod sts;
mod tls;

pub use door::{Door, NoAnswer, Patience, fault_behind};
pub use key_set::HttpKeySet;
pub use names::{check_key, push_path, push_query};
pub use network::{Network, NetworkSettings};
pub use networks::Networks;
pub use read::{RootAddress, RootCredentials, read_store};
pub use resolve::Resolver;
pub use retries::{Retries, RetriesLeft};
pub use sign::{AwsKeys, AwsSigner, AzureSigner};
pub use sts::{Roles, StsSettings};
pub use tls::use_our_crypto;
