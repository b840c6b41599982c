use std::collections::{BTreeMap, BTreeSet};

use offtake_model::change::MaskRef;
use offtake_model::delivery::Cursor;
use offtake_model::plan::PlanMode;
use offtake_model::resource::TableFormat;
use offtake_model::{
    ChangeSet, Changes, Compression, ConnectionId, DataType, DatasetId, DeliveryId,
    DestinationKind, ErrorCode, ExportPlan, ExportSpec, Field, FileRules, FileSlice, FileType,
    FlowId, FolderFile, FolderListing, Millis, OnRewrite, OrgId, OutputEncoding, Position,
    ResourceId, RowGroup, Run, RunId, RunKind, SandboxName, Schema, SeenFolder, SinkRef, SourceRef,
    Tenant,
};
use proptest::prelude::*;

use super::{
    LakeAnswer, LakeQuestion, Limits, Next, PACK_ABOVE, Subject, TASKS_MAX, after, ask,
    plan_export, tasks, tasks::Size,
};

pub(crate) fn run() -> Run {
    let tenant = Tenant {
        org: OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned()),
        sandbox: SandboxName("prod".to_owned()),
    };
    let flow: FlowId = "7a6e0d3a-6b7e-4b47-8a4e-4b5d1f6a7c11".parse().unwrap();
    let trigger_key = "sched:1675901210".to_owned();
    Run {
        id: RunId::derive(flow, &trigger_key),
        flow,
        flow_generation: 1,
        kind: RunKind::Scheduled,
        trigger_key,
        occurrence: Millis::from_secs(1_675_901_210),
        full: false,
        spec: ExportSpec {
            tenant: tenant.clone(),
            flow,
            flow_name: "Orders to the zone".to_owned(),
            flow_spec: "cd2fc47e-e838-4f38-a581-8fff2f99b63a".to_owned(),
            source_connection: ResourceId("s".to_owned()),
            target_connection: ResourceId("t".to_owned()),
            datasets: vec![dataset()],
            sink: SinkRef {
                kind: DestinationKind::LandingZone,
                tenant,
                connection: ConnectionId("68936e2b-4b0c-4b7a-9f0e-0d6a3c9f0b11".parse().unwrap()),
                container: None,
            },
            path: "exports".to_owned(),
            encoding: OutputEncoding::new(FileType::Json, Compression::Gzip),
            folder_template: None,
            on_rewrite: OnRewrite::Fail,
            include_file_manifest: true,
            file_rules: FileRules::default(),
        },
        created_by: "scheduler".to_owned(),
        created_at: Millis(0),
    }
}

pub(crate) fn dataset() -> DatasetId {
    DatasetId("5ef3e3259ad2a1191ab7dd7d".to_owned())
}

pub(crate) fn position(version: u64) -> Position {
    Position::Delta {
        table: "5a1f".to_owned(),
        version,
    }
}

fn cursor(version: u64) -> Cursor {
    Cursor {
        position: position(version),
        seq: 4,
    }
}

pub(crate) fn slice(path: &str, bytes: u64, groups: &[(u64, u64)]) -> FileSlice {
    FileSlice {
        source: SourceRef {
            root: "default".to_owned(),
            path: path.to_owned(),
        },
        bytes,
        etag: None,
        rows: Some(groups.iter().map(|(rows, _)| rows).sum()),
        row_groups: None,
        row_range: None,
        known_row_groups: groups
            .iter()
            .map(|(rows, bytes)| RowGroup {
                rows: *rows,
                bytes: *bytes,
            })
            .collect(),
        constants: Vec::new(),
        mask: None,
    }
}

pub(crate) fn change_set(version: u64, slices: Vec<FileSlice>) -> ChangeSet {
    ChangeSet {
        to: position(version),
        slices,
        schema: Schema {
            fields: vec![Field::new("row_id", DataType::Int64, false)],
        },
    }
}

pub(crate) fn plan(
    run: &Run,
    cursor: Option<&Cursor>,
    changes: ChangeSet,
    target: u64,
) -> ExportPlan {
    let dataset = dataset();
    let subject = subject(run, &dataset, cursor);
    let answer = match cursor {
        None => LakeAnswer::Snapshot(changes),
        Some(_) => LakeAnswer::Changes(Changes::Appended(changes)),
    };
    let limits = Limits {
        target_task_bytes: target,
    };
    match after(&subject, answer).unwrap() {
        Next::Plan { mode, changes } => plan_export(&subject, mode, changes, &limits).unwrap(),
        Next::AskSnapshotAgain { .. } => panic!("nothing was rewritten"),
        Next::ReadFiles { .. } => panic!("it is no folder"),
    }
}

fn subject<'a>(run: &'a Run, dataset: &'a DatasetId, cursor: Option<&'a Cursor>) -> Subject<'a> {
    Subject {
        delivery: DeliveryId::derive(run.id, dataset),
        run,
        dataset,
        dataset_name: "Orders",
        organisation_name: "Acme",
        cursor,
    }
}

#[test]
fn the_first_run_asks_for_all_and_later_ones_for_what_was_added() {
    let mut run = run();
    assert_eq!(ask(&run, TableFormat::Delta, None), LakeQuestion::Snapshot);
    let since = LakeQuestion::Changes { from: position(3) };
    assert_eq!(ask(&run, TableFormat::Delta, Some(&cursor(3))), since);
    run.full = true;
    assert_eq!(
        ask(&run, TableFormat::Delta, Some(&cursor(3))),
        LakeQuestion::Snapshot
    );
}

#[test]
fn the_mode_says_why_rows_are_sent() {
    let mut run = run();
    assert_eq!(
        plan(&run, None, change_set(3, vec![]), 1).mode,
        PlanMode::Full
    );
    let at = cursor(3);
    let increment = plan(&run, Some(&at), change_set(5, vec![]), 1);
    assert_eq!((increment.mode, increment.seq), (PlanMode::Incremental, 5));
    run.full = true;
    let dataset = dataset();
    let answer = LakeAnswer::Snapshot(change_set(5, vec![]));
    let next = after(&subject(&run, &dataset, Some(&at)), answer).unwrap();
    assert!(matches!(
        next,
        Next::Plan {
            mode: PlanMode::FullResync,
            ..
        }
    ));
}

#[test]
fn a_rewrite_fails_or_asks_for_everything_as_the_flow_wishes() {
    let mut run = run();
    let dataset = dataset();
    let at = cursor(3);
    let rewritten = || {
        LakeAnswer::Changes(Changes::Rewritten {
            at: "version 4 (DELETE)".to_owned(),
            to: position(5),
        })
    };
    let fault = after(&subject(&run, &dataset, Some(&at)), rewritten()).unwrap_err();
    assert_eq!(fault.code, ErrorCode::SourceRewritten);
    assert!(fault.message.contains("version 4 (DELETE)"));
    run.spec.on_rewrite = OnRewrite::Full;
    assert_eq!(
        after(&subject(&run, &dataset, Some(&at)), rewritten()).unwrap(),
        Next::AskSnapshotAgain { at: position(5) }
    );
}

#[test]
fn a_cursor_never_moves_backwards() {
    let run = run();
    let dataset = dataset();
    let at = cursor(3);
    let mut other = change_set(9, vec![]);
    other.to = Position::Delta {
        table: "other".to_owned(),
        version: 9,
    };
    for changes in [change_set(2, vec![]), other] {
        let answer = LakeAnswer::Changes(Changes::Appended(changes));
        let fault = after(&subject(&run, &dataset, Some(&at)), answer).unwrap_err();
        assert_eq!(fault.code, ErrorCode::SourceHistoryLost);
    }
}

#[test]
fn planning_twice_gives_the_same_plan() {
    let run = run();
    let changes = || {
        change_set(
            3,
            vec![slice("a", 10, &[(1, 5), (1, 5)]), slice("b", 10, &[])],
        )
    };
    assert_eq!(
        plan(&run, None, changes(), 6),
        plan(&run, None, changes(), 6)
    );
}

#[test]
fn an_empty_increment_is_a_plan_without_tasks() {
    let run = run();
    let plan = plan(&run, Some(&cursor(3)), change_set(3, vec![]), 1);
    assert!(plan.tasks.is_empty());
    assert_eq!(plan.to, position(3));
}

#[test]
fn datasets_that_may_share_a_folder_have_their_own_manifest_in_it() {
    let mut run = run();
    run.spec.folder_template = Some("%DESTINATION%/%DATETIME(yyyyMMdd)%".to_owned());
    let alone = plan(&run, None, change_set(3, vec![slice("a", 1, &[])]), 1);
    assert_eq!(alone.folder, "exports/Data Landing Zone/20230209");
    assert!(
        alone
            .file_manifest_key
            .unwrap()
            .ends_with(&format!("-{}.json", run.id))
    );
    run.spec.datasets.push(DatasetId("b".to_owned()));
    let shared = plan(&run, None, change_set(3, vec![]), 1);
    assert!(
        shared
            .file_manifest_key
            .unwrap()
            .ends_with("-5ef3e3259ad2a1191ab7dd7d.json")
    );
}

#[test]
fn a_large_file_is_split_between_row_groups_and_small_ones_stay_whole() {
    let changes = change_set(
        3,
        vec![
            slice("big", 100, &[(1, 30), (2, 30), (3, 30), (4, 10)]),
            slice("small", 50, &[(9, 50)]),
        ],
    );
    let plan = plan(&run(), None, changes, 60);
    let read: Vec<_> = plan
        .tasks
        .iter()
        .map(|task| {
            (
                task.slices[0].row_groups.clone(),
                task.slices[0].rows,
                task.slices[0].bytes,
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            (Some(vec![0, 1]), Some(3), 100),
            (Some(vec![2, 3]), Some(7), 100),
            (None, Some(9), 50)
        ]
    );
}

#[test]
fn more_bytes_than_tasks_make_tasks_larger() {
    let slices = (0..TASKS_MAX as u64 + 5)
        .map(|n| slice(&n.to_string(), 7, &[]))
        .collect();
    let groups = tasks::group(slices, bytes(1)).unwrap();
    assert!(groups.len() <= TASKS_MAX, "{}", groups.len());
    assert!(groups.iter().all(|group| group.len() <= 3));
}

const fn bytes(bytes: u64) -> Size {
    Size {
        bytes,
        rows_max: None,
        pack: false,
    }
}

#[test]
fn file_rules_cut_large_files_by_rows_and_put_small_ones_together() {
    let mut run = run();
    run.spec.file_rules = FileRules {
        max_rows: Some(4),
        target_bytes: None,
    };
    let slices = vec![
        slice("a", 10, &[(1, 10)]),
        slice("b", 10, &[(2, 10)]),
        slice("c", 100, &[(9, 100)]),
    ];
    let plan = plan(&run, None, change_set(3, slices), 1_000);
    let read: Vec<Vec<_>> = plan
        .tasks
        .iter()
        .map(|task| {
            let part = |it: &FileSlice| (it.source.path.clone(), it.row_range.map(|it| it.count));
            task.slices.iter().map(part).collect()
        })
        .collect();
    let c = |count| ("c".to_owned(), Some(count));
    assert_eq!(
        read,
        [
            vec![("a".to_owned(), None), ("b".to_owned(), None)],
            vec![c(4)],
            vec![c(4)],
            vec![c(1)],
        ]
    );
}

#[test]
fn a_target_of_bytes_makes_few_files_of_many_small_ones() {
    let mut run = run();
    run.spec.file_rules.target_bytes = Some(100);
    let slices = (0..20)
        .map(|n| slice(&n.to_string(), 10, &[(1, 10)]))
        .collect();
    let plan = plan(&run, None, change_set(3, slices), 1_000);
    assert_eq!(
        plan.tasks.len(),
        4,
        "JSON in gzip: five files of 10 bytes each"
    );
}

#[test]
fn a_limit_that_makes_too_many_files_or_cannot_be_counted_is_refused() {
    let size = Size {
        bytes: 1,
        rows_max: Some(1),
        pack: true,
    };
    let many = tasks::group(vec![slice("a", 1, &[(TASKS_MAX as u64 + 1, 1)])], size);
    assert_eq!(many.unwrap_err().code, ErrorCode::FieldInvalid);
    let mut uncounted = slice("a", 1, &[]);
    uncounted.rows = None;
    let refused = tasks::group(vec![uncounted], size).unwrap_err();
    assert_eq!(refused.code, ErrorCode::SourceFeatureUnsupported);
}

/// Row groups, whether they are known, and rows that a mask removes when there are enough.
type CountedFile = (Vec<(u64, u64)>, bool, u64);

/// Files with their row groups and the rows that a mask removes.
fn counted_slices() -> impl Strategy<Value = Vec<FileSlice>> {
    let groups = proptest::collection::vec((0u64..50, 0u64..40), 0..6);
    proptest::collection::vec((groups, proptest::bool::ANY, 0u64..60), 0..40).prop_map(|files| {
        let file = |(index, (groups, known, masked)): (usize, CountedFile)| {
            let bytes = groups.iter().map(|it| it.1).sum();
            let mut slice = slice(&format!("f{index}"), bytes, &groups);
            if !known {
                slice.known_row_groups.clear();
            }
            let rows = masked.min(slice.rows.unwrap());
            slice.mask = (masked > 30).then(|| {
                Box::new(MaskRef {
                    root: "default".to_owned(),
                    descriptor: String::new(),
                    rows,
                })
            });
            slice
        };
        files.into_iter().enumerate().map(file).collect()
    })
}

/// The rows a slice gives, as (file, ordinal among the rows that its mask leaves).
fn rows_of(slice: &FileSlice, groups: &BTreeMap<String, Vec<u64>>) -> Vec<(String, u64)> {
    let path = &slice.source.path;
    let masked = slice.mask.as_ref().map_or(0, |mask| mask.rows);
    let mut rows: Vec<u64> = match &slice.row_groups {
        None => (0..groups[path].iter().sum::<u64>() - masked).collect(),
        Some(chosen) => chosen
            .iter()
            .flat_map(|nth| {
                let nth = *nth as usize;
                let first: u64 = groups[path][..nth].iter().sum();
                first..first + groups[path][nth]
            })
            .collect(),
    };
    if let Some(range) = slice.row_range {
        let end = usize::try_from(range.first + range.count).unwrap();
        rows = rows[usize::try_from(range.first).unwrap()..end].to_vec();
    }
    rows.into_iter().map(|row| (path.clone(), row)).collect()
}

fn slices() -> impl Strategy<Value = Vec<FileSlice>> {
    let groups = proptest::collection::vec((0u64..50, 0u64..40), 0..8);
    let chosen = proptest::option::of(proptest::collection::btree_set(0u32..8, 0..8));
    proptest::collection::vec((groups, chosen, 0u64..200), 0..100).prop_map(|files| {
        let file =
            |(index, (groups, chosen, bytes)): (usize, (Vec<_>, Option<BTreeSet<u32>>, u64))| {
                let mut slice = slice(&format!("f{index}"), bytes, &groups);
                slice.row_groups = chosen.map(|it| {
                    it.into_iter()
                        .filter(|n| groups.is_empty() || (*n as usize) < groups.len())
                        .collect()
                });
                slice
            };
        files.into_iter().enumerate().map(file).collect()
    })
}

/// How often each row group of each file is read; a whole file counts as group `None` unless its groups are known.
fn coverage<'a>(
    slices: impl Iterator<Item = &'a FileSlice>,
    known: &BTreeMap<String, usize>,
) -> BTreeMap<(String, Option<u32>), u32> {
    let mut counts = BTreeMap::new();
    for slice in slices {
        let path = slice.source.path.clone();
        let groups: Vec<Option<u32>> = match (&slice.row_groups, known.get(&path)) {
            (Some(chosen), _) => chosen.iter().map(|n| Some(*n)).collect(),
            (None, Some(count)) if *count > 0 => {
                (0..u32::try_from(*count).unwrap()).map(Some).collect()
            }
            (None, _) => vec![None],
        };
        for group in groups {
            *counts.entry((path.clone(), group)).or_default() += 1;
        }
    }
    counts
}

/// More where the long tests are asked for.
fn cases() -> u32 {
    let asked = std::env::var("OFFTAKE_DEEP_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_file_rules_tasks_read_every_row_exactly_once(
        given in counted_slices(), bytes in 0u64..150, rows_max in proptest::option::of(1u64..70)
    ) {
        let groups: BTreeMap<String, Vec<u64>> = given.iter().map(|it| {
            let rows = it.known_row_groups.iter().map(|group| group.rows).collect::<Vec<_>>();
            let rows = if rows.is_empty() { vec![it.rows.unwrap()] } else { rows };
            (it.source.path.clone(), rows)
        }).collect();
        let masked = given.iter().any(|it| it.mask.is_some());
        prop_assume!(rows_max.is_some() || !masked);
        let before: BTreeSet<_> = given.iter().flat_map(|it| rows_of(it, &groups)).collect();
        let tasks = tasks::group(given, Size { bytes, rows_max, pack: true }).unwrap();
        let mut read = Vec::new();
        for task in &tasks {
            let rows: Vec<_> = task.iter().flat_map(|it| rows_of(it, &groups)).collect();
            prop_assert!(rows.len() as u64 <= rows_max.unwrap_or(u64::MAX));
            read.extend(rows);
        }
        prop_assert_eq!(read.len(), before.len());
        prop_assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), before);
    }

    #[test]
    fn tasks_read_every_row_group_exactly_once_and_in_order(given in slices(), target in 0u64..150) {
        let known: BTreeMap<String, usize> =
            given.iter().map(|it| (it.source.path.clone(), it.known_row_groups.len())).collect();
        let before = coverage(given.iter(), &known);
        let groups = tasks::group(given, bytes(target)).unwrap();
        let read: Vec<&FileSlice> = groups.iter().flatten().collect();
        prop_assert_eq!(coverage(read.iter().copied(), &known), before);
        prop_assert!(read.iter().all(|it| it.known_row_groups.is_empty()));
        let place = |it: &&FileSlice| (it.source.path[1..].parse::<u32>().unwrap(), it.row_groups.clone().and_then(|it| it.first().copied()));
        prop_assert!(read.is_sorted_by_key(place));
        prop_assert!(groups.iter().all(|group| !group.is_empty()));
        if read.len() <= PACK_ABOVE {
            prop_assert!(groups.iter().all(|group| group.len() == 1));
        }
    }
}

#[test]
fn the_serialised_plan_is_this() {
    let mut changes = change_set(3, vec![slice("orders/part-0.parquet", 10, &[(2, 10)])]);
    changes.slices[0].constants = vec![("day".to_owned(), Some("2026-11-23".to_owned()))];
    let plan = plan(&run(), None, changes, 100);
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
    let read: ExportPlan = serde_json::from_slice(&serde_json::to_vec(&plan).unwrap()).unwrap();
    assert_eq!(read, plan);
}

fn look(names: &[&str]) -> FolderListing {
    FolderListing {
        at: Position::Folder {
            files: names.len() as u64,
            fingerprint: names.concat(),
        },
        files: names
            .iter()
            .map(|name| FolderFile {
                path: (*name).to_owned(),
                bytes: 3,
                tag: None,
            })
            .collect(),
    }
}

/// Mode, files to send, and whether the schema delivered before binds.
fn read_of(
    run: &Run,
    stood: bool,
    seen: Option<&[&str]>,
    now: &[&str],
) -> Result<(PlanMode, Vec<String>, bool), ErrorCode> {
    let dataset = dataset();
    let at = Cursor {
        position: look(&[]).at,
        seq: 1,
    };
    let answer = LakeAnswer::Files {
        listing: look(now),
        seen: seen.map(|names| SeenFolder {
            files: look(names).files,
            schema: Schema::default(),
        }),
    };
    match after(&subject(run, &dataset, stood.then_some(&at)), answer) {
        Ok(Next::ReadFiles {
            mode,
            chosen,
            known,
            listing,
        }) => {
            assert_eq!(listing, look(now));
            Ok((
                mode,
                chosen.into_iter().map(|file| file.path).collect(),
                known.is_some(),
            ))
        }
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault.code),
    }
}

#[test]
fn a_folder_sends_what_was_not_seen_and_a_rewrite_follows_the_flow() {
    let mut run = run();
    let paths = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        ask(&run, TableFormat::ParquetFolder, Some(&cursor(3))),
        LakeQuestion::Files
    );
    let first = read_of(&run, false, None, &["a", "b"]);
    assert_eq!(first, Ok((PlanMode::Full, paths(&["a", "b"]), false)));
    let more = read_of(&run, true, Some(&["b"]), &["a", "b", "c"]);
    assert_eq!(more, Ok((PlanMode::Incremental, paths(&["a", "c"]), true)));
    let same = read_of(&run, true, Some(&["b"]), &["b"]);
    assert_eq!(same, Ok((PlanMode::Incremental, paths(&[]), true)));
    let gone = |run: &Run| read_of(run, true, Some(&["a"]), &["b"]);
    assert_eq!(gone(&run), Err(ErrorCode::SourceRewritten));
    run.spec.on_rewrite = OnRewrite::Full;
    assert_eq!(
        gone(&run),
        Ok((PlanMode::FullAfterRewrite, paths(&["b"]), false))
    );
    assert_eq!(
        read_of(&run, true, None, &["b"]),
        Err(ErrorCode::SourceHistoryLost)
    );
    run.full = true;
    assert_eq!(gone(&run), Ok((PlanMode::FullResync, paths(&["b"]), false)));
}
