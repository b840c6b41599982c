use std::collections::BTreeMap;

use offtake_model::delivery::Passage;
use offtake_model::{
    AttemptId, AttemptTag, ErrorCode, ExportPlan, SealedFile, StageHandle, StageToken, Winner,
};
use uuid::Uuid;

use super::{build, file_manifest, parse, sha256_hex, to_bytes};
use crate::plan::tests::{change_set, plan, run, slice};

fn sample() -> ExportPlan {
    let slices = vec![slice("a", 10, &[]), slice("b", 10, &[])];
    plan(&run(), None, change_set(3, slices), 100)
}

fn winner(plan: &ExportPlan, task: u32) -> Winner {
    let attempt = AttemptId(Uuid::from_u128(u128::from(task)));
    let bytes = 100 + u64::from(task);
    Winner {
        task,
        attempt,
        file: SealedFile {
            token: StageToken {
                handle: StageHandle {
                    key: plan.tasks[task as usize].key.clone(),
                    tag: AttemptTag {
                        delivery: plan.delivery,
                        task,
                        attempt,
                    },
                    detail: String::new(),
                },
                bytes,
                detail: String::new(),
            },
            input_rows: 5,
            rows: 5,
            bytes,
            sha256: "ab".repeat(32),
            passage: Passage::Encoded,
        },
    }
}

fn bytes() -> Vec<u8> {
    let plan = sample();
    let winners = [winner(&plan, 1), winner(&plan, 0)];
    let etags = BTreeMap::from([(1, "\"e1\"".to_owned())]);
    to_bytes(&build(&plan, &winners, &etags, "offtake 0.1.0").unwrap()).unwrap()
}

#[test]
fn a_file_whose_rows_were_not_encoded_says_so() {
    let plan = sample();
    let mut passed = winner(&plan, 0);
    passed.file.passage = Passage::Recompressed;
    let winners = [passed, winner(&plan, 1)];
    let manifest = build(&plan, &winners, &BTreeMap::new(), "offtake 0.1.0").unwrap();
    let text = String::from_utf8(to_bytes(&manifest).unwrap()).unwrap();
    assert_eq!(
        text.matches(r#","passage":"recompressed","rows":5,"#)
            .count(),
        1
    );
    assert_eq!(parse(text.as_bytes()).unwrap(), manifest);
}

#[test]
fn the_manifests_bytes_are_these() {
    insta::assert_snapshot!(String::from_utf8(bytes()).unwrap(), @r#"{"checksum":"fa6a909be48963a03a47c065f61f9b48b75311f409e881e3454fb7307c8995ab","dataset":"5ef3e3259ad2a1191ab7dd7d","delivery":"e6c988a6-ee03-596f-b743-4ad0fce7152e","encoding":{"compression":"GZIP","fileType":"JSON"},"files":[{"key":"exports/5ef3e3259ad2a1191ab7dd7d/exportTime=202302090006/part-00000-tid-4789722426308472928-e6c988a6-ee03-596f-b743-4ad0fce7152e-0-1-c000.json.gz","rows":5,"sha256":"abababababababababababababababababababababababababababababababab","size":100},{"etag":"\"e1\"","key":"exports/5ef3e3259ad2a1191ab7dd7d/exportTime=202302090006/part-00001-tid-4789722426308472928-e6c988a6-ee03-596f-b743-4ad0fce7152e-1-1-c000.json.gz","rows":5,"sha256":"abababababababababababababababababababababababababababababababab","size":101}],"flow":"7a6e0d3a-6b7e-4b47-8a4e-4b5d1f6a7c11","formatVersion":1,"from":null,"kind":"scheduled","mode":"full","occurrence":1675901210000,"producer":"offtake 0.1.0","run":"c71ea47c-9f76-5d5c-b23d-696343b5610d","schema":{"fields":[{"name":"row_id","nullable":false,"type":"int64"}]},"schemaFingerprint":"073744083ff72b4ae7e2cf58a42bcead305bbb7138f2cb66cf965cd0f20307fc","seq":1,"to":{"kind":"delta","table":"5a1f","version":3},"totalBytes":201,"totalRows":10}"#);
    assert_eq!(sha256_hex(&bytes()).len(), 64);
}

#[test]
fn what_was_written_is_read_back() {
    let manifest = parse(&bytes()).unwrap();
    assert_eq!(to_bytes(&manifest).unwrap(), bytes());
    assert_eq!((manifest.total_rows, manifest.total_bytes), (10, 201));
}

#[test]
fn the_documented_manifest_names_folder_file_and_size() {
    let plan = sample();
    let manifest = parse(&bytes()).unwrap();
    let text = String::from_utf8(file_manifest(&plan, &manifest).unwrap()).unwrap();
    insta::assert_snapshot!(text, @r#"{"exportResults":[{"name":"part-00000-tid-4789722426308472928-e6c988a6-ee03-596f-b743-4ad0fce7152e-0-1-c000.json.gz","sinkPath":"/exports/5ef3e3259ad2a1191ab7dd7d/exportTime=202302090006","size":100},{"name":"part-00001-tid-4789722426308472928-e6c988a6-ee03-596f-b743-4ad0fce7152e-1-1-c000.json.gz","sinkPath":"/exports/5ef3e3259ad2a1191ab7dd7d/exportTime=202302090006","size":101}],"flowRunId":"c71ea47c-9f76-5d5c-b23d-696343b5610d","scheduledTime":"2023-02-09T00:06:50Z"}"#);
}

#[test]
fn an_empty_delivery_has_a_manifest_without_files() {
    let plan = plan(&run(), None, change_set(3, vec![]), 100);
    let manifest = build(&plan, &[], &BTreeMap::new(), "offtake").unwrap();
    assert!(
        parse(&to_bytes(&manifest).unwrap())
            .unwrap()
            .files
            .is_empty()
    );
    let documented = file_manifest(&plan, &manifest).unwrap();
    assert!(documented.starts_with(b"{\"exportResults\":[],"));
}

#[test]
fn winners_that_are_not_the_plans_break_it() {
    let plan = sample();
    let mut elsewhere = winner(&plan, 1);
    elsewhere.file.token.handle.key.push('x');
    let mut stranger = winner(&plan, 1);
    stranger.task = 2;
    for winners in [
        vec![winner(&plan, 0)],
        vec![winner(&plan, 0), winner(&plan, 0), winner(&plan, 1)],
        vec![winner(&plan, 0), elsewhere],
        vec![winner(&plan, 0), winner(&plan, 1), stranger],
    ] {
        let fault = build(&plan, &winners, &BTreeMap::new(), "offtake").unwrap_err();
        assert_eq!(fault.code, ErrorCode::Quarantined);
    }
}

#[test]
fn a_changed_manifest_is_refused() {
    let text = String::from_utf8(bytes()).unwrap();
    for (from, to) in [
        ("\"rows\":5", "\"rows\":6"),
        ("\"size\":100", "\"size\":99"),
        ("abab", "abac"),
        ("\"formatVersion\":1", "\"formatVersion\":2"),
        ("\"name\":\"row_id\"", "\"name\":\"rowid\""),
        (",", ", "),
        ("\"etag\"", "\"tag\""),
        ("{", ""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert!(parse(changed.as_bytes()).is_err(), "{from}");
    }
}
