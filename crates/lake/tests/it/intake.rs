//! Batches of uploaded files, as they become rows of managed tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_lake::{Lakes, LocalIntake, UploadFolder};
use offtake_model::batch::{
    Batch, BatchDetails, BatchState, CsvFormat, InputFormat, Promoted, Row,
};
use offtake_model::resource::{Audit, TableFormat};
use offtake_model::{
    BatchId, Changes, DatasetId, ErrorCode, Millis, OrgId, Position, Revision, SandboxName,
    SourceRef, Tenant,
};
use offtake_ports::testing::ingest::{intake, uploads};
use offtake_ports::{Intake, Lake, LakeRoots, Part, Uploads};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Bed {
    lake: Lakes,
    uploads: UploadFolder,
    intake: LocalIntake,
    table: SourceRef,
    tenant: Tenant,
    _dir: TempDir,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let managed = dir.path().join("managed");
        std::fs::create_dir(&managed).unwrap();
        let lake = Lakes::new(vec![LocalIntake::root(managed.clone())]).unwrap();
        let uploads = UploadFolder::new(dir.path().join("uploads"));
        let intake = LocalIntake::new(managed, &lake, uploads.clone());
        let tenant = Tenant {
            org: OrgId("A@AdobeOrg".to_owned()),
            sandbox: SandboxName("prod".to_owned()),
        };
        let table = intake.place(&tenant, &DatasetId("d".to_owned()));
        intake.create(&table).await.unwrap();
        Self {
            lake,
            uploads,
            intake,
            table,
            tenant,
            _dir: dir,
        }
    }

    fn batch(&self, id: &str, format: InputFormat) -> Batch {
        Batch {
            id: BatchId(id.to_owned()),
            tenant: self.tenant.clone(),
            dataset: DatasetId("d".to_owned()),
            revision: Revision(1),
            audit: Audit {
                created_at: Millis(0),
                updated_at: Millis(0),
                created_by: String::new(),
                updated_by: String::new(),
                created_client: String::new(),
                updated_client: String::new(),
            },
            state: BatchState::Staging,
            external_id: None,
            details: BatchDetails {
                attempts: 1,
                ..BatchDetails::new(format)
            },
        }
    }

    async fn upload(
        &self,
        batch: &str,
        name: &str,
        text: &str,
        part: Part,
    ) -> Result<bool, ErrorCode> {
        let id = BatchId(batch.to_owned());
        let begun = self.uploads.begin(&self.tenant, &id, name, part).await;
        let mut upload = begun.map_err(|fault| fault.code)?;
        upload
            .write(Bytes::from(text.to_owned()))
            .await
            .map_err(|fault| fault.code)?;
        upload.finish().await.map_err(|fault| fault.code)
    }

    async fn promote(&self, id: &str, format: InputFormat, text: &str) -> Promoted {
        self.upload(id, "file", text, Part::Whole).await.unwrap();
        let batch = self.batch(id, format);
        self.intake.promote(&self.table, &batch).await.unwrap()
    }

    async fn json(&self, id: &str, text: &str) -> Promoted {
        self.promote(id, JSON, text).await
    }

    async fn rows(&self) -> Vec<Row> {
        self.intake.preview(&self.table, 100_000).await.unwrap()
    }

    async fn version(&self) -> Position {
        let whole = self
            .lake
            .snapshot(&self.table, TableFormat::Delta, None)
            .await;
        whole.unwrap().to
    }
}

const JSON: InputFormat = InputFormat::Json { multi_line: false };

fn csv() -> InputFormat {
    InputFormat::Csv(CsvFormat {
        delimiter: b',',
        quote: b'"',
        escape: None,
        header: None,
        charset: "UTF-8".to_owned(),
    })
}

fn bad_lines(promoted: Promoted) -> Vec<(u64, String)> {
    match promoted {
        Promoted::Refused { bad_rows, .. } => bad_rows
            .into_iter()
            .map(|row| (row.line, row.reason))
            .collect(),
        Promoted::Committed { .. } => panic!("the batch was taken"),
    }
}

fn version_of(promoted: &Promoted) -> u64 {
    match promoted {
        Promoted::Committed { version, .. } => *version,
        Promoted::Refused { bad_rows, .. } => panic!("refused: {bad_rows:?}"),
    }
}

#[tokio::test]
async fn uploads_and_managed_tables_keep_the_promises_of_their_ports() {
    let bed = Bed::new().await;
    uploads::keeps_uploads(&bed.uploads).await;
    intake::makes_rows(&bed.intake, &bed.uploads).await;
}

#[tokio::test]
async fn a_table_without_batches_is_empty_and_its_batches_are_increments() {
    let bed = Bed::new().await;
    bed.intake.create(&bed.table).await.unwrap();
    let empty = bed.version().await;
    assert_eq!(bed.rows().await, Vec::<Row>::new());
    assert_eq!(version_of(&bed.json("B1", "{\"a\":1}\n{\"a\":2}").await), 1);
    let changes = bed
        .lake
        .changes(&bed.table, TableFormat::Delta, &empty, None)
        .await;
    let Changes::Appended(set) = changes.unwrap() else {
        panic!("the first batch is an append")
    };
    assert_eq!(
        set.slices
            .iter()
            .filter_map(|slice| slice.rows)
            .sum::<u64>(),
        2
    );
}

#[tokio::test]
async fn a_promotion_that_is_tried_again_is_recognised() {
    let bed = Bed::new().await;
    let first = bed.json("B1", "{\"a\":1}").await;
    let mut again = bed.batch("B1", JSON);
    again.details.attempts = 2;
    let second = bed.intake.promote(&bed.table, &again).await.unwrap();
    assert_eq!(version_of(&first), version_of(&second));
    assert_eq!(bed.rows().await.len(), 1);
}

#[tokio::test]
async fn a_revert_takes_the_rows_of_one_batch_and_can_be_repeated() {
    let bed = Bed::new().await;
    let first = version_of(&bed.json("B1", "{\"a\":1}").await);
    let before = bed.version().await;
    version_of(&bed.json("B2", "{\"a\":2}").await);
    for _ in 0..2 {
        let id = BatchId("B1".to_owned());
        bed.intake.revert(&bed.table, &id, first).await.unwrap();
    }
    assert_eq!(
        serde_json::to_value(bed.rows().await).unwrap(),
        json!([{"a": 2}])
    );
    let changes = bed
        .lake
        .changes(&bed.table, TableFormat::Delta, &before, None)
        .await;
    assert!(!matches!(changes.unwrap(), Changes::Appended(_)));
}

#[tokio::test]
async fn rows_come_as_lines_an_array_or_documents() {
    let bed = Bed::new().await;
    let texts = [
        (false, "\u{feff}\n{\"a\":1}\r\n\n{\"a\":2}"),
        (false, " [ {\"a\":3} , {\"a\":4, \"b\":[\"]}\\\"\"]} ] "),
        (true, "{\n\"a\":5\n}\n{\"a\":\n6}{\"a\":7}"),
    ];
    for (n, (multi_line, text)) in texts.into_iter().enumerate() {
        let format = InputFormat::Json { multi_line };
        version_of(&bed.promote(&format!("B{n}"), format, text).await);
    }
    let mut found: Vec<Value> = bed
        .rows()
        .await
        .iter()
        .map(|row| row["a"].clone())
        .collect();
    found.sort_by_key(Value::as_i64);
    assert_eq!(Value::from(found), json!([1, 2, 3, 4, 5, 6, 7]));
}

#[tokio::test]
async fn bad_rows_are_told_by_line_and_column_and_nothing_is_committed() {
    let bed = Bed::new().await;
    version_of(&bed.json("B1", r#"{"id":1,"who":{"name":"Ada"}}"#).await);
    let bad = [
        r#"{"id":2}"#,
        r#"{"id":"x"}"#,
        r#"{"id":3,"who":{"name":4}}"#,
        r#"{"id":3,"ID":4}"#,
        r#"{"id":3,"id":4}"#,
        "[1]",
        "{",
        r#"{"id":2.5}"#,
    ];
    let found = bad_lines(bed.json("B2", &bad.join("\n")).await);
    assert_eq!(
        found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [2, 3, 4, 5, 6, 7, 8]
    );
    assert_eq!(
        found[1].1,
        "column `who.name`: a whole number where the dataset has string"
    );
    assert_eq!(
        found[2].1,
        "column `ID`: another column has this name in other case"
    );
    assert_eq!(
        found[6].1,
        "column `id`: a number where the dataset has long"
    );
    assert_eq!(bed.rows().await.len(), 1);
    for open in ["[{\"a\":1}", "[{\"a\":1} {\"a\":2}]", "[{\"a\":1},]x"] {
        assert_eq!(bad_lines(bed.json("B3", open).await).len(), 1, "{open}");
    }
}

#[tokio::test]
async fn columns_keep_their_order_and_unknown_ones_are_text() {
    let bed = Bed::new().await;
    version_of(
        &bed.json(
            "B1",
            r#"[{"z":null,"a":1,"n":{},"l":[]},{"a":1.5,"b":true,"o":{"x":[{"y":1}]}}]"#,
        )
        .await,
    );
    let table = offtake_ports::Catalog::describe(&bed.lake, &bed.table)
        .await
        .unwrap();
    let names: Vec<&str> = table
        .schema
        .fields
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["z", "a", "l", "b", "o"]);
    version_of(
        &bed.json(
            "B2",
            r#"{"z":"text","l":["t"],"o":{"w":null},"first name":"x"}"#,
        )
        .await,
    );
    let found = serde_json::to_value(bed.rows().await).unwrap();
    assert_eq!(found[0], json!({"a": 1.0, "l": []}));
    assert_eq!(
        found[1],
        json!({"a": 1.5, "b": true, "o": {"x": [{"y": 1}]}})
    );
    assert_eq!(
        found[2],
        json!({"z": "text", "l": ["t"], "o": {}, "first name": "x"})
    );
}

#[tokio::test]
async fn csv_columns_get_the_narrowest_type_and_keep_it() {
    let bed = Bed::new().await;
    let text = "n,zip,big,d,ok,t,none\n1,007,99999999999999999999,1,true,\"a,\nb\",\n-2,08,1,1e3,false,,\n";
    version_of(&bed.promote("B1", csv(), text).await);
    assert_eq!(
        serde_json::to_value(bed.rows().await).unwrap(),
        json!([
            {"n": 1, "zip": "007", "big": "99999999999999999999", "d": 1.0, "ok": true, "t": "a,\nb"},
            {"n": -2, "zip": "08", "big": "1", "d": 1000.0, "ok": false},
        ])
    );
    let found = bad_lines(bed.promote("B2", csv(), "n,more\n1.5,x\n1\n7,y\n").await);
    assert_eq!(found.iter().map(|it| it.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(found[0].1, "column `n`: a value that is no long");
    for header in ["\n\n", "a,a\n1,2\n", "a,\n1,2\n"] {
        bed.upload("B3", "file", header, Part::Whole).await.unwrap();
        let batch = bed.batch("B3", csv());
        let promoted = bed.intake.promote(&bed.table, &batch).await;
        assert!(
            !matches!(promoted, Ok(Promoted::Committed { .. })),
            "{header}"
        );
    }
}

#[tokio::test]
async fn parts_may_come_in_any_order_and_overlaps_are_refused() {
    let bed = Bed::new().await;
    let id = BatchId("B1".to_owned());
    let part = |start, end| Part::Range {
        start,
        end,
        total: 7,
    };
    let refused = Err(ErrorCode::UploadRangeInvalid);
    assert_eq!(bed.upload("B1", "f", ":1}", part(4, 7)).await, refused);
    assert!(bed.uploads.initialize(&bed.tenant, &id, "f").await.unwrap());
    assert_eq!(bed.upload("B1", "f", ":1}", part(4, 7)).await, Ok(false));
    assert!(!bed.uploads.initialize(&bed.tenant, &id, "f").await.unwrap());
    let listed = bed.uploads.list(&bed.tenant, &id).await.unwrap();
    assert_eq!((listed[0].bytes, listed[0].complete), (0, false));
    assert_eq!(bed.upload("B1", "f", "{\"a\":", part(0, 5)).await, refused);
    assert_eq!(bed.upload("B1", "f", "{\"a", part(0, 4)).await, refused);
    assert!(bed.uploads.complete(&bed.tenant, &id, "f").await.is_err());
    assert_eq!(bed.upload("B1", "f", "{\"a\"", part(0, 4)).await, Ok(false));
    let whole = bed.uploads.complete(&bed.tenant, &id, "f").await.unwrap();
    assert_eq!((whole.bytes, whole.complete), (7, true));
    let batch = bed.batch("B1", JSON);
    version_of(&bed.intake.promote(&bed.table, &batch).await.unwrap());
    assert_eq!(
        serde_json::to_value(bed.rows().await).unwrap(),
        json!([{"a": 1}])
    );
    assert_eq!(
        bed.uploads.batches().await.unwrap(),
        [(bed.tenant.clone(), id.clone())]
    );
    bed.uploads.remove(&bed.tenant, &id).await.unwrap();
    assert_eq!(bed.uploads.batches().await.unwrap(), []);
}

#[tokio::test]
async fn a_look_at_parquet_uploads_stops_where_enough_was_seen() {
    let bed = Bed::new().await;
    let numbers = Int64Array::from_iter_values(0..10);
    let rows = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    let bytes = Bytes::from(writer.into_inner().unwrap());
    let id = BatchId("B1".to_owned());
    for file in ["one", "two"] {
        let begun = bed.uploads.begin(&bed.tenant, &id, file, Part::Whole).await;
        let mut upload = begun.unwrap();
        upload.write(bytes.clone()).await.unwrap();
        upload.finish().await.unwrap();
    }
    let batch = bed.batch("B1", InputFormat::Parquet);
    for (wanted, last) in [(3, 2), (10, 9), (12, 1)] {
        let shown = bed.intake.preview_uploads(&batch, wanted).await.unwrap();
        assert_eq!(shown.columns, ["n"]);
        assert_eq!(shown.rows.len(), wanted);
        assert_eq!(shown.rows[wanted - 1]["n"], last);
    }
    bed.upload("B1", "one", "no Parquet", Part::Whole)
        .await
        .unwrap();
    let refused = bed.intake.preview_uploads(&batch, 1).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::BatchRowsInvalid);
}

#[tokio::test]
async fn an_upload_given_up_leaves_nothing_and_an_empty_one_is_refused() {
    let bed = Bed::new().await;
    assert_eq!(
        bed.upload("B1", "f", "", Part::Whole).await,
        Err(ErrorCode::FileEmpty)
    );
    let id = BatchId("B1".to_owned());
    let begun = bed
        .uploads
        .begin(&bed.tenant, &id, "../x", Part::Whole)
        .await;
    let mut upload = begun.unwrap();
    upload.write(Bytes::from_static(b"x")).await.unwrap();
    drop(upload);
    assert_eq!(bed.uploads.list(&bed.tenant, &id).await.unwrap(), []);
}

#[test]
fn nobody_can_place_a_dataset_among_the_managed_ones() {
    let root = LocalIntake::root("/srv/managed".into());
    let lake = Lakes::new(vec![root]).unwrap();
    let org = OrgId("A@AdobeOrg".to_owned());
    for location in [
        "lake://managed/A@AdobeOrg/prod/d",
        "/srv/managed/A@AdobeOrg/prod/d",
    ] {
        assert!(lake.resolve(&org, location).is_err(), "{location}");
    }
}

fn leaf() -> impl Strategy<Value = (Value, Value)> {
    // A value and its column's other value: both of one type, or null.
    prop_oneof![
        (any::<i64>(), any::<i64>()).prop_map(|(a, b)| (json!(a), json!(b))),
        (any::<bool>(), any::<bool>()).prop_map(|(a, b)| (json!(a), json!(b))),
        (".*", ".*").prop_map(|(a, b)| (json!(a), json!(b))),
        (-1.0e9..1.0e9_f64).prop_map(|a| (json!(a + 0.5), json!(a))),
        any::<i64>().prop_map(|a| (json!(a), Value::Null)),
        proptest::collection::vec(any::<i32>(), 0..4).prop_map(|a| (json!(a), json!([1]))),
        ("[a-z]{1,8}", any::<bool>())
            .prop_map(|(a, b)| (json!({"x": a, "y": {"z": b}}), json!({"x": "b"}))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_come_out_as_they_went_in(columns in proptest::collection::btree_map("[a-f]{1,3}", leaf(), 1..6), array in any::<bool>()) {
        let pick = |second: bool| -> Value {
            columns
                .iter()
                .map(|(name, pair)| (name.clone(), if second { pair.1.clone() } else { pair.0.clone() }))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let rows = vec![pick(false), pick(true), pick(false)];
        let text = if array {
            serde_json::to_string_pretty(&rows).unwrap()
        } else {
            rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let found = runtime.block_on(async {
            let bed = Arc::new(Bed::new().await);
            version_of(&bed.json("B1", &text).await);
            bed.rows().await
        });
        let without_nulls: Vec<Value> = rows
            .into_iter()
            .map(|row| {
                let fields = row.as_object().unwrap().clone();
                fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<serde_json::Map<_, _>>().into()
            })
            .collect();
        prop_assert_eq!(serde_json::to_value(found).unwrap(), Value::from(without_nulls));
    }
}
