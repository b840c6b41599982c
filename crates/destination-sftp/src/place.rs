//! Keys as paths on the server, and the hidden names beside them.
//!
//! The server resolves paths itself, so a key that could walk elsewhere must never reach it.
//!
//! The one law: every part of a [`Place`] is a plain name of one directory entry.

use offtake_model::{AttemptId, ErrorCode, Fault};

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// Longest name of a directory entry, in bytes: the limit of common file systems.
const NAME_BYTES_MAX: usize = 255;

/// Where a key's file lies, below the folder the login lands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    key: String,
    file_at: usize,
}

impl Place {
    /// Parses a `/`-separated relative path. File names that begin with a dot are kept for hidden files.
    pub(crate) fn parse(key: &str) -> Result<Self, Fault> {
        let broken = |rule: &str| {
            let text = format!("place file {key:?} on the SFTP server: {rule}");
            Err(Fault::new(ErrorCode::Internal, text))
        };
        if key.len() > KEY_BYTES_MAX {
            return broken("the key is longer than 1024 bytes");
        }
        for part in key.split('/') {
            if matches!(part, "" | "." | "..") || part.len() > NAME_BYTES_MAX {
                return broken("a part is empty, `.`, `..` or longer than 255 bytes");
            }
            if part.chars().any(char::is_control) {
                return broken("a part has a control character");
            }
        }
        let file_at = key.rfind('/').map_or(0, |slash| slash + 1);
        let place = Self {
            key: key.to_owned(),
            file_at,
        };
        if place.file().starts_with('.') {
            return broken("a file name begins with a dot");
        }
        Ok(place)
    }

    /// The path of the final file, relative to the login's folder.
    pub(crate) fn path(&self) -> &str {
        &self.key
    }

    /// The path of the attempt's staged file.
    pub(crate) fn part(&self, attempt: AttemptId) -> String {
        self.hidden(&format!("{attempt}.part"))
    }

    /// The path of what marks the attempt as discarded.
    pub(crate) fn gone(&self, attempt: AttemptId) -> String {
        self.hidden(&format!("{attempt}.gone"))
    }

    /// Every folder above the file, outermost first.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        self.key
            .match_indices('/')
            .filter_map(|(slash, _)| self.key.get(..slash))
    }

    /// The file's folder; `.` is the login's own.
    pub(crate) fn folder(&self) -> &str {
        match self.key.get(..self.file_at.saturating_sub(1)) {
            None | Some("") => ".",
            Some(folder) => folder,
        }
    }

    /// A hidden path in the file's folder. The file's name is in it for people, where it fits.
    pub(crate) fn hidden(&self, ending: &str) -> String {
        let folder = self.key.get(..self.file_at).unwrap_or_default();
        let full = format!("{folder}.{}.{ending}", self.file());
        if full.len() - folder.len() <= NAME_BYTES_MAX {
            return full;
        }
        format!("{folder}.{ending}")
    }

    fn file(&self) -> &str {
        self.key.get(self.file_at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_key_that_is_no_plain_relative_path_is_refused() {
        let long = "x".repeat(256);
        for key in [
            "",
            "/",
            "/etc/x",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a\0b",
            "a/\n",
            ".h",
            "a/.h.part",
            &long,
        ] {
            assert!(Place::parse(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn hidden_names_lie_beside_the_file_and_always_fit() {
        let attempt = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let place = Place::parse("a/b/part.json").unwrap();
        assert_eq!(
            place.part(attempt),
            "a/b/.part.json.00000000-0000-4000-8000-000000000001.part"
        );
        assert_eq!(place.folders().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(place.folder(), "a/b");
        let top = Place::parse(&"x".repeat(255)).unwrap();
        assert_eq!(top.folder(), ".");
        assert!(top.gone(attempt).len() <= 255);
    }
}
