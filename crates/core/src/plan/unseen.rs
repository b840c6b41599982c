//! What is new in a Parquet folder: one look into it against the files that were delivered before.
//!
//! A folder keeps no log. A file is the same while path, size and tag are; a late file is just a new one.
//!
//! The one law: every file of the look is new or was seen as it is, or the answer is a rewrite.

use std::collections::BTreeMap;

use offtake_model::FolderFile;

/// What one look into a folder says of what was seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Look {
    /// All that was seen lies there as it was; these files are new, in the order of the look.
    Added(Vec<FolderFile>),
    /// Something that was seen has other bytes or is gone: the first such path, and which of the two.
    Rewritten {
        /// For the message: `file a/b.parquet (rewritten)`.
        at: String,
    },
}

/// Compares a look with what was seen before. A path stands in each at most once.
pub fn unseen(look: &[FolderFile], seen: &[FolderFile]) -> Look {
    let mut before: BTreeMap<&str, &FolderFile> =
        seen.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut added = Vec::new();
    for file in look {
        match before.remove(file.path.as_str()) {
            None => added.push(file.clone()),
            Some(known) if known == file => {}
            Some(_) => return rewritten(&file.path, "rewritten"),
        }
    }
    match before.into_keys().next() {
        Some(path) => rewritten(path, "removed"),
        None => Look::Added(added),
    }
}

fn rewritten(path: &str, how: &str) -> Look {
    Look::Rewritten {
        at: format!("file {path} ({how})"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(content: &BTreeMap<u8, (u64, u8)>) -> Vec<FolderFile> {
        let file = |(path, (bytes, tag)): (&u8, &(u64, u8))| FolderFile {
            path: format!("p/{path}"),
            bytes: *bytes,
            tag: Some(tag.to_string()),
        };
        content.iter().map(file).collect()
    }

    fn folder() -> impl Strategy<Value = BTreeMap<u8, (u64, u8)>> {
        prop::collection::btree_map(0_u8..40, (1_u64..4, 0_u8..3), 0..30)
    }

    proptest! {
        #[test]
        fn what_was_added_is_what_is_new_whatever_the_order(before in folder(), more in folder()) {
            let mut now = before.clone();
            for (path, stamp) in &more {
                now.entry(*path).or_insert(*stamp);
            }
            let mut seen = files(&before);
            seen.reverse();
            let fresh: BTreeMap<_, _> = now.iter().filter(|it| !before.contains_key(it.0)).map(|(path, stamp)| (*path, *stamp)).collect();
            prop_assert_eq!(unseen(&files(&now), &seen), Look::Added(files(&fresh)));
        }

        #[test]
        fn additions_one_after_the_other_tile_the_folder(looks in prop::collection::vec(folder(), 1..5)) {
            let (mut now, mut seen) = (BTreeMap::new(), Vec::new());
            for look in looks {
                for (path, stamp) in look {
                    now.entry(path).or_insert(stamp);
                }
                let Look::Added(added) = unseen(&files(&now), &seen) else {
                    panic!("nothing was rewritten");
                };
                seen.extend(added);
            }
            seen.sort_by(|a, b| a.path.cmp(&b.path));
            let mut all = files(&now);
            all.sort_by(|a, b| a.path.cmp(&b.path));
            prop_assert_eq!(seen, all);
        }

        #[test]
        fn any_other_stamp_or_missing_file_is_a_rewrite(before in folder(), now in folder()) {
            let kept = before.iter().all(|(path, stamp)| now.get(path) == Some(stamp));
            let rewritten = matches!(unseen(&files(&now), &files(&before)), Look::Rewritten { .. });
            prop_assert_eq!(rewritten, !kept);
        }
    }

    #[test]
    fn a_rewrite_names_its_file() {
        let before = files(&BTreeMap::from([(1, (1, 0)), (2, (1, 0))]));
        let changed = files(&BTreeMap::from([(1, (1, 1)), (2, (1, 0))]));
        let at = |look| match look {
            Look::Rewritten { at } => at,
            Look::Added(added) => panic!("{added:?}"),
        };
        assert_eq!(at(unseen(&changed, &before)), "file p/1 (rewritten)");
        assert_eq!(at(unseen(&before[..1], &before)), "file p/2 (removed)");
    }
}
