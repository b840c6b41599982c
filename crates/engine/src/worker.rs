//! Worker processes: the same tasks, apart from the service, under a memory limit of their own.
//!
//! Parent and worker speak length-prefixed JSON over the worker's standard input and output. A worker serves one task
//! at a time and stays for the next; it ends when its input does, so that a killed service leaves none behind.
//!
//! The one law: whatever a source file does to a worker, the service only loses a task.

mod engine;
mod frame;
mod message;
mod serve;

pub use engine::{WorkerCommand, WorkerEngine};
pub use serve::{ServeError, serve, serve_on};
