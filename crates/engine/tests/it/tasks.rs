//! Whole tasks: rows in, a sealed file out.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use futures_util::StreamExt;
use offtake_encode::decode::inspect;
use offtake_engine::{InProcessEngine, Limits};
use offtake_model::{ErrorCode, RowRange};
use offtake_ports::testing::{FaultySinks, SinkCall, Trouble};
use offtake_ports::{Engine, TaskEvent};

use crate::bench::{
    ALL, Bench, JSON, JSON_GZ, PARQUET, finish, lines_of, parquet, request, rows_of, schema_of,
    task,
};

pub(crate) fn events(from: i64, to: i64) -> RecordBatch {
    let ids: Int64Array = (from..to).collect();
    let names: StringArray = (from..to)
        .map(|n| (n % 7 != 0).then(|| format!("name {n}")))
        .collect();
    let tags = ListArray::from_iter_primitive::<Int32Type, _, _>((from..to).map(|n| {
        let count = i32::try_from(n.rem_euclid(3)).unwrap();
        Some((0..count).map(Some).collect::<Vec<_>>())
    }));
    let place = StructArray::from(vec![(
        Arc::new(Field::new("city", DataType::Utf8, true)),
        Arc::new(names.clone()) as ArrayRef,
    )]);
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(ids) as ArrayRef, true),
        ("name", Arc::new(names) as ArrayRef, true),
        ("tags", Arc::new(tags) as ArrayRef, true),
        ("place", Arc::new(place) as ArrayRef, true),
    ])
    .unwrap()
}

#[tokio::test]
async fn rows_come_out_as_they_went_in() {
    let bench = Bench::default();
    let (first, second) = (events(0, 1_000), events(1_000, 1_500));
    let slices = vec![
        bench.lake.put("a.parquet", parquet(&first, 300)),
        bench.lake.put("b.parquet", parquet(&second, 1_000)),
    ];
    let (sealed, file) = bench
        .run(task(schema_of(&first), slices, PARQUET))
        .await
        .unwrap();
    assert_eq!(sealed.rows, 1_500);
    let all = concat_batches(&first.schema(), [&first, &second]).unwrap();
    let read = rows_of(file);
    assert_eq!(read.num_rows(), 1_500);
    for (ours, theirs) in read.columns().iter().zip(all.columns()).take(2) {
        assert_eq!(ours, theirs);
    }
    let json = |batch: &RecordBatch| {
        let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
        writer.write(batch).unwrap();
        writer.into_inner()
    };
    assert_eq!(json(&read), json(&all));
}

#[tokio::test]
async fn every_encoding_holds_every_row() {
    for encoding in ALL {
        let bench = Bench::default();
        let rows = events(0, 2_000);
        let slice = bench.lake.put("a.parquet", parquet(&rows, 700));
        let (sealed, file) = bench
            .run(task(schema_of(&rows), vec![slice], encoding))
            .await
            .unwrap();
        assert_eq!(sealed.rows, 2_000);
        assert_eq!(inspect(file, encoding).unwrap().rows, 2_000);
    }
}

#[tokio::test]
async fn rows_of_many_files_keep_their_order_whoever_decodes_and_encodes_them() {
    for encoding in [JSON, JSON_GZ, PARQUET] {
        let bench = Bench::default();
        let file = |nth: i64| events(nth * 10_000, (nth + 1) * 10_000);
        let slices = (0..20)
            .map(|nth| {
                bench
                    .lake
                    .put(&format!("{nth:02}.parquet"), parquet(&file(nth), 1_000))
            })
            .collect();
        let (sealed, bytes) = bench
            .run(task(schema_of(&file(0)), slices, encoding))
            .await
            .unwrap();
        assert_eq!(sealed.rows, 200_000);
        if encoding == PARQUET {
            let rows = rows_of(bytes);
            let ids = rows.column(0).as_primitive::<Int64Type>().values();
            assert!(ids.iter().copied().eq(0..200_000));
            continue;
        }
        let mut text = Vec::new();
        if encoding == JSON {
            text.extend_from_slice(&bytes);
        } else {
            let mut gzip = flate2::read::MultiGzDecoder::new(&bytes[..]);
            gzip.read_to_end(&mut text).unwrap();
        }
        assert!(text.len() > 10 << 20, "{} bytes are few parts", text.len());
        for (nth, line) in lines_of(&text).iter().enumerate() {
            assert!(line.starts_with(&format!("{{\"id\":{nth},")), "{line}");
        }
    }
}

#[tokio::test]
async fn row_groups_too_large_to_be_decoded_side_by_side_follow_each_other() {
    const GROUPS: i64 = 3;
    const GROUP_ROWS: i64 = 600;
    let ids: Int64Array = (0..GROUPS * GROUP_ROWS).collect();
    let long = "long ".repeat(13 << 10);
    let texts: StringArray = ids
        .iter()
        .map(|id| Some(format!("{id:?} {long}")))
        .collect();
    let rows = RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("text", Arc::new(texts) as ArrayRef),
    ])
    .unwrap();
    let file = parquet(&rows, usize::try_from(GROUP_ROWS).unwrap());
    for encoding in [JSON, JSON_GZ, PARQUET] {
        let bench = Bench::default();
        let slice = bench.lake.put("a.parquet", file.clone());
        let run = bench.run(task(schema_of(&rows), vec![slice], encoding));
        let ended = tokio::time::timeout(Duration::from_mins(2), run).await;
        let (sealed, bytes) = ended.expect("no row group waits for ever").unwrap();
        assert_eq!(sealed.rows, (GROUPS * GROUP_ROWS).unsigned_abs());
        assert_eq!(inspect(bytes, encoding).unwrap().rows, sealed.rows);
    }
}

#[tokio::test]
async fn a_task_without_rows_makes_an_empty_file() {
    for encoding in ALL {
        let bench = Bench::default();
        let rows = events(0, 0);
        let empty = bench.lake.put("a.parquet", parquet(&rows, 10));
        for slices in [vec![], vec![empty]] {
            let mut task = task(schema_of(&rows), slices, encoding);
            task.key = format!("{}{}", task.slices.len(), encoding.extension());
            let (sealed, file) = bench.run(task).await.unwrap();
            assert_eq!(sealed.rows, 0);
            assert_eq!(inspect(file, encoding).unwrap().rows, 0);
        }
    }
}

#[tokio::test]
async fn only_the_slices_row_groups_are_read() {
    let bench = Bench::default();
    let rows = events(0, 100);
    let mut slice = bench.lake.put("a.parquet", parquet(&rows, 30));
    slice.row_groups = Some(vec![1, 3]);
    slice.rows = Some(40);
    let (_, file) = bench
        .run(task(schema_of(&rows), vec![slice], JSON))
        .await
        .unwrap();
    let lines = lines_of(&file);
    assert_eq!(lines.len(), 40);
    assert!(lines[0].starts_with(r#"{"id":30,"#), "{}", lines[0]);
    assert!(lines[30].starts_with(r#"{"id":90,"#), "{}", lines[30]);
}

#[tokio::test]
async fn masked_rows_are_left_out_across_row_groups() {
    let bench = Bench::default();
    let rows = events(0, 100);
    let mut slice = bench.lake.put("a.parquet", parquet(&rows, 30));
    slice.mask = Some(Box::new(bench.lake.mask(
        "m",
        vec![0..2, 25..35, 99..100],
        87,
    )));
    slice.rows = Some(13);
    let (sealed, file) = bench
        .run(task(schema_of(&rows), vec![slice], JSON))
        .await
        .unwrap();
    let ids: Vec<i64> = lines_of(&file)
        .iter()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["id"].as_i64().unwrap()
        })
        .collect();
    let expected: Vec<i64> = (0..2).chain(25..35).chain(99..100).collect();
    assert_eq!(ids, expected);
    assert_eq!(sealed.rows, 13);
}

#[tokio::test]
async fn row_ranges_tile_a_masked_file() {
    let rows = events(0, 100);
    let mut ids = Vec::new();
    for first in (0..72).step_by(7) {
        let count = 7.min(72 - first);
        let bench = Bench::default();
        let mut part = bench.lake.put("a.parquet", parquet(&rows, 30));
        part.mask = Some(Box::new(bench.lake.mask(
            "m",
            vec![0..2, 25..35, 40..100],
            28,
        )));
        part.rows = Some(100);
        part.row_range = Some(RowRange { first, count });
        let (sealed, file) = bench
            .run(task(schema_of(&rows), vec![part], JSON))
            .await
            .unwrap();
        assert_eq!(sealed.rows, count);
        ids.extend(lines_of(&file).iter().map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["id"].as_i64().unwrap()
        }));
    }
    let expected: Vec<i64> = (0..2).chain(25..35).chain(40..100).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn row_groups_read_piece_by_piece_give_the_same_file() {
    let whole = Bench::default();
    let pieces = Bench {
        limits: Limits {
            fetch_bytes_max: 0,
            batch_bytes: 1,
            ..Limits::default()
        },
        ..Bench::default()
    };
    let rows = events(0, 5_000);
    let mut digests = Vec::new();
    for bench in [whole, pieces] {
        let slice = bench.lake.put("a.parquet", parquet(&rows, 2_000));
        let (sealed, _) = bench
            .run(task(schema_of(&rows), vec![slice], JSON_GZ))
            .await
            .unwrap();
        digests.push(sealed.sha256);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_type_the_format_lacks_is_refused_before_anything_is_staged() {
    let bench = Bench::default();
    let map = offtake_model::DataType::Map {
        key: Box::new(offtake_model::DataType::List(Box::new(
            offtake_model::Field::new("element", offtake_model::DataType::Utf8, true),
        ))),
        value: Box::new(offtake_model::Field::new(
            "value",
            offtake_model::DataType::Utf8,
            true,
        )),
    };
    let schema = offtake_model::Schema {
        fields: vec![offtake_model::Field::new("m", map, true)],
    };
    let sinks = FaultySinks::new(Arc::new(bench.sinks.clone()));
    let engine = InProcessEngine::new(bench.runner(Arc::new(sinks.clone())), 1);
    let fault = finish(&engine, task(schema, vec![], JSON))
        .await
        .unwrap_err();
    assert_eq!(fault.code, ErrorCode::TypeNotSupported);
    assert_eq!(sinks.calls(SinkCall::Begin), 0);
}

#[tokio::test]
async fn a_destination_that_fails_is_told_as_it_is() {
    let begun = [(SinkCall::Begin, JSON), (SinkCall::Begin, PARQUET)];
    let written = [(SinkCall::Write, JSON), (SinkCall::Write, PARQUET)];
    let sealed = [(SinkCall::Seal, JSON), (SinkCall::Seal, PARQUET)];
    for (call, encoding) in [begun, written, sealed].concat() {
        let bench = Bench::default();
        let sinks = FaultySinks::new(Arc::new(bench.sinks.clone()));
        let full = offtake_model::Fault::new(ErrorCode::DestinationFull, "write");
        sinks.strike(call, 1, Trouble::Fails(full.clone()));
        let rows = events(0, 100_000);
        // Two, so that they are encoded.
        let slices = ["a.parquet", "b.parquet"];
        let slices = slices.map(|name| bench.lake.put(name, parquet(&rows, 10_000)));
        let engine = InProcessEngine::new(bench.runner(Arc::new(sinks)), 1);
        let task = task(schema_of(&rows), slices.into(), encoding);
        let ended = finish(&engine, task).await;
        assert_eq!(ended.unwrap_err(), full);
        assert_eq!(bench.sinks.staged(), 0);
    }
}

#[tokio::test]
async fn dropping_the_events_stops_the_task() {
    let bench = Bench::default();
    let rows = events(0, 200_000);
    let slice = bench.lake.put("a.parquet", parquet(&rows, 10_000));
    let engine = InProcessEngine::new(bench.runner(Arc::new(bench.sinks.clone())), 1);
    let mut running = engine
        .run(request(task(schema_of(&rows), vec![slice.clone()], JSON)))
        .await;
    assert!(matches!(
        running.next().await,
        Some(TaskEvent::Begun { .. })
    ));
    drop(running);
    // The only slot is free again once the dropped task is gone.
    let next = finish(&engine, task(schema_of(&rows), vec![slice], JSON_GZ)).await;
    next.unwrap();
    assert_eq!(
        bench.sinks.staged(),
        1,
        "only the second task's file is staged"
    );
}
