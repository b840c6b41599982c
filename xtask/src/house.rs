//! The house rules that no compiler knows, read off the text of the files.
//!
//! It judges by lines, not by syntax: a rule that needs a parser belongs to clippy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Lines of a source file, without its tests, before it has to say why.
const FILE_LINES_MAX: usize = 400;

/// Folders whose code has no IO, no clock, no randomness, no async and no careless panic.
const PURE: &[&str] = &["crates/model/src", "crates/core/src", "crates/encode/src"];

/// What is never written in the pure folders outside tests, and why.
const IMPURE: &[(&str, &str)] = &[
    (".unwrap()", "no careless panic"),
    ("async fn", "no async"),
    ("SystemTime", "no clock"),
    ("Instant::now", "no clock"),
    ("std::fs", "no IO"),
    ("std::net", "no IO"),
    ("std::env", "no IO"),
];

/// What is never written anywhere, and why. Split, so that this file does not accuse itself.
const NOWHERE: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "open ends are issues"),
    (concat!("FIX", "ME"), "open ends are issues"),
    (
        concat!("#[ig", "nore"),
        "pin the wrong behaviour with a reason instead",
    ),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/Us", "ers/"), "a path of one machine"),
];

/// Endings of the files that are read.
const READ: &[&str] = &["rs", "toml", "sql", "md", "py", "json", "txt", "yml", "sh"];

/// File names that say nothing.
const NAMELESS: &[&str] = &["mod.rs", "utils.rs", "util.rs", "helpers.rs", "common.rs"];

/// Every breach in the files that git knows or would add, in words.
pub(crate) fn violations(workspace: &Workspace) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for path in paths(&workspace.root)? {
        let ending = path.extension().and_then(|it| it.to_str()).unwrap_or("");
        if !READ.contains(&ending) {
            continue;
        }
        // A file that was deleted but not yet committed is still in git's list.
        if let Ok(text) = fs::read_to_string(workspace.root.join(&path)) {
            files.push((path, text));
        }
    }
    let tests: Vec<PathBuf> = files
        .iter()
        .flat_map(|it| test_modules(&it.0, &it.1))
        .collect();
    let mut found = Vec::new();
    for (path, text) in &files {
        everywhere(path, text, &mut found);
        let of_tests = tests
            .iter()
            .any(|test| path.starts_with(test) || *path == test.with_extension("rs"));
        if !of_tests && path.extension().is_some_and(|it| it == "rs") {
            module(path, text, &mut found);
        }
    }
    Ok(found)
}

fn paths(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("failed to run git ls-files")?;
    let list = String::from_utf8(output.stdout).context("failed to read git's list of files")?;
    Ok(list.lines().map(PathBuf::from).collect())
}

fn everywhere(path: &Path, text: &str, found: &mut Vec<String>) {
    let place = path.display();
    for (number, line) in (1..).zip(text.lines()) {
        for (needle, why) in NOWHERE.iter().filter(|(needle, _)| line.contains(needle)) {
            found.push(format!("{place}:{number}: `{needle}`: {why}"));
        }
    }
}

fn module(path: &Path, text: &str, found: &mut Vec<String>) {
    let place = path.display();
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or("");
    if NAMELESS.contains(&name) {
        found.push(format!("{place}: a file is named after its noun"));
    }
    if !path.components().any(|part| part.as_os_str() == "src") {
        return;
    }
    if !text.starts_with("//!") && !text.starts_with("#![doc = include_str!") {
        found.push(format!("{place}: a module begins with its doc, `//! …`"));
    }
    let product = without_tests(text);
    let lines = product.len();
    if lines > FILE_LINES_MAX && !text.contains("//! budget:") {
        found.push(format!(
            "{place}: {lines} lines; split it by noun, or say why in its doc: `//! budget: …`"
        ));
    }
    if PURE.iter().any(|folder| path.starts_with(folder)) {
        pure(path, &product, found);
    }
}

fn pure(path: &Path, product: &[&str], found: &mut Vec<String>) {
    for (number, line) in (1..).zip(product) {
        let code = line.split("//").next().unwrap_or(line);
        for (needle, why) in IMPURE.iter().filter(|(needle, _)| code.contains(needle)) {
            found.push(format!(
                "{}:{number}: `{needle}` in a pure crate: {why}",
                path.display()
            ));
        }
    }
}

/// The lines before the file's own tests, which stand at its end.
fn without_tests(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines
        .windows(2)
        .position(|pair| matches!(pair, ["#[cfg(test)]", next] if next.contains('{')));
    lines.into_iter().take(end.unwrap_or(usize::MAX)).collect()
}

/// Folders of the modules that a file declares for tests only; each is also a file of that name.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let root = path.ends_with("lib.rs") || path.ends_with("main.rs");
    let folder = if root {
        path.parent().map(Path::to_path_buf).unwrap_or_default()
    } else {
        path.with_extension("")
    };
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| matches!(pair, ["#[cfg(test)]", _]))
        .filter_map(|pair| pair.get(1)?.rsplit(' ').next()?.strip_suffix(';'))
        .map(|name| folder.join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: usize) {
        let mut found = Vec::new();
        let path = Path::new(path);
        everywhere(path, text, &mut found);
        if path.extension().unwrap() == "rs" {
            module(path, text, &mut found);
        }
        assert_eq!(found.len(), expect, "{found:?}");
    }

    #[test]
    fn a_pure_crate_neither_waits_nor_looks_at_a_clock() {
        check("crates/core/src/a.rs", "//! A.\nasync fn f() {}\n", 1);
        check("crates/core/src/a.rs", "//! A.\nSystemTime::now()\n", 1);
        check("crates/store/src/a.rs", "//! A.\nasync fn f() {}\n", 0);
    }

    #[test]
    fn tests_and_comments_of_a_pure_crate_may_say_what_they_like() {
        let text = "//! A.\n// no async fn here\n#[cfg(test)]\nmod tests { x.unwrap() }\n";
        check("crates/core/src/a.rs", text, 0);
    }

    #[test]
    fn a_long_file_says_why() {
        let long = "let x = 1;\n".repeat(FILE_LINES_MAX + 1);
        check("crates/api/src/a.rs", &format!("//! A.\n{long}"), 1);
        let said = format!("//! A.\n//! budget: one table.\n{long}");
        check("crates/api/src/a.rs", &said, 0);
    }

    #[test]
    fn a_module_begins_with_its_doc_and_has_a_name() {
        check("crates/api/src/a.rs", "fn f() {}\n", 1);
        check("crates/api/src/mod.rs", "//! A.\n", 1);
    }

    #[test]
    fn modules_declared_for_tests_are_known() {
        let text =
            "//! A.\n#[cfg(test)]\nmod check;\n#[cfg(test)]\npub(crate) mod fixture;\nmod real;\n";
        let found = test_modules(Path::new("crates/core/src/delivery.rs"), text);
        let folder = Path::new("crates/core/src/delivery");
        assert_eq!(found, [folder.join("check"), folder.join("fixture")]);
        let found = test_modules(Path::new("crates/core/src/lib.rs"), text);
        assert_eq!(found[0], Path::new("crates/core/src/check"));
    }

    #[test]
    fn open_ends_are_found_in_every_kind_of_file() {
        let text = concat!("-- TO", "DO: later\n");
        check("crates/store/migrations/1.sql", text, 1);
    }
}
