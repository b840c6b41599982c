//! Looks at the code without running it.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use crate::{house, layers, step};

/// The profile that tests, demo and lints share, so that no dependency is compiled twice.
pub(crate) const PROFILE: &str = "ci";

/// How much to look at.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only what takes a second: format, layers, house rules.
    #[arg(long)]
    quick: bool,
}

/// Runs every check, cheapest first, going on after a failure.
pub(crate) fn run(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<()> {
    report_check(report, "format", || {
        step::run(step::cargo().args(["fmt", "--all", "--check", "--", "-l"]))
    })?;
    report_check(report, "layers", || {
        Ok(told("layers", &layers::violations(workspace)))
    })?;
    report_check(report, "house rules", || {
        Ok(told("house rules", &house::violations(workspace)?))
    })?;
    if options.quick {
        return Ok(());
    }
    report_check(report, "lints", || {
        step::run(step::cargo().args([
            "clippy",
            "--profile",
            PROFILE,
            "--workspace",
            "--all-targets",
            "--features",
            "offtake/failpoints",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    dependencies(workspace, report)
}

fn dependencies(workspace: &Workspace, report: &mut Report) -> Result<()> {
    let name = "dependencies";
    if !has("cargo-deny") {
        let why = "cargo-deny is not installed";
        report.add(name, std::time::Duration::ZERO, Outcome::NotRun(why.into()));
        return Ok(());
    }
    report_check(report, name, || {
        step::run(
            Command::new("cargo-deny")
                .current_dir(&workspace.root)
                .args(["--all-features", "check"]),
        )
    })
}

/// Whether a program of that name can be started.
pub(crate) fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn report_check(
    report: &mut Report,
    name: &'static str,
    check: impl FnOnce() -> Result<bool>,
) -> Result<()> {
    let begun = Instant::now();
    let passed = check()?;
    report.add(name, begun.elapsed(), Outcome::Check(passed));
    Ok(())
}

fn told(name: &str, violations: &[String]) -> bool {
    for violation in violations {
        println!("{name}: {violation}");
    }
    violations.is_empty()
}
