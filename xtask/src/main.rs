//! `cargo xtask`: the repository's chores. Each verb fits on one screen of `--help`.
//!
//! It builds no product code of its own and holds no rule of the product; the rules it holds are those of the
//! house: which crate may know which, and how files look.
//!
//! The one law: what the README tells a newcomer to type is what the build server runs.

#![expect(
    clippy::print_stdout,
    reason = "a chore talks to the person at the terminal"
)]

mod bench;
mod check;
mod house;
mod layers;
mod python;
mod report;
mod step;
mod test;
mod testbed;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::workspace::Workspace;

/// Chores of the offtake repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Look at the code without running it: format, layers, house rules, lints, dependencies.
    ///
    /// Dependencies are judged by cargo-deny where it is installed (`cargo install cargo-deny`).
    Check(check::Options),
    /// Run every test: what `check` does, then the tests of the crates, then those of the real binary.
    ///
    /// Needs a Rust toolchain, a C compiler, python3 with its venv module, and the package registries.
    /// Uses cargo-nextest where it is installed, `cargo test` elsewhere. The Python packages that read the
    /// delivered files back come from tests/requirements.lock, into .testbed/venv.
    Test(test::Options),
    /// Measure the engine against other programs on the same rows; writes bench/results.
    ///
    /// Takes about half an hour and 15 GB of disk (`--quick`: five minutes), on a machine that does nothing else.
    Bench(bench::Options),
    /// Start, end or describe the servers that tests deliver to, all on loopback.
    ///
    /// `test` does this by itself. What was started is remembered under .testbed, and nothing else is ended.
    /// As a normal user without their packages some servers are left out, and said so.
    #[command(subcommand)]
    Testbed(testbed::Verb),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let workspace = Workspace::load()?;
    let mut report = Report::default();
    match &cli.verb {
        Verb::Check(options) => check::run(&workspace, options, &mut report)?,
        Verb::Test(options) => test::run(&workspace, options, &mut report)?,
        Verb::Bench(options) => return bench::run(&workspace, options),
        Verb::Testbed(verb) => return testbed::run(&workspace, *verb),
    }
    report.print();
    Ok(report.green())
}
