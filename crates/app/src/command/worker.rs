//! `offtake worker`: writes files on behalf of the service that started it, and ends with it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::wire::{self, Place};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Memory that may be allocated, in MiB; 0 means no limit.
    #[arg(long, default_value_t = 0)]
    memory_max_mib: u64,
}

pub(crate) async fn run(place: &Place, args: Args) -> Result<ExitCode> {
    let config = crate::config::Config::load(place.config.as_deref(), &place.data_dir)?;
    let runner = wire::worker_runner(place, &config)?;
    offtake_engine::worker::serve(runner, args.memory_max_mib).await?;
    Ok(ExitCode::SUCCESS)
}
