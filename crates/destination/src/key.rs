//! Keys as names in folders: checked once, so that no name ever walks up, down or elsewhere.
//!
//! The one law: every part of a [`Key`] is a plain name of one directory entry.

use offtake_model::{AttemptId, ErrorCode, Fault};

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// Longest name of a directory entry, in bytes: the limit of common file systems.
const NAME_BYTES_MAX: usize = 255;

/// A key split into its folders and its file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    folders: Vec<String>,
    file: String,
}

impl Key {
    /// Parses a `/`-separated relative path. Refuses empty, `.` and `..` parts, control characters, parts longer
    /// than a file system takes, and file names that begin with a dot: those are kept for staged files.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let broken = |rule: &str| {
            Fault::new(
                ErrorCode::Internal,
                format!("place file {text:?} in the landing zone: {rule}"),
            )
        };
        if text.len() > KEY_BYTES_MAX {
            return Err(broken("the key is longer than 1024 bytes"));
        }
        let mut folders = text
            .split('/')
            .map(|part| plain(part).map(str::to_owned).map_err(broken))
            .collect::<Result<Vec<_>, _>>()?;
        match folders.pop() {
            Some(file) if !file.starts_with('.') => Ok(Self { folders, file }),
            Some(_) | None => Err(broken("a file name begins with a dot")),
        }
    }

    /// The folders from the sink's root down.
    pub(crate) fn folders(&self) -> &[String] {
        &self.folders
    }

    /// The file's name in the last folder.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The hidden name under which the attempt stages this file, in the same folder.
    pub(crate) fn staged(&self, attempt: AttemptId) -> String {
        let full = format!(".{}.{attempt}.part", self.file);
        if full.len() <= NAME_BYTES_MAX {
            return full;
        }
        // The attempt alone is unique; the file's name is there for people.
        format!(".{attempt}.part")
    }
}

/// The text when it is a plain name of one directory entry, else the rule that it breaks.
pub(crate) fn plain(part: &str) -> Result<&str, &'static str> {
    if matches!(part, "" | "." | "..") {
        return Err("a part is empty, `.` or `..`");
    }
    if part.len() > NAME_BYTES_MAX {
        return Err("a part is longer than 255 bytes");
    }
    if part.chars().any(char::is_control) || part.contains('/') {
        return Err("a part has a control character or a slash");
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use offtake_model::AttemptId;

    use super::Key;

    #[test]
    fn a_key_that_is_no_plain_relative_path_is_refused() {
        let long = "x".repeat(256);
        let longer = "x/".repeat(512) + "y";
        for text in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a/.",
            "./a",
            "a//b",
            "a/",
            "a\0b",
            "a/\n",
            ".hidden",
            "a/.hidden.part",
            &long,
            &longer,
        ] {
            assert!(Key::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_staged_name_is_hidden_carries_the_attempt_and_always_fits() {
        let attempt: AttemptId = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        for length in [1, 100, 212, 213, 214, 255] {
            let key = Key::parse(&format!("a/b/{}", "x".repeat(length))).unwrap();
            let staged = key.staged(attempt);
            assert!(staged.len() <= 255, "{length}");
            assert!(staged.starts_with('.') && staged.ends_with(&format!("{attempt}.part")));
        }
        assert_eq!(
            Key::parse("a/part.json").unwrap().staged(attempt),
            ".part.json.00000000-0000-4000-8000-000000000001.part"
        );
    }
}
