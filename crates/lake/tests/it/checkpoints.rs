//! Checkpoints in each form of the protocol, without the commits they stand for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use offtake_model::ErrorCode;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use crate::craft::{Crafted, add, remove};
use crate::support::{TestLake, checkpoint, commit_file, refused};

const LATEST: u64 = 2;

#[tokio::test]
async fn a_checkpoint_of_several_parts_stands_for_its_commits() {
    let lake = TestLake::new();
    let mut table = grown(&lake, &[]);
    let before = lake.snapshot("t").await.unwrap();
    let whole = taken(&table.path);
    let half = whole.num_rows() / 2;
    for (part, rows) in [
        (1, whole.slice(0, half)),
        (2, whole.slice(half, whole.num_rows() - half)),
    ] {
        write(&rows, &log(&table, &part_name(part)));
    }

    assert_eq!(lake.snapshot("t").await.unwrap(), before);
    assert_grows(&lake, &mut table).await;
}

#[tokio::test]
async fn a_checkpoint_without_one_of_its_parts_is_no_checkpoint() {
    let lake = TestLake::new();
    let table = grown(&lake, &[]);
    let whole = taken(&table.path);
    write(&whole, &log(&table, &part_name(1)));

    refused(
        lake.snapshot("t").await,
        ErrorCode::SourceCorrupt,
        "the log of table",
    );
}

#[tokio::test]
async fn a_checkpoint_with_sidecars_stands_for_its_commits() {
    let lake = TestLake::new();
    let mut table = grown(&lake, &["v2Checkpoint"]);
    let before = lake.snapshot("t").await.unwrap();
    let first = fs::read_to_string(commit_file(&table.path, 0)).unwrap();
    let files = file_actions(&taken(&table.path));
    fs::create_dir(log(&table, "_sidecars")).unwrap();
    let mut lines = json!({"checkpointMetadata": {"version": LATEST, "tags": {}}}).to_string();
    lines = lines + "\n" + &first;
    for row in 0..files.num_rows() {
        let name = format!("8a1bc6f2-0000-4000-8000-00000000000{row}.parquet");
        let place = log(&table, "_sidecars").join(&name);
        write(&files.slice(row, 1), &place);
        let bytes = fs::metadata(place).unwrap().len();
        let sidecar = json!({"path": name, "sizeInBytes": bytes, "modificationTime": 0});
        lines = lines + &json!({"sidecar": sidecar}).to_string() + "\n";
    }
    let name = format!("{LATEST:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json");
    fs::write(log(&table, &name), lines).unwrap();

    assert_eq!(lake.snapshot("t").await.unwrap(), before);
    assert_grows(&lake, &mut table).await;
}

/// A table whose version 2 has three files, one of them instead of a removed one.
fn grown(lake: &TestLake, features: &[&str]) -> Crafted {
    let path = lake.path("t");
    let mut table = if features.is_empty() {
        Crafted::new(&path, &[], &[])
    } else {
        let protocol = json!({
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": features, "writerFeatures": features,
        });
        Crafted::with(&path, protocol, &[], &[])
    };
    let bytes = table.file("a.parquet", 0..10);
    let lines = ["a.parquet", "b.parquet", "c.parquet"].map(|name| {
        table.file(name, 0..10);
        add(name, bytes, json!({}))
    });
    table.commit(&lines);
    table.file("d.parquet", 0..10);
    table.commit(&[
        remove("b.parquet", true),
        add("d.parquet", bytes, json!({})),
    ]);
    assert_eq!(table.next, LATEST + 1);
    table
}

/// Lets the table library write its checkpoint, and takes it away with every commit it stands for.
fn taken(table: &Path) -> RecordBatch {
    checkpoint(table);
    let file = table.join(format!("_delta_log/{LATEST:020}.checkpoint.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&file).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    fs::remove_file(file).unwrap();
    fs::remove_file(table.join("_delta_log/_last_checkpoint")).unwrap();
    for commit in 0..=LATEST {
        fs::remove_file(commit_file(table, commit)).unwrap();
    }
    concat_batches(&schema, &batches).unwrap()
}

/// The rows and columns that a sidecar holds: of files, and nothing else.
fn file_actions(checkpoint: &RecordBatch) -> RecordBatch {
    let columns = ["add", "remove"].map(|name| checkpoint.schema().index_of(name).unwrap());
    let files = checkpoint.project(&columns).unwrap();
    let kept: BooleanArray = (0..files.num_rows())
        .map(|row| Some(files.columns().iter().any(|column| column.is_valid(row))))
        .collect();
    filter_record_batch(&files, &kept).unwrap()
}

async fn assert_grows(lake: &TestLake, table: &mut Crafted) {
    let bytes = table.file("e.parquet", 0..10);
    table.commit(&[add("e.parquet", bytes, json!({}))]);
    let set = lake.snapshot("t").await.unwrap();
    let mut names: Vec<_> = set
        .slices
        .iter()
        .map(|it| it.source.path.as_str())
        .collect();
    names.sort_unstable();
    let expected = ["a.parquet", "c.parquet", "d.parquet", "e.parquet"];
    assert!(
        names
            .iter()
            .zip(expected)
            .all(|(found, name)| found.ends_with(name))
            && names.len() == 4,
        "{names:?}"
    );
}

fn write(rows: &RecordBatch, place: &Path) {
    let file = fs::File::create(place).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn part_name(part: u64) -> String {
    format!("{LATEST:020}.checkpoint.{part:010}.{:010}.parquet", 2)
}

fn log(table: &Crafted, name: &str) -> PathBuf {
    table.path.join("_delta_log").join(name)
}
