//! What lies in a folder, page by page, whichever service tells it.
//!
//! A page may be short, even empty, and yet not be the last: only a mark that is missing ends a listing.
//!
//! The one law: every listing ends, by the service's word or by a bound.

use async_trait::async_trait;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::FolderEntry;

use crate::client::Failure;

/// Most files of a folder that is listed whole.
const LISTED_MAX: usize = 1_000_000;

/// Most pages of such a listing: ten times as many as full pages would be.
const PAGES_MAX: usize = 10 * LISTED_MAX / PAGE_ENTRIES;

/// Entries that one page is asked for: with the longest names they stay below the largest answer that is read.
const PAGE_ENTRIES: usize = 2_000;

/// Most pages that a person waits for.
const SHOWN_PAGES_MAX: usize = 16;

/// A part of what lies in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Names of folders.
    pub(crate) folders: Vec<String>,
    /// Names of files.
    pub(crate) files: Vec<String>,
    /// Where the next page begins, when there is one.
    pub(crate) next: Option<String>,
}

/// Tells what lies in folders.
#[async_trait]
pub(crate) trait Pages: Send + Sync {
    /// What lies directly in the folder, which is empty for the top or has a slash at its end. A folder that does not
    /// exist holds nothing.
    async fn page(&self, folder: &str, limit: usize, from: Option<&str>) -> Result<Page, Failure>;
}

/// The names of all files that lie directly in the folder.
pub(crate) async fn files(pages: &dyn Pages, folder: &str) -> Result<Vec<String>, Failure> {
    let (mut names, mut from) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = pages.page(folder, PAGE_ENTRIES, from.as_deref()).await?;
        names.extend(page.files);
        if names.len() > LISTED_MAX {
            break;
        }
        match page.next {
            None => return Ok(names),
            next => from = next,
        }
    }
    let what = format!("folder {folder} holds more than {LISTED_MAX} files");
    Err(Failure::Impossible(Fault::new(
        ErrorCode::DestinationProtocol,
        what,
    )))
}

/// What lies directly in the folder for a person to see, at most `limit` entries: folders first, each kind in the order
/// of its names. Names that begin with a dot are what is staged or given up, and left out.
pub(crate) async fn entries(
    pages: &dyn Pages,
    folder: &str,
    limit: usize,
) -> Result<Vec<FolderEntry>, Failure> {
    let (mut found, mut from) = (Vec::new(), None);
    for _ in 0..SHOWN_PAGES_MAX {
        let wanted = (limit - found.len()).min(PAGE_ENTRIES);
        let page = pages.page(folder, wanted, from.as_deref()).await?;
        let folders = page.folders.into_iter().map(FolderEntry::Folder);
        let files = page.files.into_iter().map(FolderEntry::File);
        found.extend(folders.chain(files).filter(|entry| !is_hidden(entry)));
        if found.len() >= limit || page.next.is_none() {
            break;
        }
        from = page.next;
    }
    found.truncate(limit);
    found.sort_unstable();
    Ok(found)
}

/// The folder as people read it.
pub(crate) fn shown(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}

fn is_hidden(entry: &FolderEntry) -> bool {
    let (FolderEntry::Folder(name) | FolderEntry::File(name)) = entry;
    name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use offtake_ports::FolderEntry;

    use super::{Page, Pages, entries, files};
    use crate::client::Failure;

    /// Gives these pages, one after the other, and marks them by their numbers.
    struct Script(Vec<Page>);

    #[async_trait]
    impl Pages for Script {
        async fn page(&self, _: &str, _: usize, from: Option<&str>) -> Result<Page, Failure> {
            let number: usize = from.map_or(0, |from| from.parse().unwrap());
            let next = (number + 1 < self.0.len()).then(|| (number + 1).to_string());
            Ok(Page {
                next,
                ..self.0[number].clone()
            })
        }
    }

    fn page(folders: &[&str], files: &[&str]) -> Page {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Page {
            folders: owned(folders),
            files: owned(files),
            next: None,
        }
    }

    fn shown(found: &[FolderEntry]) -> Vec<String> {
        let named = |entry: &FolderEntry| match entry {
            FolderEntry::Folder(name) => format!("{name}/"),
            FolderEntry::File(name) => name.clone(),
        };
        found.iter().map(named).collect()
    }

    #[tokio::test]
    async fn a_short_or_empty_page_does_not_end_a_listing() {
        let script = Script(vec![
            page(&["d"], &["a"]),
            page(&[], &[]),
            page(&["b"], &[".mark", "c"]),
        ]);
        assert_eq!(files(&script, "f/").await.unwrap(), ["a", ".mark", "c"]);
        let found = entries(&script, "f/", 10).await.unwrap();
        assert_eq!(shown(&found), ["b/", "d/", "a", "c"]);
        let found = entries(&script, "f/", 3).await.unwrap();
        assert_eq!(shown(&found), ["b/", "d/", "a"]);
        let found = entries(&script, "f/", 1).await.unwrap();
        assert_eq!(shown(&found), ["d/"]);
    }

    #[tokio::test]
    async fn a_listing_without_an_end_is_given_up() {
        struct Endless;

        #[async_trait]
        impl Pages for Endless {
            async fn page(&self, _: &str, _: usize, _: Option<&str>) -> Result<Page, Failure> {
                let next = Some("again".to_owned());
                Ok(Page {
                    next,
                    ..Page::default()
                })
            }
        }

        assert!(files(&Endless, "f/").await.is_err());
        assert_eq!(entries(&Endless, "f/", 10).await.unwrap(), []);
    }
}
