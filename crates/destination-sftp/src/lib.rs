#![doc = include_str!("../README.md")]

mod explore;
mod lane;
mod login;
mod place;
mod pool;
mod probe;
mod read_back;
mod rsa;
mod session;
mod sink;
mod sinks;
mod steps;
mod target;
mod trouble;
mod trust;
mod upload;
mod writing;

pub use sinks::{OnAmbiguous, SftpSettings, SftpSinks};
