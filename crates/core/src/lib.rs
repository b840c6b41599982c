#![doc = include_str!("../README.md")]

pub mod bounds;
pub mod calendar;
pub mod canonical;
pub mod delivery;
pub mod export_spec;
pub mod filter;
pub mod manifest;
pub mod naming;
pub mod plan;
pub mod recovery;
pub mod run_state;
pub mod schedule;
pub mod specs;
pub mod validate;
