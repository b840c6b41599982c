//! What everybody who keeps uploads promises.

use bytes::Bytes;
use offtake_model::batch::UploadedFile;
use offtake_model::{BatchId, ErrorCode, Tenant};

use super::tenant;
use crate::intake::{Part, Uploads};

/// One batch of one tenant.
struct Bed<'a> {
    uploads: &'a dyn Uploads,
    tenant: Tenant,
    batch: BatchId,
}

const WHOLE: Part = Part::Whole;

const fn range(start: u64, end: u64, total: u64) -> Part {
    Part::Range { start, end, total }
}

/// Whoever keeps uploads, none so far, keeps every promise of the port.
///
/// # Panics
/// When one is broken.
pub async fn keeps_uploads(uploads: &dyn Uploads) {
    let bed = |batch: &str| Bed {
        uploads,
        tenant: tenant("A@AdobeOrg", "prod"),
        batch: BatchId(batch.to_owned()),
    };
    whole_files(&bed("whole")).await;
    parts(&bed("parts")).await;
    bad_parts(&bed("bad")).await;
    names(&bed("names")).await;
    tenants(&bed("tenants")).await;
    ends(&bed("ends")).await;
}

impl Bed<'_> {
    async fn send(
        &self,
        file: &str,
        part: Part,
        pieces: &[&'static str],
    ) -> Result<bool, ErrorCode> {
        let begun = self
            .uploads
            .begin(&self.tenant, &self.batch, file, part)
            .await;
        let mut upload = begun.map_err(|fault| fault.code)?;
        for piece in pieces {
            let bytes = Bytes::from_static(piece.as_bytes());
            upload.write(bytes).await.map_err(|fault| fault.code)?;
        }
        upload.finish().await.map_err(|fault| fault.code)
    }

    async fn initialize(&self, file: &str) -> bool {
        let begun = self
            .uploads
            .initialize(&self.tenant, &self.batch, file)
            .await;
        begun.unwrap()
    }

    async fn complete(&self, file: &str) -> Result<UploadedFile, ErrorCode> {
        let done = self.uploads.complete(&self.tenant, &self.batch, file).await;
        done.map_err(|fault| fault.code)
    }

    async fn list(&self) -> Vec<(String, u64, bool)> {
        let listed = self.uploads.list(&self.tenant, &self.batch).await.unwrap();
        let shown = listed
            .into_iter()
            .map(|it| (it.name, it.bytes, it.complete));
        shown.collect()
    }
}

fn file(name: &str, bytes: u64, complete: bool) -> (String, u64, bool) {
    (name.to_owned(), bytes, complete)
}

/// A file sent whole is there when it is acknowledged, and only then; sent again, it takes the other's place.
async fn whole_files(bed: &Bed<'_>) {
    assert_eq!(bed.list().await, [], "nothing was sent");
    let begun = bed.uploads.begin(&bed.tenant, &bed.batch, "f", WHOLE).await;
    let mut given_up = begun.unwrap();
    given_up.write(Bytes::from_static(b"gone")).await.unwrap();
    assert_eq!(
        bed.list().await,
        [],
        "what was not acknowledged is not there"
    );
    drop(given_up);
    assert_eq!(bed.list().await, [], "an upload given up leaves nothing");
    assert_eq!(bed.send("f", WHOLE, &[]).await, Err(ErrorCode::FileEmpty));
    assert_eq!(bed.list().await, []);
    assert_eq!(bed.send("f", WHOLE, &["one ", "two"]).await, Ok(false));
    assert_eq!(bed.list().await, [file("f", 7, true)]);
    assert_eq!(bed.send("f", WHOLE, &["three"]).await, Ok(true), "replaced");
    assert_eq!(bed.send("e", WHOLE, &["x"]).await, Ok(false));
    assert_eq!(
        bed.list().await,
        [file("e", 1, true), file("f", 5, true)],
        "by name"
    );
}

/// Parts come in any order, and again; a file is whole when they have no gap.
async fn parts(bed: &Bed<'_>) {
    assert_eq!(
        bed.send("f", range(0, 2, 6), &["ab"]).await,
        Err(ErrorCode::UploadRangeInvalid),
        "parts are of a file that was begun"
    );
    assert_eq!(bed.complete("f").await, Err(ErrorCode::ResourceNotFound));
    assert!(bed.initialize("f").await, "new");
    assert!(!bed.initialize("f").await, "begun already");
    assert_eq!(bed.list().await, [file("f", 0, false)]);
    assert_eq!(bed.complete("f").await, Err(ErrorCode::UploadIncomplete));
    assert_eq!(bed.send("f", range(4, 6, 6), &["e", "f"]).await, Ok(false));
    assert_eq!(
        bed.list().await,
        [file("f", 0, false)],
        "counted from the first byte"
    );
    assert!(!bed.initialize("f").await);
    assert_eq!(bed.send("f", range(0, 2, 6), &["ab"]).await, Ok(false));
    assert_eq!(bed.list().await, [file("f", 2, false)]);
    assert_eq!(bed.complete("f").await, Err(ErrorCode::UploadIncomplete));
    assert_eq!(
        bed.send("f", range(0, 2, 6), &["ab"]).await,
        Ok(false),
        "again"
    );
    assert_eq!(bed.send("f", range(2, 4, 6), &["cd"]).await, Ok(false));
    assert_eq!(
        bed.list().await,
        [file("f", 6, false)],
        "whole, but not said to be"
    );
    for _ in 0..2 {
        let done = bed.complete("f").await.unwrap();
        assert_eq!(
            (done.name.as_str(), done.bytes, done.complete),
            ("f", 6, true)
        );
    }
    assert_eq!(bed.list().await, [file("f", 6, true)]);
    assert!(bed.initialize("f").await, "a whole file is begun anew");
    assert_eq!(bed.list().await, [file("f", 0, false)]);
}

/// A part that does not fit is refused and leaves what is there.
async fn bad_parts(bed: &Bed<'_>) {
    assert!(bed.initialize("f").await);
    assert_eq!(bed.send("f", range(2, 4, 6), &["cd"]).await, Ok(false));
    for (part, pieces, why) in [
        (range(0, 3, 6), &["abc"][..], "overlaps another"),
        (range(3, 6, 6), &["def"], "overlaps another"),
        (range(2, 6, 6), &["cdef"], "holds another"),
        (range(0, 2, 7), &["ab"], "another length of the whole"),
        (range(4, 7, 6), &["efg"], "beyond the end"),
        (range(2, 2, 6), &["x"], "no bytes"),
        (range(4, 6, 6), &["e"], "fewer bytes than it says"),
        (range(4, 6, 6), &["e", "fg"], "more bytes than it says"),
    ] {
        assert_eq!(
            bed.send("f", part, pieces).await,
            Err(ErrorCode::UploadRangeInvalid),
            "{why}"
        );
    }
    assert_eq!(
        bed.send("f", range(4, 6, 6), &[]).await,
        Err(ErrorCode::FileEmpty)
    );
    assert_eq!(bed.send("f", range(0, 2, 6), &["ab"]).await, Ok(false));
    assert_eq!(
        bed.list().await,
        [file("f", 4, false)],
        "as if they had never come"
    );
}

/// A name is a name: it leads nowhere, and two are two.
async fn names(bed: &Bed<'_>) {
    let mut all = [
        "../x", "..", "/", "a/b", "a%2Fb", ".hidden", "complete", "A", "a", "%", "é ü", "a b",
        "nul\u{0}", ".aside-1",
    ];
    for name in all {
        assert_eq!(
            bed.send(name, WHOLE, &["x"]).await,
            Ok(false),
            "{name:?} is new"
        );
    }
    all.sort_unstable();
    let listed = bed.list().await;
    let names: Vec<&str> = listed.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, all, "as they were given");
    assert!(
        bed.send("", WHOLE, &["x"]).await.is_err(),
        "no name is no name"
    );
}

/// A batch of the same id is another one elsewhere.
async fn tenants(bed: &Bed<'_>) {
    assert_eq!(bed.send("f", WHOLE, &["x"]).await, Ok(false));
    for stranger in [tenant("A@AdobeOrg", "dev"), tenant("B@AdobeOrg", "prod")] {
        let there = Bed {
            tenant: stranger.clone(),
            batch: bed.batch.clone(),
            uploads: bed.uploads,
        };
        assert_eq!(there.list().await, []);
        assert_eq!(there.complete("f").await, Err(ErrorCode::ResourceNotFound));
        assert_eq!(there.send("f", WHOLE, &["other"]).await, Ok(false));
        bed.uploads.remove(&stranger, &bed.batch).await.unwrap();
    }
    assert_eq!(bed.list().await, [file("f", 1, true)]);
}

/// A batch's bytes are found until they are removed, which can be repeated.
async fn ends(bed: &Bed<'_>) {
    let known = async || {
        let batches = bed.uploads.batches().await.unwrap();
        batches.contains(&(bed.tenant.clone(), bed.batch.clone()))
    };
    assert!(!known().await);
    assert_eq!(bed.send("f", WHOLE, &["x"]).await, Ok(false));
    assert!(bed.initialize("g").await);
    assert!(known().await);
    for _ in 0..2 {
        bed.uploads.remove(&bed.tenant, &bed.batch).await.unwrap();
        assert!(!known().await);
        assert_eq!(bed.list().await, []);
    }
}
