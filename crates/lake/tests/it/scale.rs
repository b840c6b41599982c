//! Sizes that must stay quick.

use std::time::Instant;

use offtake_lake::demo::DemoTable;
use serde_json::json;

use crate::craft::{Crafted, add};
use crate::support::{TestLake, at};

#[tokio::test]
async fn ten_thousand_files_are_listed_within_seconds() {
    let lake = TestLake::new();
    let mut table = Crafted::new(&lake.path("t"), &[], &[]);
    for commit in 0..100 {
        let lines: Vec<_> = (0..100)
            .map(|file| {
                let mut line = add(
                    &format!("part-{commit:03}-{file:03}.parquet"),
                    1_000,
                    json!({}),
                );
                line["add"]["stats"] = json!(
                    "{\"numRecords\":10,\"minValues\":{\"row_id\":1},\"maxValues\":{\"row_id\":9}}"
                );
                line
            })
            .collect();
        table.commit(&lines);
    }

    let start = Instant::now();
    let set = lake.snapshot("t").await.unwrap();
    let whole = start.elapsed();
    let start = Instant::now();
    let more = lake.appended("t", &at(&set.to, 0)).await;
    let increment = start.elapsed();

    assert_eq!(set.slices.len(), 10_000);
    assert_eq!(set.slices, more.slices);
    assert!(whole.as_secs() < 20, "snapshot took {whole:?}");
    assert!(increment.as_secs() < 20, "increment took {increment:?}");
    eprintln!("10,000 files: snapshot {whole:?}, increment {increment:?}");
}

#[tokio::test]
async fn row_groups_of_a_large_file_are_known_and_add_up() {
    let lake = TestLake::new();
    let rows = 700_000;
    let start = Instant::now();
    DemoTable::create(&lake.path("events"), rows, 7, 1).unwrap();
    eprintln!("{rows} demo rows: {:?}", start.elapsed());

    let slice = lake.snapshot("events").await.unwrap().slices.remove(0);

    assert!(slice.bytes > 64 * 1024 * 1024, "{} bytes", slice.bytes);
    assert!(slice.known_row_groups.len() > 1);
    assert_eq!(
        slice.known_row_groups.iter().map(|it| it.rows).sum::<u64>(),
        rows
    );
    let bytes: u64 = slice.known_row_groups.iter().map(|it| it.bytes).sum();
    assert!(bytes <= slice.bytes);
}
