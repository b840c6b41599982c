//! The Python of the tests, of their servers and of the readers of delivered files: a virtual environment with
//! pinned, hashed packages.
//!
//! The readers are not ours on purpose: what offtake wrote is judged by somebody else's code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;
use crate::workspace::Workspace;

/// The environment's python.
const PYTHON: &str = ".testbed/venv/bin/python";
const LOCK: &str = "tests/requirements.lock";

/// Makes the environment unless the one that is there was made from the same lock file. Gives its python.
pub(crate) fn prepare(workspace: &Workspace) -> Result<PathBuf> {
    let lock = workspace.root.join(LOCK);
    let wanted = fs::read(&lock).with_context(|| format!("failed to read {LOCK}"))?;
    let folder = workspace.root.join(".testbed/venv");
    let python = workspace.root.join(PYTHON);
    let made_from = folder.join("made-from.lock");
    if python.exists() && fs::read(&made_from).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    require_python()?;
    let made = step::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    if !made {
        bail!(INSTALL);
    }
    install(&python, &lock)?;
    fs::write(&made_from, &wanted).context("failed to note the lock file's content")?;
    Ok(python)
}

/// The environment's python, when it was made.
pub(crate) fn made(workspace: &Workspace) -> Option<PathBuf> {
    Some(workspace.root.join(PYTHON)).filter(|python| python.exists())
}

const INSTALL: &str = "the end-to-end tests need python3 (3.11 or later) with its venv module: \
    install it, on Debian and Ubuntu by `apt-get install python3 python3-venv`";

fn require_python() -> Result<()> {
    let probe = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";
    let fit = Command::new("python3")
        .args(["-c", probe])
        .output()
        .is_ok_and(|output| output.status.success());
    if !fit {
        bail!(INSTALL);
    }
    Ok(())
}

fn install(python: &Path, lock: &Path) -> Result<()> {
    let installed = step::run(
        Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args([
                "--only-binary",
                ":all:",
                "--require-hashes",
                "--requirement",
            ])
            .arg(lock),
    )?;
    if !installed {
        bail!("failed to install {LOCK} into .testbed/venv; see pip's words above");
    }
    Ok(())
}
