//! Roots in object stores: what only a store can do wrong.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use offtake_lake::demo::DemoTable;
use offtake_lake::{LakeRoot, Lakes};
use offtake_model::resource::TableFormat;
use offtake_model::{ErrorCode, SourceRef};
use offtake_ports::{Catalog, Lake, LakeRoots, Sources};

use crate::support::{org, refused};

/// A store that can be told to fail its next reads.
#[derive(Debug)]
struct Flaky {
    inner: InMemory,
    failures: AtomicUsize,
    denied: AtomicUsize,
    reads: AtomicUsize,
}

impl Flaky {
    fn trouble(&self) -> Option<Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let due = |count: &AtomicUsize| {
            count
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
        };
        if due(&self.denied) {
            return Some(Error::PermissionDenied {
                path: "x".to_owned(),
                source: "403".into(),
            });
        }
        due(&self.failures).then(|| Error::Generic {
            store: "flaky",
            source: "503 SlowDown".into(),
        })
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.trouble() {
            Some(error) => Err(error),
            None => self.inner.get_opts(location, options).await,
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.trouble() {
            Some(error) => stream::once(async { Err(error) }).boxed(),
            None => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(at, bytes, how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}

/// A store with a demo table at `lake/prefix/events`, and other people's data beside the prefix.
async fn lake() -> (Arc<Flaky>, Lakes) {
    let folder = tempfile::tempdir().unwrap();
    DemoTable::create(&folder.path().join("events"), 1_000, 1, 3).unwrap();
    let store = Arc::new(Flaky {
        inner: InMemory::new(),
        failures: AtomicUsize::new(0),
        denied: AtomicUsize::new(0),
        reads: AtomicUsize::new(0),
    });
    for part in ["events", "events/_delta_log"] {
        for entry in std::fs::read_dir(folder.path().join(part)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let name = entry.file_name().into_string().unwrap();
                let key = Path::parse(format!("lake/prefix/{part}/{name}")).unwrap();
                let bytes = std::fs::read(entry.path()).unwrap();
                store.put(&key, bytes.into()).await.unwrap();
            }
        }
    }
    let secret = Path::from("lake/prefix2/secret.parquet");
    store.put(&secret, "secret".into()).await.unwrap();
    let root = LakeRoot::store(
        "sales",
        "s3://bucket/lake/prefix",
        Arc::<Flaky>::clone(&store),
        Path::from("lake/prefix"),
    );
    (store, Lakes::new(vec![root]).unwrap())
}

fn events() -> SourceRef {
    SourceRef {
        root: "sales".to_owned(),
        path: "events".to_owned(),
    }
}

#[tokio::test]
async fn a_table_in_a_store_is_found_by_name_and_by_url_and_nowhere_else() {
    let (_, lake) = lake().await;
    for location in ["lake://sales/events", "s3://bucket/lake/prefix/events/"] {
        assert_eq!(lake.resolve(&org(), location).unwrap(), events());
    }
    for location in [
        "s3://bucket/lake/prefix2/events",
        "s3://other/lake/prefix/events",
        "s3://bucket/lake/prefix/../prefix2/events",
        "lake://sales/../prefix2",
        "gs://bucket/lake/prefix/events",
    ] {
        let refusal = lake.resolve(&org(), location).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::LocationNotAllowed, "{location}");
    }
    let found = lake.describe(&events()).await.unwrap();
    assert_eq!(found.format, TableFormat::Delta);
}

#[tokio::test]
async fn bytes_are_pinned_to_the_object_that_was_opened() {
    let (store, lake) = lake().await;
    let set = lake
        .snapshot(&events(), TableFormat::Delta, None)
        .await
        .unwrap();
    let slice = set.slices.first().unwrap();
    let reader = lake.open(slice).await.unwrap();
    let whole = reader.read(0..reader.size()).await.unwrap();
    let ranges = [40..90, 0..4, 10..10, reader.size() - 4..reader.size()];
    let parts = reader.read_many(&ranges).await.unwrap();
    for (range, part) in ranges.iter().zip(&parts) {
        let place = |at: u64| usize::try_from(at).unwrap();
        assert_eq!(part, &whole[place(range.start)..place(range.end)]);
    }
    refused(
        reader.read(0..reader.size() + 1).await,
        ErrorCode::SourceCorrupt,
        "bytes that it does not have",
    );

    let key = Path::parse(format!("lake/prefix/{}", slice.source.path)).unwrap();
    store.put(&key, whole.clone().into()).await.unwrap();
    refused(
        reader.read(0..4).await,
        ErrorCode::SourceChanged,
        &slice.source.path,
    );
    store.put(&key, "short".into()).await.unwrap();
    refused(
        lake.open(slice).await.map(|_| ()),
        ErrorCode::SourceChanged,
        "5 bytes",
    );
    store.delete(&key).await.unwrap();
    refused(
        reader.read(0..4).await,
        ErrorCode::SourceVanished,
        &slice.source.path,
    );
    refused(
        lake.open(slice).await.map(|_| ()),
        ErrorCode::SourceVanished,
        &slice.source.path,
    );
}

#[tokio::test]
async fn what_fails_in_passing_is_tried_again_and_then_told() {
    let (store, lake) = lake().await;
    let set = lake
        .snapshot(&events(), TableFormat::Delta, None)
        .await
        .unwrap();
    let reader = lake.open(set.slices.first().unwrap()).await.unwrap();
    store.failures.store(3, Ordering::Relaxed);
    assert_eq!(reader.read(0..4).await.unwrap(), &b"PAR1"[..]);
    store.failures.store(100, Ordering::Relaxed);
    store.reads.store(0, Ordering::Relaxed);
    refused(
        reader.read(0..4).await,
        ErrorCode::SourceUnreachable,
        "could not be read",
    );
    assert_eq!(store.reads.load(Ordering::Relaxed), 4);
    store.failures.store(0, Ordering::Relaxed);
    store.denied.store(1, Ordering::Relaxed);
    refused(
        reader.read(0..4).await,
        ErrorCode::SourceDenied,
        "may not be read",
    );
    store.denied.store(100, Ordering::Relaxed);
    let answer = lake.snapshot(&events(), TableFormat::Delta, None).await;
    refused(answer, ErrorCode::SourceDenied, "may not be read");
}

#[tokio::test]
async fn near_ranges_come_in_one_request() {
    let (store, lake) = lake().await;
    let set = lake
        .snapshot(&events(), TableFormat::Delta, None)
        .await
        .unwrap();
    let reader = lake.open(set.slices.first().unwrap()).await.unwrap();
    store.reads.store(0, Ordering::Relaxed);
    let ranges: Vec<_> = (0..20).map(|nth| nth * 100..nth * 100 + 50).collect();
    reader.read_many(&ranges).await.unwrap();
    assert_eq!(store.reads.load(Ordering::Relaxed), 1);
}
