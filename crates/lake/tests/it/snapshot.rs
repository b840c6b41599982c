//! What a snapshot holds.

use std::fs;

use offtake_lake::demo::{DemoTable, Partitioning};
use offtake_model::{DataType, ErrorCode};
use offtake_ports::Catalog;
use serde_json::json;

use crate::craft::{Crafted, add, column, metadata, metadata_of};
use crate::support::{TestLake, at, checkpoint, commit_file, numbered, refused, version};

#[tokio::test]
async fn a_snapshot_holds_exactly_what_was_written() {
    let lake = TestLake::new();
    let mut table = DemoTable::create(&lake.path("events"), 1_000, 7, 4).unwrap();
    table.append(10).unwrap();

    let set = lake.snapshot("events").await.unwrap();

    assert_eq!(version(&set.to), 1);
    assert_eq!(set.slices.len(), 5);
    let paths: Vec<_> = set.slices.iter().map(|it| it.source.path.clone()).collect();
    assert!(paths.is_sorted());
    let mut expected = numbered(0..1_000, 0);
    expected.extend(numbered(1_000..1_010, 1));
    assert_eq!(lake.rows(&set.slices).await, expected);

    let past = lake
        .snapshot_at("events", Some(&at(&set.to, 0)))
        .await
        .unwrap();
    assert_eq!(lake.rows(&past.slices).await, numbered(0..1_000, 0));
}

#[tokio::test]
async fn the_demo_is_the_same_for_the_same_seed_and_can_be_opened_again() {
    let lake = TestLake::new();
    let mut one = DemoTable::create(&lake.path("one"), 500, 3, 2).unwrap();
    one.append(50).unwrap();
    one.optimize().unwrap();
    DemoTable::create(&lake.path("two"), 500, 3, 2).unwrap();
    let mut two = DemoTable::open(&lake.path("two"), 3).unwrap();
    two.append(50).unwrap();
    let mut two = DemoTable::open(&lake.path("two"), 3).unwrap();
    two.optimize().unwrap();

    assert_eq!(two.rows(), 550);
    assert_eq!(two.rows_written(), 550);
    for commit in 0..=2 {
        let [one, two] =
            ["one", "two"].map(|name| fs::read(commit_file(&lake.path(name), commit)).unwrap());
        assert_eq!(one, two, "commit {commit}");
    }
    let [one, two] = [
        lake.snapshot("one").await.unwrap(),
        lake.snapshot("two").await.unwrap(),
    ];
    assert_eq!(
        lake.read(&one.slices[0]).await.unwrap(),
        lake.read(&two.slices[0]).await.unwrap()
    );
    assert!(DemoTable::create(&lake.path("two"), 1, 3, 1).is_err());
}

#[tokio::test]
async fn a_table_is_described_by_its_columns() {
    let lake = TestLake::new();
    DemoTable::create(&lake.path("events"), 10, 7, 1).unwrap();

    let info = lake.lake.describe(&lake.source("events")).await.unwrap();

    let names: Vec<_> = info
        .schema
        .fields
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(
        names[..6],
        [
            "row_id",
            "commit_version",
            "event_id",
            "event_type",
            "timestamp",
            "person"
        ]
    );
    let DataType::List(item) = &info.schema.fields[6].data_type else {
        panic!()
    };
    let DataType::Struct(fields) = &item.data_type else {
        panic!()
    };
    assert_eq!(
        fields[2].data_type,
        DataType::Decimal {
            precision: 12,
            scale: 2
        }
    );
    assert!(!info.schema.fields[0].nullable);
}

#[tokio::test]
async fn partition_values_are_restored_as_the_log_spells_them() {
    let lake = TestLake::new();
    let fields = [column("place", "string"), column("day", "date")];
    let mut table = Crafted::new(&lake.path("t"), &fields, &["place", "day"]);
    let cases = [
        (
            "place=a%20b%2Fc",
            "place=a%2520b%252Fc",
            json!({"place": "a b/c", "day": "2026-01-01"}),
            [Some("a b/c"), Some("2026-01-01")],
        ),
        (
            "place=é=%",
            "place=%C3%A9=%25",
            json!({"place": "é=%", "day": null}),
            [Some("é=%"), None],
        ),
        (
            "place=none",
            "place=none",
            json!({"place": "", "day": ""}),
            [None, None],
        ),
        (
            "place=x y:1",
            "place=x%20y:1",
            json!({"place": "x y:1"}),
            [Some("x y:1"), None],
        ),
    ];
    for (folder, logged, values, _) in &cases {
        let size = table.file(&format!("{folder}/p.parquet"), 0..3);
        table.commit(&[add(&format!("{logged}/p.parquet"), size, values.clone())]);
    }

    let set = lake.snapshot("t").await.unwrap();

    assert_eq!(set.slices.len(), cases.len());
    for (folder, _, _, [place, day]) in &cases {
        let slice = set
            .slices
            .iter()
            .find(|it| it.source.path == format!("t/{folder}/p.parquet"))
            .unwrap_or_else(|| panic!("{folder} in {:?}", set.slices));
        let expected = vec![
            ("place".to_owned(), place.map(str::to_owned)),
            ("day".to_owned(), day.map(str::to_owned)),
        ];
        assert_eq!(slice.constants, expected);
        assert!(!lake.read(slice).await.unwrap().is_empty());
    }
    let from = at(&set.to, 0);
    assert_eq!(lake.appended("t", &from).await.slices, set.slices);
}

#[tokio::test]
async fn a_partitioned_demo_holds_every_row_once() {
    for by in [Partitioning::DayAsText, Partitioning::DayAsDate] {
        let lake = TestLake::new();
        let path = lake.path("events");
        DemoTable::create_partitioned(&path, 700, 1, 2, by).unwrap();
        let mut table = DemoTable::open(&path, 1).unwrap();
        table.append(100).unwrap();
        table.optimize().unwrap();

        let set = lake.snapshot("events").await.unwrap();

        let mut expected = numbered(0..700, 0);
        expected.extend(numbered(700..800, 1));
        assert_eq!(lake.rows(&set.slices).await, expected);
        assert_eq!(set.slices.len(), 8);
        assert!(set.slices.iter().any(|it| it.constants[0].1.is_none()));
        let kind = if by == Partitioning::DayAsDate {
            DataType::Date
        } else {
            DataType::Utf8
        };
        assert_eq!(set.schema.fields.last().unwrap().data_type, kind);
    }
}

#[tokio::test]
async fn a_snapshot_reads_on_from_a_checkpoint() {
    let lake = TestLake::new();
    let path = lake.path("events");
    let mut table =
        DemoTable::create_partitioned(&path, 300, 1, 1, Partitioning::DayAsText).unwrap();
    table.append(100).unwrap();
    let before = lake.snapshot("events").await.unwrap();
    checkpoint(&path);
    for commit in 0..=1 {
        fs::remove_file(commit_file(&path, commit)).unwrap();
    }

    let after = lake.snapshot("events").await.unwrap();
    assert_eq!(before, after);
    table.append(5).unwrap();
    let grown = lake.snapshot("events").await.unwrap();
    assert_eq!(lake.rows(&grown.slices).await.len(), 405);
}

#[tokio::test]
async fn a_past_version_without_its_commits_is_lost_and_a_broken_present_is_corrupt() {
    let lake = TestLake::new();
    let path = lake.path("events");
    let mut table = DemoTable::create(&path, 10, 1, 1).unwrap();
    for _ in 0..3 {
        table.append(10).unwrap();
    }
    let latest = lake.snapshot("events").await.unwrap().to;
    refused(
        lake.snapshot_at("events", Some(&at(&latest, 9))).await,
        ErrorCode::SourceHistoryLost,
        "version 4",
    );
    fs::remove_file(commit_file(&path, 2)).unwrap();
    refused(
        lake.snapshot("events").await,
        ErrorCode::SourceCorrupt,
        "version 2",
    );
    refused(
        lake.snapshot_at("events", Some(&latest)).await,
        ErrorCode::SourceHistoryLost,
        "version 2",
    );
    lake.snapshot_at("events", Some(&at(&latest, 1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_missing_table_is_not_found() {
    let lake = TestLake::new();
    refused(
        lake.snapshot("nothing").await,
        ErrorCode::SourceNotFound,
        "nothing",
    );
    fs::create_dir(lake.path("empty")).unwrap();
    refused(
        lake.snapshot("empty").await,
        ErrorCode::SourceNotFound,
        "empty",
    );
    fs::create_dir(lake.path("empty/_delta_log")).unwrap();
    refused(
        lake.snapshot("empty").await,
        ErrorCode::SourceNotFound,
        "without any commit",
    );
    fs::write(lake.path("file"), "x").unwrap();
    let source = lake.source("nothing");
    fs::rename(lake.root(), lake.folder.path().join("unmounted")).unwrap();
    let answer = lake.lake.describe(&source).await;
    refused(answer, ErrorCode::SourceUnreachable, "lake root `main`");
    fs::rename(lake.folder.path().join("unmounted"), lake.root()).unwrap();
    refused(
        lake.snapshot("file").await,
        ErrorCode::SourceNotFound,
        "file",
    );
}

#[tokio::test]
async fn unknown_features_and_types_are_refused_by_name() {
    let lake = TestLake::new();
    for feature in ["somethingNew", "typeWidening"] {
        let protocol = json!({
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": [feature], "writerFeatures": [feature],
        });
        Crafted::with(&lake.path(feature), protocol, &[], &[]);
        refused(
            lake.snapshot(feature).await,
            ErrorCode::SourceFeatureUnsupported,
            feature,
        );
    }
    Crafted::with(
        &lake.path("v9"),
        json!({"minReaderVersion": 9, "minWriterVersion": 9}),
        &[],
        &[],
    );
    refused(
        lake.snapshot("v9").await,
        ErrorCode::SourceFeatureUnsupported,
        "9",
    );
    let mut managed = Crafted::new(&lake.path("managed"), &[], &[]);
    managed.next = 0;
    managed.commit(&[
        json!({"commitInfo": {"operation": "CREATE TABLE", "inCommitTimestamp": 1}}),
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["catalogManaged"], "writerFeatures": ["catalogManaged", "inCommitTimestamp"]}}),
        metadata("m", &[], &[], json!({"delta.enableInCommitTimestamps": "true"})),
    ]);
    refused(
        lake.snapshot("managed").await,
        ErrorCode::SourceFeatureUnsupported,
        "catalog",
    );
    Crafted::new(&lake.path("void"), &[column("nothing", "void")], &[]);
    refused(
        lake.snapshot("void").await,
        ErrorCode::SourceFeatureUnsupported,
        "nothing",
    );
}

#[tokio::test]
async fn variants_are_refused_by_their_column_and_not_by_the_feature() {
    let lake = TestLake::new();
    let features = json!(["variantType", "variantShredding-preview"]);
    let protocol = json!({
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": features, "writerFeatures": features,
    });
    let plain = [column("id", "long")];
    Crafted::with(&lake.path("plain"), protocol.clone(), &plain, &[]);
    lake.snapshot("plain").await.unwrap();
    let mixed = [column("id", "long"), column("anything", "variant")];
    Crafted::with(&lake.path("mixed"), protocol, &mixed, &[]);
    refused(
        lake.snapshot("mixed").await,
        ErrorCode::SourceFeatureUnsupported,
        "anything",
    );
}

#[tokio::test]
async fn mapped_columns_keep_their_names_in_the_files() {
    let lake = TestLake::new();
    for mode in ["name", "id"] {
        let mapped = |name: &str, physical: &str, id: i32, kind: serde_json::Value| {
            json!({"name": name, "type": kind, "nullable": true, "metadata": {
                "delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical,
            }})
        };
        let inner = json!({"type": "struct", "fields": [mapped("b", "col-b", 3, json!("string"))]});
        let fields = [
            mapped("a", "col-a", 1, json!("long")),
            mapped("s", "col-s", 2, inner),
            mapped("day", "col-day", 4, json!("string")),
        ];
        let mut table = Crafted::with(
            &lake.path(mode),
            json!({"minReaderVersion": 2, "minWriterVersion": 5}),
            &[],
            &[],
        );
        table.next = 0;
        table.commit(&[
            json!({"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}),
            metadata_of(
                "m",
                &fields,
                &["day"],
                json!({"delta.columnMapping.mode": mode}),
            ),
        ]);
        let size = table.file("p.parquet", 0..3);
        table.commit(&[add("p.parquet", size, json!({"col-day": "monday"}))]);

        let set = lake.snapshot(mode).await.unwrap();

        assert_eq!(
            set.slices[0].constants,
            [("day".to_owned(), Some("monday".to_owned()))]
        );
        let [a, s, _] = &set.schema.fields[..] else {
            panic!()
        };
        assert_eq!(
            (a.name.as_str(), a.physical_name.as_deref()),
            ("a", Some("col-a"))
        );
        let DataType::Struct(inner) = &s.data_type else {
            panic!()
        };
        assert_eq!(inner[0].physical_name.as_deref(), Some("col-b"));
        let ids = (a.field_id, inner[0].field_id);
        assert_eq!(
            ids,
            if mode == "id" {
                (Some(1), Some(3))
            } else {
                (None, None)
            }
        );
        assert_eq!(
            lake.appended(mode, &at(&set.to, 0)).await.slices,
            set.slices
        );
    }
}
