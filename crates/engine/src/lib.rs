//! Runs one file task: read, encode, stage, seal — in this process or in worker processes.
//!
//! Decides nothing about deliveries: no retry, no publish, no choice of rows or names.
//!
//! The one law: a file is sealed only when every planned row was read and written; any doubt ends the task instead.
#![doc = include_str!("../README.md")]

mod in_process;
pub mod limits;
mod pipeline;
pub mod runner;
mod source;
pub mod worker;

pub use in_process::InProcessEngine;
pub use limits::Limits;
pub use runner::TaskRunner;
pub use worker::{WorkerCommand, WorkerEngine};
