//! Source files that are short, damaged or hostile: never a sealed file.

use offtake_engine::Limits;
use offtake_model::ErrorCode;

use crate::bench::{ALL, Bench, JSON, JSON_GZ, parquet, schema_of, task};
use crate::tasks::events;

#[tokio::test]
async fn a_source_cut_short_anywhere_is_never_sealed() {
    let rows = events(0, 3_000);
    let whole = parquet(&rows, 1_000);
    for encoding in ALL {
        for cut in [
            0,
            3,
            8,
            11,
            100,
            whole.len() / 2,
            whole.len() - 100,
            whole.len() - 1,
        ] {
            let bench = Bench::default();
            let slice = bench.lake.put("cut.parquet", whole[..cut].to_vec());
            let fault = bench
                .refuse(task(schema_of(&rows), vec![slice], encoding))
                .await;
            assert_eq!(fault.code, ErrorCode::SourceCorrupt, "{cut}: {fault}");
            assert!(fault.message.contains("cut.parquet"), "{fault}");
        }
    }
}

#[tokio::test]
async fn pages_lost_in_the_middle_are_never_sealed() {
    let rows = events(0, 3_000);
    let whole = parquet(&rows, 1_000);
    for encoding in ALL {
        for hole in [4, whole.len() / 3, whole.len() / 2] {
            let bench = Bench::default();
            let mut damaged = whole.clone();
            damaged[hole..hole + 400].fill(0);
            let slice = bench.lake.put("hole.parquet", damaged);
            let fault = bench
                .refuse(task(schema_of(&rows), vec![slice], encoding))
                .await;
            assert_eq!(fault.code, ErrorCode::SourceCorrupt, "{hole}: {fault}");
            assert!(fault.message.contains("hole.parquet"), "{fault}");
        }
    }
}

#[tokio::test]
async fn a_later_slice_that_is_damaged_spoils_the_task() {
    let bench = Bench::default();
    let rows = events(0, 500);
    let whole = parquet(&rows, 100);
    let good = bench.lake.put("good.parquet", whole.clone());
    let bad = bench
        .lake
        .put("bad.parquet", whole[..whole.len() - 2].to_vec());
    let fault = bench
        .refuse(task(schema_of(&rows), vec![good, bad], JSON))
        .await;
    assert_eq!(fault.code, ErrorCode::SourceCorrupt);
    assert!(fault.message.contains("bad.parquet"));
}

#[tokio::test]
async fn no_part_waits_for_a_first_one_that_cannot_be_decoded() {
    let bench = Bench::default();
    let rows = events(0, 10_000);
    let good = parquet(&rows, 1_000);
    let mut bad = good.clone();
    bad[4..400].fill(0);
    let others = (0..9).map(|nth| bench.lake.put(&format!("{nth}.parquet"), good.clone()));
    let slices = std::iter::once(bench.lake.put("bad.parquet", bad)).chain(others);
    let task = task(schema_of(&rows), slices.collect(), JSON_GZ);
    let fault = bench.refuse(task).await;
    assert_eq!(fault.code, ErrorCode::SourceCorrupt);
    assert!(fault.message.contains("bad.parquet"));
}

#[tokio::test]
async fn no_damaged_byte_brings_the_engine_down_or_changes_the_row_count() {
    let rows = events(0, 200);
    let whole = parquet(&rows, 100);
    // A fixed sequence: every failure can be seen again.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..300 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = usize::try_from(state >> 33).unwrap() % whole.len();
        let mut damaged = whole.clone();
        damaged[at] ^= state.to_le_bytes()[1] | 1;
        let bench = Bench::default();
        let slice = bench.lake.put("a.parquet", damaged);
        if let Ok((sealed, file)) = bench.run(task(schema_of(&rows), vec![slice], JSON)).await {
            assert_eq!(sealed.rows, 200, "byte {at}");
            let ends = file.split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(ends, 200, "byte {at}");
        }
    }
}

#[tokio::test]
async fn a_count_that_differs_from_the_tables_is_refused() {
    let bench = Bench::default();
    let rows = events(0, 100);
    let mut slice = bench.lake.put("a.parquet", parquet(&rows, 30));
    slice.rows = Some(99);
    let fault = bench
        .refuse(task(schema_of(&rows), vec![slice], JSON))
        .await;
    assert_eq!(fault.code, ErrorCode::SourceCorrupt);
    assert!(
        fault.message.contains("100") && fault.message.contains("99"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_row_group_that_is_not_there_is_refused() {
    let bench = Bench::default();
    let rows = events(0, 100);
    let mut slice = bench.lake.put("a.parquet", parquet(&rows, 30));
    slice.row_groups = Some(vec![4]);
    let fault = bench
        .refuse(task(schema_of(&rows), vec![slice], JSON))
        .await;
    assert_eq!(fault.code, ErrorCode::SourceCorrupt);
}

#[tokio::test]
async fn a_missing_source_is_told_as_the_lake_tells_it() {
    let bench = Bench::default();
    let rows = events(0, 10);
    let mut slice = bench.lake.put("a.parquet", parquet(&rows, 30));
    slice.source.path = "b.parquet".to_owned();
    let fault = bench
        .refuse(task(schema_of(&rows), vec![slice], JSON))
        .await;
    assert_eq!(fault.code, ErrorCode::SourceVanished);
}

#[tokio::test]
async fn footers_beyond_the_limits_are_refused() {
    let rows = events(0, 10);
    let limits = Limits::default();
    let cases = [
        Limits {
            footer_bytes_max: 100,
            ..limits
        },
        Limits {
            columns_max: 3,
            ..limits
        },
        Limits {
            nesting_max: 2,
            ..limits
        },
    ];
    for limits in cases {
        let bench = Bench {
            limits,
            ..Bench::default()
        };
        let slice = bench.lake.put("a.parquet", parquet(&rows, 30));
        let fault = bench
            .refuse(task(schema_of(&rows), vec![slice], JSON))
            .await;
        assert_eq!(fault.code, ErrorCode::SourceCorrupt);
        assert!(fault.message.contains("limit"), "{fault}");
    }
}

#[tokio::test]
async fn an_encrypted_footer_is_a_missing_feature() {
    let bench = Bench::default();
    let rows = events(0, 10);
    let mut file = parquet(&rows, 30);
    let end = file.len();
    file[end - 4..].copy_from_slice(b"PARE");
    let slice = bench.lake.put("a.parquet", file);
    let fault = bench
        .refuse(task(schema_of(&rows), vec![slice], JSON))
        .await;
    assert_eq!(fault.code, ErrorCode::SourceFeatureUnsupported);
}
