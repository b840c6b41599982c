//! Runs commands of other programs: shown on the terminal as they go, and read for their counts.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow};

/// A call of cargo as a person would make it.
///
/// `cargo run`, which started us, leaves variables that describe this very crate; build scripts that watch them
/// (ring's) would run again on every change between our calls and a person's, and all that depends on them.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(describes_crate) {
            command.env_remove(name);
        }
    }
    command
}

fn describes_crate(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(
            name,
            "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE"
        )
}

/// Prints what is about to run.
pub(crate) fn announce(command: &Command) {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    println!("\n$ {line}");
}

/// Runs the command on this terminal. True when it succeeded.
pub(crate) fn run(command: &mut Command) -> Result<bool> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("failed to start {}", command.get_program().display()))?;
    Ok(status.success())
}

/// Runs the command, shows what it says, and gives the lines to `read` as well.
pub(crate) fn run_reading(command: &mut Command, mut read: impl FnMut(&str)) -> Result<ExitStatus> {
    announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", command.get_program().display()))?;
    let talk = child.stderr.take().map(|pipe| thread::spawn(|| show(pipe)));
    let said = child.stdout.take().map(show).unwrap_or_default();
    let talked = talk.map_or_else(
        || Ok(Vec::new()),
        |thread| {
            thread
                .join()
                .map_err(|_| anyhow!("the reader of the child's stderr died"))
        },
    )?;
    for line in said.iter().chain(&talked) {
        read(line);
    }
    child.wait().context("failed to wait for a child")
}

/// Copies lines to this terminal and keeps them.
fn show(pipe: impl Read) -> Vec<String> {
    let mut kept = Vec::new();
    for line in BufReader::new(pipe).split(b'\n') {
        let Ok(bytes) = line else { break };
        let line = String::from_utf8_lossy(&bytes);
        // A closed terminal must not end the tests.
        let _ = writeln!(std::io::stdout(), "{line}");
        kept.push(line.into_owned());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::describes_crate;

    #[test]
    fn only_what_describes_this_crate_is_kept_from_cargo() {
        assert!(describes_crate("CARGO_MANIFEST_DIR"));
        assert!(describes_crate("CARGO_PKG_NAME"));
        assert!(!describes_crate("CARGO_HOME"));
        assert!(!describes_crate("CARGO_TARGET_DIR"));
        assert!(!describes_crate("CARGO_NET_OFFLINE"));
    }
}
