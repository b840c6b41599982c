//! What everybody who keeps managed datasets promises.

use bytes::Bytes;
use offtake_model::batch::{Batch, BatchState, Promoted, Row, UploadPreview};
use offtake_model::{BatchId, DatasetId, SourceRef, Tenant};
use serde_json::json;

use super::{batch, tenant};
use crate::intake::{Intake, Part, Uploads};

struct Bed<'a> {
    intake: &'a dyn Intake,
    uploads: &'a dyn Uploads,
    tenant: Tenant,
    table: SourceRef,
}

/// Whoever keeps managed datasets, none so far, makes them of those uploads and keeps every promise of the port.
///
/// # Panics
/// When one is broken.
pub async fn makes_rows(intake: &dyn Intake, uploads: &dyn Uploads) {
    places(intake);
    let bed = async |dataset: &str| {
        let tenant = tenant("A@AdobeOrg", "prod");
        let table = intake.place(&tenant, &DatasetId(dataset.to_owned()));
        intake.create(&table).await.unwrap();
        Bed {
            intake,
            uploads,
            tenant,
            table,
        }
    };
    promotes_once(&bed("once").await).await;
    refuses_whole(&bed("refused").await).await;
    takes_back(&bed("reverted").await).await;
    looks_ahead(&bed("looked at").await).await;
}

/// Each dataset of each tenant has a place of its own, always the same.
fn places(intake: &dyn Intake) {
    let mut seen: Vec<SourceRef> = Vec::new();
    for org in ["A@AdobeOrg", "B@AdobeOrg"] {
        for sandbox in ["prod", "dev"] {
            for dataset in ["d1", "d2"] {
                let dataset = DatasetId(dataset.to_owned());
                let place = intake.place(&tenant(org, sandbox), &dataset);
                assert_eq!(place, intake.place(&tenant(org, sandbox), &dataset));
                assert!(intake.manages(&place));
                assert!(!seen.contains(&place), "{place:?} is somebody else's");
                seen.push(place);
            }
        }
    }
    let elsewhere = SourceRef {
        root: "default".to_owned(),
        path: seen[0].path.clone(),
    };
    assert!(!intake.manages(&elsewhere), "what others write is theirs");
}

impl Bed<'_> {
    fn batch(&self, id: &str, attempts: u32) -> Batch {
        let mut made = batch(&self.tenant, id, 1);
        made.state = BatchState::Staging;
        made.details.attempts = attempts;
        made
    }

    async fn send(&self, id: &str, file: &str, text: &'static str) {
        let id = BatchId(id.to_owned());
        let begun = self
            .uploads
            .begin(&self.tenant, &id, file, Part::Whole)
            .await;
        let mut upload = begun.unwrap();
        upload
            .write(Bytes::from_static(text.as_bytes()))
            .await
            .unwrap();
        upload.finish().await.unwrap();
    }

    async fn promote(&self, id: &str, attempts: u32) -> Promoted {
        let batch = self.batch(id, attempts);
        self.intake.promote(&self.table, &batch).await.unwrap()
    }

    async fn version(&self, id: &str) -> u64 {
        match self.promote(id, 1).await {
            Promoted::Committed { version, .. } => version,
            Promoted::Refused { bad_rows, .. } => panic!("{id} was refused: {bad_rows:?}"),
        }
    }

    async fn rows(&self, most: usize) -> Vec<Row> {
        self.intake.preview(&self.table, most).await.unwrap()
    }

    /// The values of the one column, ascending.
    async fn values(&self) -> Vec<i64> {
        let rows = self.rows(1_000).await;
        let mut values: Vec<i64> = rows.iter().filter_map(|row| row["n"].as_i64()).collect();
        values.sort_unstable();
        values
    }
}

/// All rows of a batch's files come in one commit, however often the batch is promoted.
async fn promotes_once(bed: &Bed<'_>) {
    assert!(bed.rows(10).await.is_empty(), "a new table has no rows");
    bed.send("B1", "one", "{\"n\":1}\n{\"n\":2}\n").await;
    bed.send("B1", "two", "{\"n\":3}\n").await;
    let first = bed.promote("B1", 1).await;
    let Promoted::Committed { version, metrics } = &first else {
        panic!("the batch was refused: {first:?}")
    };
    assert_eq!((metrics.input_files, metrics.input_rows), (2, 3));
    assert_eq!((metrics.output_rows, metrics.failed_rows), (3, 0));
    assert_eq!(bed.values().await, [1, 2, 3]);
    let files = bed.intake.files(&bed.table, *version).await.unwrap();
    assert_eq!(files.len() as u64, metrics.output_files);
    assert_eq!(files.iter().map(|it| it.rows).sum::<u64>(), 3);
    assert_eq!(
        files.iter().map(|it| it.bytes).sum::<u64>(),
        metrics.output_bytes
    );

    // The service ended before it wrote down what was committed, with the uploads still there and without.
    for attempts in [2, 3] {
        let again = bed.promote("B1", attempts).await;
        let Promoted::Committed {
            version: same,
            metrics,
        } = again
        else {
            panic!("what was committed is refused: {again:?}")
        };
        assert_eq!((same, metrics.output_rows), (*version, 3));
        let id = BatchId("B1".to_owned());
        bed.uploads.remove(&bed.tenant, &id).await.unwrap();
    }
    assert_eq!(bed.values().await, [1, 2, 3]);

    bed.intake.create(&bed.table).await.unwrap();
    assert_eq!(bed.values().await, [1, 2, 3], "a table that is there stays");
    bed.send("B2", "one", "{\"n\":4}").await;
    assert!(
        bed.version("B2").await > *version,
        "later batches have later versions"
    );
    assert_eq!(bed.values().await, [1, 2, 3, 4]);
    assert_eq!(bed.rows(2).await.len(), 2, "no more than asked for");
    let brought = bed.intake.files(&bed.table, *version).await.unwrap();
    assert_eq!(brought, files, "a version's files stay its own");
}

/// A batch with a row that cannot be read brings none.
async fn refuses_whole(bed: &Bed<'_>) {
    bed.send("C1", "good", "{\"n\":1}\n").await;
    bed.send("C1", "mixed", "{\"n\":2}\n{\"n\":\n{\"n\":3}\n")
        .await;
    let refused = bed.promote("C1", 1).await;
    let Promoted::Refused { metrics, bad_rows } = refused else {
        panic!("a batch with a bad row was taken")
    };
    assert_eq!(metrics.failed_rows, 1);
    let told: Vec<(&str, u64)> = bad_rows
        .iter()
        .map(|it| (it.file.as_str(), it.line))
        .collect();
    assert_eq!(told, [("mixed", 2)]);
    assert!(!bad_rows[0].reason.is_empty());
    assert!(bed.rows(10).await.is_empty());
    // Mended, it is taken.
    bed.send("C1", "mixed", "{\"n\":2}\n").await;
    bed.version("C1").await;
    assert_eq!(bed.values().await, [1, 2]);
}

/// Uploads can be looked at before they are rows; looking changes nothing.
async fn looks_ahead(bed: &Bed<'_>) {
    let look = async |rows| {
        let batch = bed.batch("D1", 1);
        bed.intake.preview_uploads(&batch, rows).await.unwrap()
    };
    assert_eq!(look(5).await, UploadPreview::default(), "no files");
    bed.send("D1", "one", "{\"n\":1}\n{\"n\":\n{\"n\":2,\"m\":\"x\"}\n")
        .await;
    bed.send("D1", "two", "{\"n\":3}").await;
    let all = look(5).await;
    assert_eq!(all.columns, ["n", "m"]);
    let rows = serde_json::to_value(&all.rows).unwrap();
    assert_eq!(rows, json!([{"n": 1}, {"n": 2, "m": "x"}, {"n": 3}]));
    assert_eq!(look(2).await.rows, all.rows[..2]);
    assert!(bed.rows(10).await.is_empty());
    assert_eq!(look(5).await, all);
}

/// A revert takes the rows of one batch; done again, it takes nothing more.
async fn takes_back(bed: &Bed<'_>) {
    bed.send("E1", "one", "{\"n\":1}\n").await;
    let first = bed.version("E1").await;
    bed.send("E2", "one", "{\"n\":2}\n").await;
    let second = bed.version("E2").await;
    let id = BatchId("E1".to_owned());
    for _ in 0..2 {
        bed.intake.revert(&bed.table, &id, first).await.unwrap();
        let left = serde_json::to_value(bed.rows(10).await).unwrap();
        assert_eq!(left, json!([{"n": 2}]));
    }
    bed.send("E3", "one", "{\"n\":3}\n").await;
    let third = bed.version("E3").await;
    assert_eq!(
        third,
        second + 2,
        "one commit took the rows back, however often it was asked"
    );
    bed.intake.revert(&bed.table, &id, first).await.unwrap();
    assert_eq!(bed.values().await, [2, 3], "nor after others came");
}
