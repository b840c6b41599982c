//! A folder of an object store: everything below a prefix.
//!
//! Requests run on the service's runtime, whoever asks, because connections live on the runtime that made them.
//! What fails in passing is tried again, a few times.
//!
//! The one law: the bytes of one opened file all come from the same object, or there is a fault.

use std::future::Future;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use offtake_model::{ErrorCode, Fault};
use offtake_ports::RangeReader;
use offtake_storage::fault_behind;
use tokio::runtime::Handle;

use super::kernel_store::RemoteStore;
use super::{ENTRIES_MAX, Entry, Opened, Place, Trouble, chain, check_range};

/// Tries of one request beyond the store client's own.
const TRIES: u32 = 4;

/// Pause before the second try; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Ranges with at most so many bytes between them are fetched together.
const GAP_BYTES: u64 = 512 * 1024;

/// Bytes of one request at most; larger ranges are fetched in pieces.
const FETCH_BYTES: u64 = 16 * 1024 * 1024;

/// Requests for one file at the same time.
const FETCHES: usize = 8;

/// Files read at the same time: they mostly wait.
const PARALLEL_READS: usize = 32;

/// Bytes held while a file is read from its beginning to its end.
const READ_AHEAD_BYTES: u64 = 8 * 1024 * 1024;

/// Everything below a prefix of a store.
#[derive(Clone, Debug)]
pub(crate) struct StorePlace {
    /// Paths given to it cannot leave the prefix: it has no `..` and no absolute ones.
    store: Arc<dyn ObjectStore>,
    handle: Handle,
}

impl StorePlace {
    /// Must be made within a runtime, which will carry the requests.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Result<Self, Trouble> {
        let handle =
            Handle::try_current().map_err(|error| Trouble::Unreachable(error.to_string()))?;
        Ok(Self {
            store: Arc::new(PrefixStore::new(store, prefix)),
            handle,
        })
    }

    fn block<T, F>(&self, work: F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Error>>,
    {
        Ok(self.handle.block_on(work)?)
    }

    fn listed(
        &self,
        folder: Option<&Path>,
        after: Option<&Path>,
    ) -> Result<Vec<ObjectMeta>, Trouble> {
        let found = self.block(patiently(|| {
            let listed = match after {
                Some(after) => self.store.list_with_offset(folder, after),
                None => self.store.list(folder),
            };
            listed.take(ENTRIES_MAX + 1).try_collect::<Vec<_>>()
        }))?;
        if found.len() > ENTRIES_MAX {
            return Err(Trouble::Many);
        }
        Ok(found)
    }
}

impl Place for StorePlace {
    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, Trouble> {
        let prefix = key(folder)?;
        let after = after
            .map(|after| key(&format!("{folder}/{after}")))
            .transpose()?;
        let found = self.listed(Some(&prefix), after.as_ref())?;
        // The store lists what is below folders of the folder, too.
        let direct = |entry: &Entry| {
            let rest = entry.path.get(folder.len()..).unwrap_or_default();
            !rest.trim_start_matches('/').contains('/')
        };
        let mut found: Vec<Entry> = found.into_iter().map(entry).filter(direct).collect();
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn walk(&self, enter: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>, Trouble> {
        let mut found: Vec<Entry> = self
            .listed(None, None)?
            .into_iter()
            .map(entry)
            .filter(|entry| match entry.path.rsplit_once('/') {
                Some((folders, _)) => folders.split('/').all(enter),
                None => true,
            })
            .collect();
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn read(&self, path: &str) -> Result<Box<dyn Read + Send>, Trouble> {
        let opened = self.open(path, path)?;
        Ok(Box::new(Sequential {
            reader: opened.reader,
            handle: self.handle.clone(),
            at: 0,
            held: Bytes::new(),
        }))
    }

    fn open(&self, path: &str, name: &str) -> Result<Opened, Trouble> {
        let key = key(path)?;
        let meta = self.block(patiently(|| self.store.head(&key)))?;
        let tag = meta.e_tag;
        Ok(Opened {
            tag: tag.clone(),
            reader: Arc::new(StoreFile {
                store: Arc::clone(&self.store),
                key,
                size: meta.size,
                tag,
                name: name.into(),
            }),
        })
    }

    fn kernel_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(RemoteStore::new(
            Arc::clone(&self.store),
            self.handle.clone(),
        ))
    }

    fn folder(&self, path: &str) -> Result<Arc<dyn Place>, Trouble> {
        Ok(Arc::new(Self {
            store: Arc::new(PrefixStore::new(Arc::clone(&self.store), key(path)?)),
            handle: self.handle.clone(),
        }))
    }

    fn parallel_reads(&self) -> usize {
        PARALLEL_READS
    }
}

fn key(path: &str) -> Result<Path, Trouble> {
    Path::parse(path).map_err(|_| Trouble::Outside)
}

fn entry(meta: ObjectMeta) -> Entry {
    Entry {
        path: meta.location.to_string(),
        bytes: meta.size,
        tag: meta.e_tag,
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if matches!(error, Error::NotFound { .. }) {
            return Self::Absent;
        }
        if matches!(
            error,
            Error::Precondition { .. } | Error::NotModified { .. }
        ) {
            return Self::Changed;
        }
        if matches!(
            error,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
        ) {
            return Self::Denied(chain(&error));
        }
        match refusal(&error) {
            Some(fault) => Self::Refused(Box::new(fault.clone())),
            None => Self::Unreachable(chain(&error)),
        }
    }
}

/// Why the place may not be spoken to, when that is what stopped us. Asking again would not help.
fn refusal(error: &Error) -> Option<&Fault> {
    fault_behind(error).filter(|fault| {
        matches!(
            fault.code,
            ErrorCode::NetworkRefused | ErrorCode::TlsNotTrusted
        )
    })
}

/// Tries the request again while it fails in passing.
async fn patiently<T, F>(mut request: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match request().await {
            Err(ref error @ Error::Generic { .. }) if refusal(error).is_none() => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            answer => return answer,
        }
    }
    request().await
}

/// An object, pinned by its tag.
#[derive(Debug)]
struct StoreFile {
    store: Arc<dyn ObjectStore>,
    key: Path,
    size: u64,
    tag: Option<String>,
    name: Arc<str>,
}

impl StoreFile {
    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        check_range(&self.name, &range, self.size)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let request = || async {
            let options = GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                if_match: self.tag.clone(),
                ..GetOptions::default()
            };
            let answer = self.store.get_opts(&self.key, options).await?;
            // A server that knows no conditions is held to its word here.
            let same = answer.meta.size == self.size && answer.meta.e_tag == self.tag;
            let bytes = answer.bytes().await?;
            Ok((same, bytes))
        };
        let (same, bytes) = patiently(request)
            .await
            .map_err(|error| self.fault(Trouble::from(error)))?;
        if !same {
            return Err(self.fault(Trouble::Changed));
        }
        if bytes.len() as u64 != length {
            return Err(self.fault(Trouble::Unreachable(format!(
                "{} bytes came where {length} were asked for",
                bytes.len()
            ))));
        }
        Ok(bytes)
    }

    fn fault(&self, trouble: Trouble) -> Fault {
        trouble.fault(ErrorCode::SourceVanished, &self.name)
    }
}

#[async_trait]
impl RangeReader for StoreFile {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        let mut parts = self.read_many(std::slice::from_ref(&range)).await?;
        Ok(parts.pop().unwrap_or_default())
    }

    async fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Fault> {
        let pieces = pieces(ranges);
        let parts: Vec<Bytes> = stream::iter(pieces.iter().cloned())
            .map(|piece| self.fetch(piece))
            .buffered(FETCHES)
            .try_collect()
            .await?;
        Ok(ranges
            .iter()
            .map(|range| assemble(range, &pieces, &parts))
            .collect())
    }
}

/// The requests that bring the ranges: near ones together, large ones in pieces. Ascending and disjoint.
fn pieces(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut wanted: Vec<&Range<u64>> = ranges.iter().filter(|range| !range.is_empty()).collect();
    wanted.sort_unstable_by_key(|range| range.start);
    let mut near: Vec<Range<u64>> = Vec::new();
    for range in wanted {
        match near.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES) => {
                last.end = last.end.max(range.end);
            }
            Some(_) | None => near.push(range.clone()),
        }
    }
    let mut pieces = Vec::new();
    for range in near {
        let mut at = range.start;
        while at < range.end {
            let end = at.saturating_add(FETCH_BYTES).min(range.end);
            pieces.push(at..end);
            at = end;
        }
    }
    pieces
}

/// A range out of the pieces that cover it.
fn assemble(range: &Range<u64>, pieces: &[Range<u64>], parts: &[Bytes]) -> Bytes {
    let first = pieces.partition_point(|piece| piece.end <= range.start);
    let mut taken = pieces
        .iter()
        .zip(parts)
        .skip(first)
        .take_while(|(piece, _)| piece.start < range.end)
        .map(|(piece, part)| {
            let from = range.start.max(piece.start) - piece.start;
            let to = range.end.min(piece.end) - piece.start;
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(part.len());
            part.slice(place(from)..place(to))
        });
    let Some(head) = taken.next() else {
        return Bytes::new();
    };
    let Some(next) = taken.next() else {
        return head;
    };
    let mut whole = BytesMut::from(head.as_ref());
    whole.extend_from_slice(&next);
    for part in taken {
        whole.extend_from_slice(&part);
    }
    whole.freeze()
}

/// Reads a file from its beginning to its end, some at a time.
struct Sequential {
    reader: Arc<dyn RangeReader>,
    handle: Handle,
    at: u64,
    held: Bytes,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() {
            let end = self
                .at
                .saturating_add(READ_AHEAD_BYTES)
                .min(self.reader.size());
            self.held = self
                .handle
                .block_on(self.reader.read(self.at..end))
                .map_err(io::Error::other)?;
            self.at = end;
        }
        let length = buffer.len().min(self.held.len());
        let taken = self.held.split_to(length);
        buffer
            .get_mut(..length)
            .unwrap_or_default()
            .copy_from_slice(&taken);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_hold_every_range_and_no_piece_is_too_large(
            starts in prop::collection::vec((0_u64..200_000_000, 0_u64..40_000_000), 0..12),
        ) {
            let ranges: Vec<Range<u64>> = starts.iter().map(|(at, length)| *at..at + length).collect();
            let pieces = pieces(&ranges);
            for pair in pieces.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            prop_assert!(pieces.iter().all(|piece| piece.end - piece.start <= FETCH_BYTES));
            for range in ranges.iter().filter(|range| !range.is_empty()) {
                let held: u64 = pieces
                    .iter()
                    .map(|piece| piece.end.min(range.end).saturating_sub(piece.start.max(range.start)))
                    .sum();
                prop_assert_eq!(held, range.end - range.start);
            }
        }

        #[test]
        fn assembled_ranges_are_the_bytes_asked_for(
            cuts in prop::collection::btree_set(1_usize..100, 0..6),
            range in (0_usize..100, 0_usize..100),
        ) {
            let content: Vec<u8> = (0..100).collect();
            let mut edges = vec![0];
            edges.extend(cuts);
            edges.push(100);
            let pieces: Vec<Range<u64>> = edges.windows(2).map(|it| it[0] as u64..it[1] as u64).collect();
            let parts: Vec<Bytes> = edges.windows(2).map(|it| Bytes::copy_from_slice(&content[it[0]..it[1]])).collect();
            let (start, end) = (range.0.min(range.1), range.0.max(range.1));
            let whole = assemble(&(start as u64..end as u64), &pieces, &parts);
            prop_assert_eq!(whole.as_ref(), &content[start..end]);
        }
    }
}
