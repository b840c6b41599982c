//! The repository as cargo and git see it: where it lies, its crates and what they declare to need.
//!
//! Reads declarations only; it resolves no dependency graph and needs no network.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::step;

/// The repository.
pub(crate) struct Workspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// Its crates, without those that git is told to ignore.
    pub(crate) crates: Vec<Crate>,
}

/// A crate of the repository.
#[derive(Deserialize)]
pub(crate) struct Crate {
    /// Its name.
    pub(crate) name: String,
    /// What it declares to need.
    pub(crate) dependencies: Vec<Dependency>,
    manifest_path: PathBuf,
}

impl Crate {
    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path
            .parent()
            .unwrap_or_else(|| Path::new("."))
    }
}

/// A dependency as declared.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    /// The crate needed.
    pub(crate) name: String,
    /// `dev`, `build`, or nothing for a normal one.
    kind: Option<String>,
}

impl Dependency {
    /// Whether it becomes part of what is shipped.
    pub(crate) fn normal(&self) -> bool {
        self.kind.is_none()
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let output = step::cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("failed to run cargo metadata")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).context("failed to read cargo metadata")?;
        let root = metadata.workspace_root;
        let mut crates = metadata.packages;
        crates.retain(|it| !ignored_by_git(&root, it.folder()));
        Ok(Self {
            root,
            target: metadata.target_directory,
            crates,
        })
    }
}

/// A crate that git ignores is somebody's own build aid, not part of the house.
fn ignored_by_git(root: &Path, folder: &Path) -> bool {
    Command::new("git")
        .current_dir(root)
        .args(["check-ignore", "--quiet"])
        .arg(folder)
        .status()
        .is_ok_and(|status| status.success())
}
