//! Measures the engine against other programs: see `bench/`.
//!
//! Needs a quiet machine to mean anything; what it says of the rows is true on any.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::step;
use crate::workspace::Workspace;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Few rows and two rounds: under five minutes.
    #[arg(long)]
    quick: bool,
    /// Also one file of 4 GB.
    #[arg(long)]
    big: bool,
    /// Only this set of rows.
    #[arg(long)]
    only: Option<String>,
}

/// What releases are built with: the other programs are releases, too.
const PROFILE: &str = "dist";

/// Where the packages of the other programs are pinned.
const REQUIREMENTS: &str = "bench/requirements.txt";

/// Builds what is measured, makes the rows and measures. True when all rows were equal.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let mut build = step::cargo();
    build.args([
        "build",
        "--profile",
        PROFILE,
        "-p",
        "offtake-engine",
        "--examples",
    ]);
    if !step::run(&mut build)? {
        bail!("failed to build what is to be measured");
    }
    let folder = workspace.target.join("bench");
    let python = folder.join("venv/bin/python");
    let wanted = workspace.root.join(REQUIREMENTS);
    let made_from = folder.join("venv/made-from.txt");
    let pinned = fs::read(&wanted).with_context(|| format!("failed to read {REQUIREMENTS}"))?;
    if !fs::read(&made_from).is_ok_and(|had| had == pinned) {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"])
            .arg(folder.join("venv"));
        let mut install = Command::new(&python);
        install
            .args(["-m", "pip", "install", "--quiet", "-r"])
            .arg(&wanted);
        if !step::run(&mut make)? || !step::run(&mut install)? {
            bail!("failed to install the programs to compare with");
        }
        fs::write(&made_from, &pinned).context("failed to note what was installed")?;
    }
    let convert = workspace.target.join(PROFILE).join("examples/convert");
    let mut measure = Command::new(&python);
    measure.arg("-B").arg(workspace.root.join("bench/run.py"));
    measure.arg(convert).arg(folder.join("data"));
    let size = if options.quick { "quick" } else { "whole" };
    measure.arg(workspace.root.join("bench/results").join(size));
    if options.quick {
        measure.arg("--quick");
    }
    if options.big {
        measure.arg("--big");
    }
    if let Some(only) = &options.only {
        measure.arg("--only").arg(only);
    }
    step::run(&mut measure)
}
