//! The commands, one module each.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod dataset;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod flows;
pub(crate) mod keys;
pub(crate) mod reconcile;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod serve;
pub(crate) mod verify;
pub(crate) mod worker;
