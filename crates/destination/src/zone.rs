//! Reads landing zones for callers who have no file system in common with them: pages of what is visible, and bytes.
//!
//! It follows no link, shows no staged file and changes nothing. What can't be the key of a delivered file, because
//! somebody else put it there, is left out.
//!
//! The one law: what a page lists can be opened by its key, and nothing else can.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{ErrorCode, Fault, Millis, Tenant};
use offtake_ports::{
    Depth, OpenZoneFile, RangeReader, ZoneEntry, ZoneFile, ZoneFiles, ZonePage, ZoneQuery,
};

use crate::dir::{Dir, Entry, Named};
use crate::fault::from_io;
use crate::folder::blocking;
use crate::key::Key;
use crate::sinks::FolderSinks;

/// Folders within folders that are looked into; a key of 1,024 bytes has no more.
const DEPTH_MAX: usize = 512;

#[async_trait]
impl ZoneFiles for FolderSinks {
    async fn page(&self, tenant: &Tenant, query: &ZoneQuery) -> Result<ZonePage, Fault> {
        let (zone, query) = (self.zone(tenant).await?, query.clone());
        blocking(move || {
            let mut walk = Walk::new(&query);
            walk.enter(zone.dir(), "", 0)
                .map_err(|error| from_io(&error, "list", &query.prefix))?;
            Ok(walk.page())
        })
        .await
    }

    async fn open(&self, tenant: &Tenant, key: &str) -> Result<Option<OpenZoneFile>, Fault> {
        if Key::parse(key).is_err() {
            return Ok(None);
        }
        let file = match self.zone(tenant).await?.open(key).await {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            // A link or a file where a folder of the key should be: no file has that key.
            Err(fault) if fault.code == ErrorCode::DestinationConflict => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let named = key.to_owned();
        blocking(move || {
            let metadata = file
                .metadata()
                .map_err(|error| from_io(&error, "open", &named))?;
            let seen = seen(&named, &metadata);
            let reader = Arc::new(FileBytes {
                key: named,
                bytes: seen.bytes,
                file: Arc::new(file),
            });
            Ok(Some(OpenZoneFile { file: seen, reader }))
        })
        .await
    }
}

/// One walk over a zone, in the order of keys, until the page is full.
struct Walk<'a> {
    query: &'a ZoneQuery,
    entries: Vec<ZoneEntry>,
}

impl<'a> Walk<'a> {
    const fn new(query: &'a ZoneQuery) -> Self {
        Self {
            query,
            entries: Vec::new(),
        }
    }

    /// One more than the page holds says that there is a next one.
    fn full(&self) -> bool {
        self.entries.len() > self.query.limit
    }

    fn page(mut self) -> ZonePage {
        let more = self.full();
        self.entries.truncate(self.query.limit);
        let last = self.entries.last().map(|entry| entry.key().to_owned());
        ZonePage {
            entries: self.entries,
            next: last.filter(|_| more),
        }
    }

    fn enter(&mut self, dir: &Dir, base: &str, depth: usize) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Ok(());
        }
        let mut names = dir.names()?;
        // As keys sort: a folder's name goes on with a slash.
        names.sort_by_cached_key(Named::sort_key);
        for named in names {
            if self.full() {
                break;
            }
            match named {
                Named::Folder(name) => self.folder(dir, base, &name, depth)?,
                Named::File(name) => self.file(dir, base, &name)?,
            }
        }
        Ok(())
    }

    fn folder(&mut self, dir: &Dir, base: &str, name: &str, depth: usize) -> io::Result<()> {
        let key = format!("{base}{name}/");
        let prefix = self.query.prefix.as_str();
        let within = key.starts_with(prefix);
        let after = self.query.after.as_deref().unwrap_or_default();
        if !(within || prefix.starts_with(&key))
            || (key.as_str() <= after && !after.starts_with(&key))
        {
            return Ok(());
        }
        if within && key.len() > prefix.len() && self.query.depth == Depth::Shallow {
            if key.as_str() > after {
                self.entries.push(ZoneEntry::Folder(key));
            }
            return Ok(());
        }
        match dir.folder_named(name)? {
            Some(below) => self.enter(&below, &key, depth + 1),
            // It was emptied and removed meanwhile.
            None => Ok(()),
        }
    }

    fn file(&mut self, dir: &Dir, base: &str, name: &str) -> io::Result<()> {
        let key = format!("{base}{name}");
        let after = self.query.after.as_deref().unwrap_or_default();
        if !key.starts_with(&self.query.prefix)
            || key.as_str() <= after
            || Key::parse(&key).is_err()
        {
            return Ok(());
        }
        if let Entry::File(_, metadata) = dir.entry(name)? {
            self.entries.push(ZoneEntry::File(seen(&key, &metadata)));
        }
        Ok(())
    }
}

fn seen(key: &str, metadata: &Metadata) -> ZoneFile {
    let modified = metadata.mtime().saturating_mul(1_000) + metadata.mtime_nsec() / 1_000_000;
    ZoneFile {
        key: key.to_owned(),
        bytes: metadata.len(),
        modified_at: Millis(modified),
        etag: format!(
            "0x{:X}{:016X}{:X}",
            metadata.len(),
            metadata.mtime().saturating_mul(1_000_000_000) + metadata.mtime_nsec(),
            metadata.ino()
        ),
    }
}

/// The bytes of one open file. A file that was removed meanwhile is read to its end all the same.
struct FileBytes {
    key: String,
    bytes: u64,
    file: Arc<File>,
}

#[async_trait]
impl RangeReader for FileBytes {
    fn size(&self) -> u64 {
        self.bytes
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        let (file, key) = (Arc::clone(&self.file), self.key.clone());
        blocking(move || {
            let length =
                usize::try_from(range.end.saturating_sub(range.start)).map_err(|error| {
                    Fault::new(
                        ErrorCode::Internal,
                        format!("read file {key} of the landing zone"),
                    )
                    .because(&error)
                })?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, range.start)
                .map_err(|error| from_io(&error, "read", &key))?;
            Ok(Bytes::from(bytes))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use offtake_model::{OrgId, SandboxName, Tenant};
    use offtake_ports::testing::retention_suite::withdraws;
    use offtake_ports::{Depth, ZoneFiles, ZonePage, ZoneQuery};
    use proptest::prelude::*;

    use crate::FolderSinks;

    fn tenant(sandbox: &str) -> Tenant {
        Tenant {
            org: OrgId("o".to_owned()),
            sandbox: SandboxName(sandbox.to_owned()),
        }
    }

    fn zone_of(keys: &[&str]) -> (tempfile::TempDir, FolderSinks) {
        let root = tempfile::tempdir().unwrap();
        let sinks = FolderSinks::new(root.path().to_owned()).unwrap();
        for key in keys {
            let path = sinks.folder(&tenant("prod")).join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, key.as_bytes()).unwrap();
        }
        (root, sinks)
    }

    fn query(prefix: &str, depth: Depth, limit: usize) -> ZoneQuery {
        ZoneQuery {
            prefix: prefix.to_owned(),
            after: None,
            depth,
            limit,
        }
    }

    fn keys(page: &ZonePage) -> Vec<&str> {
        page.entries
            .iter()
            .map(offtake_ports::ZoneEntry::key)
            .collect()
    }

    /// Every entry, page by page.
    async fn all(sinks: &FolderSinks, mut query: ZoneQuery) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let page = sinks.page(&tenant("prod"), &query).await.unwrap();
            assert!(page.entries.len() <= query.limit);
            found.extend(page.entries.iter().map(|it| it.key().to_owned()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return found,
            }
        }
    }

    const KEYS: [&str; 6] = ["a-b/x", "a/b/1", "a/b/2", "a/c", "a0", "é/ü"];

    #[tokio::test]
    async fn pages_together_list_every_file_in_the_order_of_keys() {
        let (_root, sinks) = zone_of(&KEYS);
        let mut expected = KEYS.to_vec();
        expected.sort_unstable();
        for limit in [1, 2, 3, 100] {
            assert_eq!(
                all(&sinks, query("", Depth::Deep, limit)).await,
                expected,
                "{limit}"
            );
        }
        assert_eq!(
            all(&sinks, query("a/b", Depth::Deep, 1)).await,
            ["a/b/1", "a/b/2"]
        );
        assert_eq!(all(&sinks, query("b", Depth::Deep, 1)).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_shallow_page_names_folders_once() {
        let (_root, sinks) = zone_of(&KEYS);
        for limit in [1, 2, 100] {
            let shallow = |prefix| query(prefix, Depth::Shallow, limit);
            assert_eq!(all(&sinks, shallow("")).await, ["a-b/", "a/", "a0", "é/"]);
            assert_eq!(all(&sinks, shallow("a/")).await, ["a/b/", "a/c"]);
            assert_eq!(all(&sinks, shallow("a")).await, ["a-b/", "a/", "a0"]);
        }
    }

    #[tokio::test]
    async fn neither_staged_files_nor_links_nor_other_tenants_are_seen() {
        let (root, sinks) = zone_of(&["a/.part.json.part", "a/x", ".hidden"]);
        let zone = sinks.folder(&tenant("prod"));
        fs::write(root.path().join("secret"), b"s").unwrap();
        symlink(root.path().join("secret"), zone.join("a/link")).unwrap();
        symlink(root.path(), zone.join("up")).unwrap();
        let other = sinks.folder(&tenant("dev"));
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("theirs"), b"t").unwrap();

        let page = sinks
            .page(&tenant("prod"), &query("", Depth::Deep, 10))
            .await
            .unwrap();
        assert_eq!(keys(&page), ["a/x"]);
        for key in [
            "a/.part.json.part",
            ".hidden",
            "a/link",
            "up/secret",
            "../dev/theirs",
            "a/../a/x",
            "/a/x",
            "a",
            "",
            "a/x/",
        ] {
            let found = sinks.open(&tenant("prod"), key).await.unwrap();
            assert!(found.is_none(), "{key:?}");
        }
        let opened = sinks.open(&tenant("prod"), "a/x").await.unwrap().unwrap();
        assert_eq!(opened.reader.read(1..3).await.unwrap(), "/x");
        assert!(opened.reader.read(1..4).await.is_err());
    }

    #[tokio::test]
    async fn what_was_put_is_withdrawn_by_its_bytes() {
        let (_root, sinks) = zone_of(&["withdraw/mine"]);
        let zone = sinks.zone(&tenant("prod")).await.unwrap();
        assert_eq!(withdraws(&zone).await, Ok(()));
        let rest = all(&sinks, query("", Depth::Deep, 10)).await;
        assert_eq!(rest, ["withdraw/mine"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn paging_is_the_filter_of_all_keys(
            names in proptest::collection::btree_set("[ab]{1,2}(/[ab]{1,2}){0,2}", 0..12),
            prefix in "[ab/]{0,3}",
            limit in 1_usize..4,
        ) {
            // A name can't be a file and a folder.
            let keys: Vec<String> = names.iter().map(|name| format!("{}.f", name.replace('/', ".d/"))).collect();
            let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
            let (_root, sinks) = zone_of(&texts);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(all(&sinks, query(&prefix, Depth::Deep, limit)));
            let mut expected: Vec<&str> = texts.iter().copied().filter(|key| key.starts_with(&prefix)).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
