//! A worker over plain folders: `worker <from> <to> <memory max in MiB, 0 for none>`.

#[path = "shared/local.rs"]
mod local;

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use offtake_engine::{Limits, TaskRunner, worker};

use local::{Files, Folder, NoMasks};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = env::args().skip(1);
    let mut next = || args.next().context("usage: worker <from> <to> <MiB>");
    let from = PathBuf::from(next()?);
    let to = PathBuf::from(next()?);
    let memory_max_mib = next()?.parse()?;
    let runner = TaskRunner::new(
        Arc::new(Files(from)),
        Arc::new(NoMasks),
        Arc::new(Folder(to)),
        Limits::default(),
    );
    worker::serve(Arc::new(runner), memory_max_mib).await?;
    Ok(())
}
