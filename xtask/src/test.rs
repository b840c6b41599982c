//! Runs every test, in the order that finds a fault cheapest.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::check::{self, PROFILE};
use crate::report::{Outcome, Report, Tally};
use crate::testbed::{Bed, Starting};
use crate::workspace::Workspace;
use crate::{python, step};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Also the long ones: documentation examples, and the crash matrix over every format.
    #[arg(long)]
    deep: bool,
    /// Only tests whose name contains this; leaves the checks out.
    filter: Option<String>,
}

/// How many cases the differential tests make up; a caller may ask for more.
const DEEP_CASES: &str = "OFFTAKE_DEEP_CASES";

/// How pytest ends when its filter fits no test.
const NOTHING_COLLECTED: i32 = 5;

/// Options of every cargo call here: one set of features, so that each crate is built once.
const WHOLE: &[&str] = &["--workspace", "--features", "offtake/failpoints"];

/// Runs the steps. Goes on after a failure, except when there is nothing to go on with.
pub(crate) fn run(workspace: &Workspace, options: &Options, report: &mut Report) -> Result<()> {
    if options.filter.is_none() {
        check::run(workspace, &check::Options::default(), report)?;
    }
    let Some(python) = packages(workspace, report) else {
        if build(report)? {
            crates(options, &[], report)?;
        }
        return Ok(());
    };
    let starting = Starting::begin(workspace, &python)?;
    let built = build(report)?;
    let bed = starting.finish(report)?;
    let ran = if built {
        with_servers(workspace, options, &python, &bed, report)
    } else {
        Ok(())
    };
    bed.end()?;
    ran
}

fn packages(workspace: &Workspace, report: &mut Report) -> Option<PathBuf> {
    let begun = Instant::now();
    let python = python::prepare(workspace)
        .inspect_err(|error| println!("error: {error:#}"))
        .ok();
    let made = Outcome::Work(python.is_some());
    report.add("python packages", begun.elapsed(), made);
    python
}

fn with_servers(
    workspace: &Workspace,
    options: &Options,
    python: &Path,
    bed: &Bed,
    report: &mut Report,
) -> Result<()> {
    crates(options, &bed.variables, report)?;
    if options.deep {
        examples(options, report)?;
    }
    end_to_end(
        suite(workspace, options, python, &bed.variables),
        options,
        report,
    )
}

fn build(report: &mut Report) -> Result<bool> {
    let begun = Instant::now();
    let mut command = step::cargo();
    command.args(["build", "--profile", PROFILE, "--all-targets"]);
    let built = step::run(command.args(WHOLE))?;
    report.add("build", begun.elapsed(), Outcome::Work(built));
    Ok(built)
}

fn crates(options: &Options, variables: &[(String, String)], report: &mut Report) -> Result<()> {
    let begun = Instant::now();
    let mut command = step::cargo();
    command.envs(variables.iter().cloned());
    if options.deep && std::env::var_os(DEEP_CASES).is_none() {
        command.env(DEEP_CASES, "50000");
    }
    if check::has("cargo-nextest") {
        command.args(["nextest", "run", "--no-tests", "pass", "--no-fail-fast"]);
        command.args(["--cargo-profile", PROFILE]).args(WHOLE);
        command.args(&options.filter);
    } else {
        command.args(["test", "--no-fail-fast", "--profile", PROFILE]);
        command.args(["--lib", "--bins", "--tests"]).args(WHOLE);
        command.arg("--").args(&options.filter);
    }
    let mut tally = Tally::default();
    let status = step::run_reading(&mut command, |line| tally += counted(line))?;
    let passed = status.success();
    report.add("crates", begun.elapsed(), tests(passed, tally));
    Ok(())
}

fn examples(options: &Options, report: &mut Report) -> Result<()> {
    let begun = Instant::now();
    let mut command = step::cargo();
    command
        .args(["test", "--doc", "--profile", PROFILE])
        .args(WHOLE);
    command.arg("--").args(&options.filter);
    let mut tally = Tally::default();
    let status = step::run_reading(&mut command, |line| tally += counted(line))?;
    let passed = status.success();
    report.add("documentation", begun.elapsed(), tests(passed, tally));
    Ok(())
}

fn end_to_end(mut command: Command, options: &Options, report: &mut Report) -> Result<()> {
    let begun = Instant::now();
    let mut tally = Tally::default();
    let status = step::run_reading(&mut command, |line| tally += counted(line))?;
    let nothing_chosen = options.filter.is_some() && status.code() == Some(NOTHING_COLLECTED);
    let passed = status.success() || nothing_chosen;
    report.add("end to end", begun.elapsed(), tests(passed, tally));
    Ok(())
}

fn suite(
    workspace: &Workspace,
    options: &Options,
    python: &Path,
    variables: &[(String, String)],
) -> Command {
    let mut command = Command::new(python);
    command.current_dir(&workspace.root);
    command.envs(variables.iter().cloned());
    command.env(
        "OFFTAKE_BIN",
        workspace.target.join(PROFILE).join("offtake"),
    );
    command.args(["-B", "-m", "pytest", "tests/e2e", "--durations=8"]);
    command.args(["-p", "no:cacheprovider"]);
    if options.deep {
        command.arg("--deep");
    }
    if let Some(filter) = &options.filter {
        command.arg("-k").arg(filter);
    }
    command
}

/// A suite that ended badly without a failed test has failed all the same.
fn tests(passed: bool, mut tally: Tally) -> Outcome {
    if !passed && tally.failed == 0 {
        tally.failed = 1;
    }
    Outcome::Tests(tally)
}

/// Reads the counts off a runner's summary: nextest's, libtest's (one per binary) or pytest's.
fn counted(line: &str) -> Tally {
    // Nextest shows a failed test's own output indented, which has a summary of that one test.
    let summary =
        line.contains("tests run:") || line.starts_with("test result:") || ends_in_seconds(line);
    if !summary {
        return Tally::default();
    }
    let failed = number_before(line, "failed") + number_before(line, "timed out");
    Tally {
        passed: number_before(line, "passed"),
        failed: failed + number_before(line, "error") + number_before(line, "errors"),
    }
}

/// As pytest's does: `31 passed in 92.11s (0:01:32)`.
fn ends_in_seconds(line: &str) -> bool {
    let took = line
        .rsplit_once(" in ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    took.and_then(|it| it.strip_suffix('s'))
        .is_some_and(|number| number.parse::<f64>().is_ok())
}

fn number_before(line: &str, word: &str) -> u64 {
    let clean = line.replace([',', ';', '.'], " ");
    let words: Vec<&str> = clean.split_whitespace().collect();
    let word: Vec<&str> = word.split_whitespace().collect();
    words
        .windows(word.len() + 1)
        .filter_map(|window| window.split_first())
        .find(|(_, rest)| *rest == word.as_slice())
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Tally, counted};

    fn check(line: &str, passed: u64, failed: u64) {
        assert_eq!(counted(line), Tally { passed, failed }, "{line}");
    }

    #[test]
    fn summaries_of_all_three_runners_are_read() {
        check(
            "     Summary [   0.515s] 120 tests run: 118 passed (1 slow), 2 failed, 3 skipped",
            118,
            2,
        );
        check(
            "     Summary [   1.000s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped",
            1,
            2,
        );
        check(
            "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            5,
            1,
        );
        check(
            "==== 2 failed, 31 passed, 4 deselected in 92.11s (0:01:32) ====",
            31,
            2,
        );
        check("31 passed in 92.11s", 31, 0);
        check("==== 31 passed, 1 error in 9.11s ====", 31, 1);
    }

    #[test]
    fn other_talk_is_not_counted() {
        check("test a_login_that_failed ... ok", 0, 0);
        check(
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored",
            0,
            0,
        );
        check("checked that 3 failed logins are counted", 0, 0);
    }
}
