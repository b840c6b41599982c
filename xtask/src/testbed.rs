//! The test bed: real servers on loopback that offtake delivers to and reads from.
//!
//! What runs and how stands in `tests/testbed`, in Python, because moto, the peers and the clients that make buckets
//! are Python already. This file makes that environment, calls it, and reads how it went.
//!
//! The one law: a server that could not be had is said, never passed over.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use crate::{python, step};

const PROGRAM: &str = "tests/testbed";

/// What to do with the bed.
#[derive(Clone, Copy, Subcommand)]
pub(crate) enum Verb {
    /// Start what does not run yet, and wait until it answers. As root, missing Debian packages are installed.
    Up,
    /// End what was started.
    Down,
    /// Say of each server whether it runs.
    Status,
    /// Print what tests must know, for a shell: `eval "$(cargo xtask testbed env)"`.
    Env,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Status => "status",
            Self::Env => "env",
        }
    }
}

/// Carries out one verb. True when it succeeded.
pub(crate) fn run(workspace: &Workspace, verb: Verb) -> Result<bool> {
    let python = match verb {
        Verb::Up => python::prepare(workspace)?,
        // What these print may be read by a shell, and without an environment nothing was ever started.
        Verb::Down | Verb::Status | Verb::Env => python::made(workspace)
            .context("the test bed was never started here: `cargo xtask testbed up`")?,
    };
    let status = call(&workspace.root, &python, verb)
        .status()
        .context("failed to start python")?;
    Ok(status.success())
}

/// The bed while tests run.
pub(crate) struct Bed {
    root: PathBuf,
    python: PathBuf,
    ours: bool,
    /// The variables that tests find the servers by.
    pub(crate) variables: Vec<(String, String)>,
}

/// The bed while it starts, beside whatever else is done meanwhile.
pub(crate) struct Starting {
    root: PathBuf,
    python: PathBuf,
    up: Child,
}

impl Starting {
    /// Begins to start what does not run. A first time installs packages, which takes a minute or two.
    pub(crate) fn begin(workspace: &Workspace, python: &Path) -> Result<Self> {
        let mut command = call(&workspace.root, python, Verb::Up);
        step::announce(&command);
        let up = command.stdout(Stdio::piped()).spawn();
        Ok(Self {
            root: workspace.root.clone(),
            python: python.to_owned(),
            up: up.context("failed to start python")?,
        })
    }

    /// Waits, and reports: one row for the bed, one for each server left out. The time is the wait alone.
    pub(crate) fn finish(self, report: &mut Report) -> Result<Bed> {
        let begun = Instant::now();
        let output = self.up.wait_with_output();
        let output = output.context("failed to wait for the test bed")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{text}");
        let started = Outcome::Work(output.status.success());
        report.add("test bed", begun.elapsed(), started);
        for (server, why) in left_out(&text) {
            report.add(server, Duration::ZERO, Outcome::NotRun(why.into()));
        }
        Ok(Bed {
            ours: !text.lines().any(|line| line.ends_with(": was up")),
            variables: variables(&self.root, &self.python)?,
            root: self.root,
            python: self.python,
        })
    }
}

impl Bed {
    /// Ends the bed, unless it ran already when the tests began.
    pub(crate) fn end(&self) -> Result<()> {
        if self.ours {
            step::run(&mut call(&self.root, &self.python, Verb::Down))?;
        }
        Ok(())
    }
}

fn call(root: &Path, python: &Path, verb: Verb) -> Command {
    let mut command = Command::new(python);
    command.current_dir(root);
    command.args(["-B", PROGRAM, verb.name()]);
    command
}

fn variables(root: &Path, python: &Path) -> Result<Vec<(String, String)>> {
    let output = call(root, python, Verb::Env)
        .output()
        .context("failed to start python")?;
    if !output.status.success() {
        bail!("{PROGRAM} does not say where its servers are");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(variable).collect())
}

/// `export NAME=VALUE`, the value quoted where a shell would need it.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
    let bare = value
        .strip_prefix('\'')
        .and_then(|it| it.strip_suffix('\''))
        .unwrap_or(value);
    Some((name.to_owned(), bare.to_owned()))
}

/// The servers that are not there, each with the reason.
fn left_out(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let (server, why) = line.split_once(": not run: ")?;
        Some((server.to_owned(), why.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::{left_out, variable};

    #[test]
    fn values_are_read_as_a_shell_would() {
        let read = |line| variable(line).map(|(_, value)| value);
        assert_eq!(read("export A=plain").as_deref(), Some("plain"));
        assert_eq!(read("export A='a;b=c'").as_deref(), Some("a;b=c"));
        assert_eq!(read("moto: started in 0.6 s"), None);
    }

    #[test]
    fn a_server_left_out_is_named_with_its_reason() {
        let text = "moto: started in 0.6 s\nradosgw: not run: not installed: see there\n";
        let found: Vec<_> = left_out(text).collect();
        let expected = ("radosgw".to_owned(), "not installed: see there".to_owned());
        assert_eq!(found, [expected]);
    }
}
