//! Where the rules meet time and the world: the scheduler, the delivery driver, the janitor and
//! retention.
//!
//! This crate performs what [`offtake_core::delivery`] decides and tells it what came of it. It decides
//! nothing itself, names no adapter and keeps no state that the journal does not have.
//!
//! The one law: whoever lost the lease touches nothing.
//!
#![doc = include_str!("../README.md")]

mod driver;
pub mod failpoint;
mod hands;
mod janitor;
mod meter;
mod planner;
mod pulse;
mod retention;
mod scheduler;
pub mod service;
pub mod settings;
mod task;

pub use retention::{Retention, RetentionDeps, Sweep};
pub use service::{DeliveryService, Deps};
pub use settings::Settings;
