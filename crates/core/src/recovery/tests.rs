use offtake_model::delivery::Cursor;
use offtake_model::plan::PlanMode;
use offtake_model::{
    Compression, DataType, DatasetId, DeliveryId, ErrorCode, Field, FileType, FlowId, FolderFile,
    FolderListing, FoundManifest, KnownDataset, Manifest, Millis, OpenDelivery, OutputEncoding,
    Position, RunId, RunKind, Schema, SeenFolder,
};
use uuid::Uuid;

use super::{Newest, Silence, catch_up, reaches, seen_after};

fn flow() -> FlowId {
    FlowId(Uuid::from_u128(7))
}

fn dataset() -> DatasetId {
    DatasetId("5ef3e3259ad2a1191ab7dd7d".to_owned())
}

fn delivery(number: u64) -> DeliveryId {
    DeliveryId(Uuid::from_u128(u128::from(number)))
}

fn at(version: u64) -> Position {
    Position::Delta {
        table: "t".to_owned(),
        version,
    }
}

fn schema() -> Schema {
    Schema {
        fields: vec![Field::new("row_id", DataType::Int64, false)],
    }
}

/// The manifest of that number, which delivered version `seq - 1` to `seq`.
fn manifest(seq: u64) -> FoundManifest {
    FoundManifest {
        key: format!("x/{seq}.manifest"),
        sha256: String::new(),
        manifest: Manifest {
            checksum: String::new(),
            dataset: dataset(),
            delivery: delivery(seq),
            encoding: OutputEncoding::new(FileType::Json, Compression::None),
            files: Vec::new(),
            flow: flow(),
            format_version: 1,
            from: (seq > 1).then(|| at(seq - 1)),
            kind: RunKind::Scheduled,
            mode: if seq > 1 {
                PlanMode::Incremental
            } else {
                PlanMode::Full
            },
            occurrence: Millis(0),
            producer: String::new(),
            run: RunId(Uuid::from_u128(u128::from(seq))),
            schema: schema(),
            schema_fingerprint: String::new(),
            seq,
            to: at(seq),
            total_bytes: 0,
            total_rows: 0,
        },
    }
}

/// A store that knows of as many deliveries.
fn known(seq: u64) -> KnownDataset {
    KnownDataset {
        dataset: dataset(),
        cursor: (seq > 0).then(|| Cursor {
            position: at(seq),
            seq,
        }),
        newest: None,
        open: Vec::new(),
        delivered: (1..=seq).map(delivery).collect(),
        undelivered: Vec::new(),
    }
}

fn judged(known: &KnownDataset, found: &[FoundManifest]) -> Result<u64, ErrorCode> {
    let step = catch_up(flow(), known, found, Newest::Stands, Silence::Refuses);
    step.map(|it| it.cursor.map_or(it.stood, |cursor| cursor.seq))
        .map_err(|fault| fault.code)
}

#[test]
fn a_flow_that_delivered_nothing_since_stays_where_it_is() {
    assert_eq!(judged(&known(0), &[]), Ok(0));
    assert_eq!(judged(&known(3), &[]), Ok(3));
}

#[test]
fn later_manifests_move_the_cursor_to_the_last_of_them_in_whatever_order_they_are_found() {
    let step = catch_up(
        flow(),
        &known(2),
        &[manifest(5), manifest(3), manifest(4)],
        Newest::Stands,
        Silence::Refuses,
    )
    .unwrap();
    let cursor = step.cursor.unwrap();
    assert_eq!((cursor.seq, cursor.to), (5, at(5)));
    let order: Vec<u64> = step.delivered.iter().map(|it| it.manifest.seq).collect();
    assert_eq!(order, [3, 4, 5]);
    assert_eq!(judged(&known(0), &[manifest(1), manifest(2)]), Ok(2));
}

#[test]
fn a_gap_is_refused_unless_a_person_accepts_it() {
    let found = [manifest(5)];
    assert_eq!(
        judged(&known(2), &found),
        Err(ErrorCode::DeliveriesUnproven)
    );
    let accepted = catch_up(
        flow(),
        &known(2),
        &found,
        Newest::Missing,
        Silence::Accepted,
    );
    assert_eq!(accepted.unwrap().cursor.unwrap().seq, 5);
}

#[test]
fn a_destination_that_keeps_no_manifests_proves_nothing() {
    let refused = catch_up(flow(), &known(2), &[], Newest::Missing, Silence::Refuses);
    assert_eq!(refused.unwrap_err().code, ErrorCode::DeliveriesUnproven);
    let accepted = catch_up(flow(), &known(2), &[], Newest::Missing, Silence::Accepted);
    assert!(accepted.unwrap().cursor.is_none());
    // A later one shows that the one before was committed.
    let later = catch_up(
        flow(),
        &known(2),
        &[manifest(3)],
        Newest::Missing,
        Silence::Refuses,
    );
    assert_eq!(later.unwrap().cursor.unwrap().seq, 3);
}

#[test]
fn contradictions_are_refused_whatever_a_person_accepts() {
    let mut forked = manifest(3);
    forked.manifest.from = Some(at(1));
    let mut twice = manifest(3);
    twice.manifest.delivery = delivery(30);
    let mut foreign = manifest(3);
    foreign.manifest.flow = FlowId(Uuid::from_u128(8));
    let mut other = manifest(3);
    other.manifest.dataset = DatasetId("another".to_owned());
    let mut old = manifest(2);
    old.manifest.delivery = delivery(20);
    for found in [
        vec![forked],
        vec![manifest(3), twice],
        vec![foreign],
        vec![other],
        vec![old],
    ] {
        for silence in [Silence::Refuses, Silence::Accepted] {
            let refused = catch_up(flow(), &known(2), &found, Newest::Stands, silence);
            assert_eq!(
                refused.unwrap_err().code,
                ErrorCode::DeliveriesContradict,
                "{found:?}"
            );
        }
    }
    let changed = catch_up(flow(), &known(2), &[], Newest::Changed, Silence::Accepted);
    assert_eq!(changed.unwrap_err().code, ErrorCode::DeliveriesContradict);
    let mut ended = known(2);
    ended.undelivered.push(delivery(3));
    assert_eq!(
        judged(&ended, &[manifest(3)]),
        Err(ErrorCode::DeliveriesContradict)
    );
}

#[test]
fn a_full_delivery_may_begin_anywhere() {
    let mut full = manifest(3);
    full.manifest.mode = PlanMode::FullResync;
    full.manifest.from = None;
    assert_eq!(judged(&known(2), &[full, manifest(4)]), Ok(4));
}

#[test]
fn deliveries_that_move_nothing_are_taken_over_beside_the_chain() {
    let mut adhoc = manifest(2);
    adhoc.manifest.kind = RunKind::Adhoc;
    adhoc.manifest.delivery = delivery(99);
    let found = [adhoc, manifest(3)];
    let step = catch_up(flow(), &known(2), &found, Newest::Stands, Silence::Refuses).unwrap();
    assert_eq!(step.delivered.len(), 2);
    assert_eq!(step.cursor.unwrap().seq, 3);
}

#[test]
fn an_open_delivery_goes_on_unless_another_has_sent_its_rows() {
    let mut known = known(2);
    known.open = vec![
        OpenDelivery {
            id: delivery(3),
            seq: Some(3),
        },
        OpenDelivery {
            id: delivery(33),
            seq: Some(3),
        },
        OpenDelivery {
            id: delivery(4),
            seq: None,
        },
    ];
    let found = [manifest(3)];
    let step = catch_up(flow(), &known, &found, Newest::Stands, Silence::Refuses).unwrap();
    assert_eq!(step.superseded, [delivery(33)]);
    let none = catch_up(flow(), &known, &[], Newest::Stands, Silence::Refuses).unwrap();
    assert!(none.superseded.is_empty());
}

#[test]
fn a_table_that_was_restored_too_does_not_reach() {
    assert!(reaches(&at(5), &at(5)) && reaches(&at(6), &at(5)));
    assert!(!reaches(&at(4), &at(5)));
    let other = Position::Delta {
        table: "u".to_owned(),
        version: 9,
    };
    assert!(!reaches(&other, &at(5)));
}

fn file(name: &str) -> FolderFile {
    FolderFile {
        path: name.to_owned(),
        bytes: 10,
        tag: Some(format!("of {name}")),
    }
}

fn listing(names: &[&str]) -> FolderListing {
    let files: Vec<FolderFile> = names.iter().map(|name| file(name)).collect();
    FolderListing {
        at: Position::of_folder(&files),
        files,
    }
}

fn seen(names: &[&str]) -> SeenFolder {
    SeenFolder {
        files: listing(names).files,
        schema: schema(),
    }
}

/// The files that were seen when the manifest was written, told from what lies there now.
fn seen_by(before: &[&str], then: &[&str], now: &[&str]) -> Option<Vec<String>> {
    let mut found = manifest(3);
    found.manifest.to = listing(then).at;
    let before = seen(before);
    let moved = seen_after(&known(2), Some(&before), &[found], &listing(now)).ok()??;
    assert!(moved.whole);
    Some(
        moved
            .delivered
            .files
            .into_iter()
            .map(|it| it.path)
            .collect(),
    )
}

#[test]
fn the_files_of_a_folder_that_were_delivered_are_found_among_those_there_now() {
    let same = seen_by(&["a"], &["a", "b", "c"], &["a", "b", "c"]).unwrap();
    assert_eq!(same, ["a", "b", "c"]);
    let grown = seen_by(&["b"], &["b", "c", "e"], &["a", "b", "c", "d", "e"]).unwrap();
    assert_eq!(grown, ["b", "c", "e"]);
    let none = seen_by(&["a"], &["a"], &["a", "b"]).unwrap();
    assert_eq!(none, ["a"]);
}

#[test]
fn a_folder_whose_delivered_files_are_gone_cannot_be_told() {
    assert_eq!(seen_by(&["a"], &["a", "b"], &["a", "c"]), None);
    assert_eq!(seen_by(&["a"], &["a", "b"], &["b", "c"]), None);
    assert_eq!(seen_by(&["a"], &["a", "b"], &["a"]), None);
}

#[test]
fn the_search_for_a_folders_files_ends() {
    let names: Vec<String> = (0..60).map(|n| format!("{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut then = names[..30].to_vec();
    then.push("gone");
    assert_eq!(seen_by(&[], &then, &names), None);
}
