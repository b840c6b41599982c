#![doc = include_str!("../README.md")]

mod login;
mod place;
mod pool;
mod probe;
mod rsa;
mod session;
mod sink;
mod sinks;
mod steps;
mod target;
mod trouble;
mod trust;
mod upload;

pub use sinks::{OnAmbiguous, SftpSettings, SftpSinks};
