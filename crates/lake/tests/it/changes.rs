//! What an increment holds, and when there is none.

use std::fs;

use offtake_lake::demo::DemoTable;
use offtake_model::resource::TableFormat;
use offtake_model::{Changes, ErrorCode, Position};
use offtake_ports::Lake;
use serde_json::json;

use crate::craft::{Crafted, add, column, info, metadata, metadata_of, remove};
use crate::support::{TestLake, at, checkpoint, commit_file, numbered, refused, version};

#[track_caller]
fn rewritten(changes: Changes, expected: &str) -> Position {
    match changes {
        Changes::Rewritten { at, to } => {
            assert_eq!(at, expected);
            to
        }
        Changes::Appended(set) => panic!("appended {:?}", set.slices),
    }
}

#[tokio::test]
async fn increments_hold_each_appended_row_once() {
    let lake = TestLake::new();
    let mut table = DemoTable::create(&lake.path("events"), 100, 7, 3).unwrap();
    let first = lake.snapshot("events").await.unwrap().to;
    table.append(10).unwrap();
    table.append(20).unwrap();

    let both = lake.appended("events", &first).await;
    assert_eq!(version(&both.to), 2);
    let mut expected = numbered(100..110, 1);
    expected.extend(numbered(110..130, 2));
    assert_eq!(lake.rows(&both.slices).await, expected);

    let source = lake.source("events");
    let one = lake
        .lake
        .changes(&source, TableFormat::Delta, &first, Some(&at(&first, 1)))
        .await
        .unwrap();
    let Changes::Appended(one) = one else {
        panic!()
    };
    assert_eq!(lake.rows(&one.slices).await, numbered(100..110, 1));
    assert_eq!(version(&one.to), 1);

    let none = lake.appended("events", &both.to).await;
    assert_eq!((none.slices.len(), none.to), (0, both.to));
}

#[tokio::test]
async fn a_compaction_brings_nothing_and_hides_nothing() {
    let lake = TestLake::new();
    let mut table = DemoTable::create(&lake.path("events"), 100, 7, 3).unwrap();
    let first = lake.snapshot("events").await.unwrap().to;
    table.append(10).unwrap();
    table.optimize().unwrap();
    table.append(5).unwrap();

    let set = lake.appended("events", &first).await;
    let mut expected = numbered(100..110, 1);
    expected.extend(numbered(110..115, 3));
    assert_eq!(lake.rows(&set.slices).await, expected);

    let compacted = at(&first, 1);
    let source = lake.source("events");
    let only = lake
        .lake
        .changes(
            &source,
            TableFormat::Delta,
            &compacted,
            Some(&at(&first, 2)),
        )
        .await
        .unwrap();
    let Changes::Appended(only) = only else {
        panic!()
    };
    assert_eq!(only.slices, []);
    let whole = lake.snapshot("events").await.unwrap();
    assert_eq!(lake.rows(&whole.slices).await.len(), 115);
}

#[tokio::test]
async fn a_delete_is_reported_with_its_version_and_name() {
    let lake = TestLake::new();
    let mut table = DemoTable::create(&lake.path("events"), 100, 7, 3).unwrap();
    let first = lake.snapshot("events").await.unwrap().to;
    table.append(10).unwrap();
    table.delete_commit().unwrap();
    table.append(10).unwrap();
    table.delete_commit().unwrap();

    let to = rewritten(
        lake.changes("events", &first).await.unwrap(),
        "version 2 (DELETE)",
    );
    assert_eq!(version(&to), 4);
    let after = at(&first, 2);
    rewritten(
        lake.changes("events", &after).await.unwrap(),
        "version 4 (DELETE)",
    );
}

#[tokio::test]
async fn commits_that_are_gone_are_lost_history() {
    let lake = TestLake::new();
    let path = lake.path("events");
    let mut table = DemoTable::create(&path, 100, 7, 1).unwrap();
    let first = lake.snapshot("events").await.unwrap().to;
    for _ in 0..3 {
        table.append(10).unwrap();
    }
    checkpoint(&path);
    for commit in 0..=1 {
        fs::remove_file(commit_file(&path, commit)).unwrap();
    }

    refused(
        lake.changes("events", &first).await,
        ErrorCode::SourceHistoryLost,
        "00001.json",
    );
    // The commits that remain are enough for a reader that is further on.
    let rest = lake.appended("events", &at(&first, 1)).await;
    assert_eq!(lake.rows(&rest.slices).await.len(), 20);
}

#[tokio::test]
async fn a_table_made_anew_is_lost_history() {
    let lake = TestLake::new();
    let path = lake.path("events");
    let mut table = DemoTable::create(&path, 100, 7, 1).unwrap();
    table.append(10).unwrap();
    let position = lake.snapshot("events").await.unwrap().to;
    fs::remove_dir_all(&path).unwrap();

    let mut table = DemoTable::create(&path, 100, 8, 1).unwrap();
    refused(
        lake.changes("events", &position).await,
        ErrorCode::SourceHistoryLost,
        "version 0",
    );
    for _ in 0..2 {
        table.append(10).unwrap();
    }
    refused(
        lake.changes("events", &position).await,
        ErrorCode::SourceHistoryLost,
        "another table",
    );
    table.delete_commit().unwrap();
    refused(
        lake.changes("events", &position).await,
        ErrorCode::SourceHistoryLost,
        "another table",
    );
    refused(
        lake.snapshot_at("events", Some(&position)).await,
        ErrorCode::SourceHistoryLost,
        "anew",
    );
}

#[tokio::test]
async fn only_additions_to_the_schema_leave_an_increment_possible() {
    let note = || column("note", "string");
    let required = json!({"name": "note", "type": "string", "nullable": false, "metadata": {}});
    let no_change = json!({});
    for (name, change, expected) in [
        (
            "column",
            metadata("one", &[note()], &[], no_change.clone()),
            None,
        ),
        (
            "property",
            metadata("one", &[], &[], json!({"a": "b"})),
            None,
        ),
        (
            "protocol",
            json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}}),
            None,
        ),
        (
            "required",
            metadata("one", &[required], &[], no_change.clone()),
            Some("version 2 (ALTER)"),
        ),
        (
            "type",
            metadata_of("one", &[column("row_id", "string")], &[], no_change.clone()),
            Some("version 2 (ALTER)"),
        ),
        (
            "drop",
            metadata_of("one", &[note()], &[], no_change.clone()),
            Some("version 2 (ALTER)"),
        ),
        (
            "partition",
            metadata("one", &[note()], &["note"], no_change.clone()),
            Some("version 2 (ALTER)"),
        ),
        (
            "replace",
            metadata("two", &[], &[], no_change),
            Some("version 2 (ALTER)"),
        ),
    ] {
        let lake = TestLake::new();
        let mut table = Crafted::new(&lake.path("t"), &[], &[]);
        let size = table.file("1.parquet", 0..3);
        table.commit(&[add("1.parquet", size, json!({}))]);
        let from = lake.snapshot("t").await.unwrap().to;
        table.commit(&[info("ALTER"), change]);
        table.commit(&[add("2.parquet", size, json!({"note": "x"}))]);

        let changes = lake.changes("t", &from).await.unwrap();

        if let Some(at) = expected {
            rewritten(changes, at);
            continue;
        }
        let Changes::Appended(set) = changes else {
            panic!("{name}: {changes:?}")
        };
        assert_eq!(set.slices.len(), 1, "{name}");
        let columns = if name == "column" { 2 } else { 1 };
        assert_eq!(set.schema.fields.len(), columns, "{name}");
    }
}

#[tokio::test]
async fn turning_column_mapping_on_is_an_addition() {
    let lake = TestLake::new();
    let mut table = Crafted::new(&lake.path("t"), &[], &[]);
    let from = lake.snapshot("t").await.unwrap().to;
    let field = json!({"name": "row_id", "type": "long", "nullable": true, "metadata": {
        "delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "row_id"}});
    table.commit(&[
        json!({"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}),
        metadata_of(
            "one",
            &[field],
            &[],
            json!({"delta.columnMapping.mode": "name"}),
        ),
    ]);
    assert_eq!(lake.appended("t", &from).await.slices, []);

    let renamed = json!({"name": "number", "type": "long", "nullable": true, "metadata": {
        "delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "row_id"}});
    table.commit(&[
        info("RENAME COLUMN"),
        metadata_of(
            "one",
            &[renamed],
            &[],
            json!({"delta.columnMapping.mode": "name"}),
        ),
    ]);
    rewritten(
        lake.changes("t", &from).await.unwrap(),
        "version 2 (RENAME COLUMN)",
    );
}

#[tokio::test]
async fn a_mapping_mode_without_its_feature_means_nothing() {
    let lake = TestLake::new();
    let mapped = json!({"name": "row_id", "type": "long", "nullable": true, "metadata": {
        "delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1",
    }});
    let mode = json!({"delta.columnMapping.mode": "name"});
    let features = json!(["timestampNtz"]);
    let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": features, "writerFeatures": features});
    let mut table = Crafted::with(&lake.path("events"), protocol.clone(), &[], &[]);
    table.next = 0;
    table.commit(&[
        json!({"protocol": protocol}),
        metadata_of("one", std::slice::from_ref(&mapped), &[], mode.clone()),
    ]);
    let before = lake.snapshot("events").await.unwrap().to;
    let size = table.file("p.parquet", 0..3);
    table.commit(&[
        metadata_of("one", &[mapped, column("more", "string")], &[], mode),
        add("p.parquet", size, json!({})),
    ]);

    let changes = lake.appended("events", &before).await;

    assert_eq!(changes.slices.len(), 1);
    assert_eq!(changes.schema.fields[0].physical_name, None);
}

#[tokio::test]
async fn a_file_named_twice_is_sent_once_and_a_rewrite_of_a_file_is_a_rewrite() {
    let lake = TestLake::new();
    let mut table = Crafted::new(&lake.path("t"), &[], &[]);
    let from = lake.snapshot("t").await.unwrap().to;
    let size = table.file("1.parquet", 0..3);
    table.commit(&[add("1.parquet", size, json!({}))]);
    table.commit(&[add("1.parquet", size, json!({}))]);
    assert_eq!(lake.appended("t", &from).await.slices.len(), 1);

    table.commit(&[
        remove("1.parquet", false),
        add("2.parquet", size, json!({})),
    ]);
    assert_eq!(lake.appended("t", &from).await.slices.len(), 2);
    table.commit(&[remove("2.parquet", true)]);
    rewritten(
        lake.changes("t", &from).await.unwrap(),
        "version 4 (rows removed)",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_at_once_get_the_same_answer() {
    let lake = TestLake::new();
    let mut table = DemoTable::create(&lake.path("events"), 200, 7, 3).unwrap();
    let first = lake.snapshot("events").await.unwrap();
    table.append(10).unwrap();
    let source = lake.source("events");
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let (lake, source, from) = (lake.lake.clone(), source.clone(), first.to.clone());
            tokio::spawn(async move {
                let whole = lake
                    .snapshot(&source, TableFormat::Delta, Some(&from))
                    .await;
                let more = lake.changes(&source, TableFormat::Delta, &from, None).await;
                (whole.unwrap(), more.unwrap())
            })
        })
        .collect();
    for reader in readers {
        let (whole, more) = reader.await.unwrap();
        assert_eq!(whole, first);
        let Changes::Appended(more) = more else {
            panic!()
        };
        assert_eq!(more.slices.len(), 1);
    }
}
