//! The conformance suite of [`DeliveryQueue`] and [`DeliveryJournal`]: what the delivery protocol needs from whoever
//! keeps its decisions.
//!
//! It doesn't measure speed and doesn't pull the plug; "killed" here means that the adapters are dropped and opened
//! again over the same place.
//!
//! The one law: a store that passes never lets two holders decide, and never forgets or repeats a decision.

use std::sync::Arc;

use async_trait::async_trait;

use crate::journal::{DeliveryJournal, DeliveryQueue};
use crate::resources::ResourceStore;
use crate::runs::RunLog;
use crate::testing::ManualClock;

pub mod fixture;
mod journaling;
mod queueing;
mod transitions;
mod world;

/// Makes an empty place for each check.
pub type Place<'a> = &'a (dyn Fn() -> Box<dyn JournalBed> + Send + Sync);

/// A place for a store, empty at first.
#[async_trait]
pub trait JournalBed: Send + Sync {
    /// Opens the store over the place, with nothing remembered in memory.
    async fn open(&self, clock: Arc<ManualClock>) -> Adapters;
}

/// The store under test, by its roles.
pub struct Adapters {
    /// Hands out work.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Keeps decisions.
    pub journal: Arc<dyn DeliveryJournal>,
    /// Keeps the flows that runs belong to.
    pub resources: Arc<dyn ResourceStore>,
    /// Shows what became of runs.
    pub runs: Arc<dyn RunLog>,
}

/// Checks every promise, each in a place of its own.
///
/// # Panics
/// Where a promise is broken.
pub async fn conforms(place: Place<'_>) {
    queueing::check(place).await;
    journaling::check(place).await;
    transitions::check(place).await;
}
