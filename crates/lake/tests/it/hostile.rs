//! Locations, logs and files that mean harm or are broken.

use std::fs;
use std::os::unix::fs::symlink;

use offtake_lake::demo::DemoTable;
use offtake_lake::{LakeRoot, Lakes};
use offtake_model::{ErrorCode, FileSlice, OrgId, SourceRef};
use offtake_ports::{LakeRoots, Sources};
use serde_json::json;

use crate::craft::{Crafted, add};
use crate::support::{TestLake, at, checkpoint, commit_file, org, refused};

#[test]
fn locations_below_a_root_are_accepted_in_every_spelling() {
    let lake = TestLake::new();
    let root = lake.root();
    let root = root.to_str().unwrap();
    for (given, path) in [
        ("lake://main/a/b".to_owned(), "a/b"),
        ("lake://main/a//b/./".to_owned(), "a/b"),
        ("lake://main".to_owned(), ""),
        (format!("{root}/a/b"), "a/b"),
        (format!("file://{root}/a%20b"), "a b"),
        (format!("file://localhost{root}/a"), "a"),
        (format!("file:{root}/a"), "a"),
    ] {
        let source = lake.lake.resolve(&org(), &given).unwrap();
        assert_eq!(
            (source.root.as_str(), source.path.as_str()),
            ("main", path),
            "{given}"
        );
    }
    let shown = lake.lake.display(&lake.source("a/b"));
    assert_eq!(shown, "lake://main/a/b");
}

#[test]
fn locations_that_leave_the_roots_are_refused_with_the_setting_to_add() {
    let lake = TestLake::new();
    let root = lake.root();
    let root = root.to_str().unwrap();
    for (given, word) in [
        ("lake://main/../x".to_owned(), ".."),
        ("lake://main/a/../../x".to_owned(), ".."),
        ("lake://main/a\0b".to_owned(), "control"),
        ("lake://other/x".to_owned(), "[lake.roots.other]"),
        ("lake://".to_owned(), "[lake.roots."),
        ("/etc/passwd".to_owned(), "[lake.roots.NAME]"),
        (format!("{root}/../outside"), ".."),
        (format!("file://{root}/../outside"), ".."),
        (format!("file://{root}/%2e%2e/outside"), ".."),
        (format!("{root}sibling/x"), "[lake.roots.NAME]"),
        ("file://host/etc".to_owned(), "[lake.roots.NAME]"),
        ("s3://bucket/x".to_owned(), "[lake.roots.NAME]"),
        ("relative/x".to_owned(), "[lake.roots.NAME]"),
        (String::new(), "[lake.roots.NAME]"),
        ("x".repeat(5_000), "long"),
    ] {
        refused(
            lake.lake.resolve(&org(), &given),
            ErrorCode::LocationNotAllowed,
            word,
        );
    }
}

#[test]
fn a_root_of_other_organisations_is_answered_like_an_unknown_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str, path: &str, organisations| {
        LakeRoot::folder(name, folder.path().join(path)).for_organisations(organisations)
    };
    let other = OrgId("other".to_owned());
    let lake = Lakes::new(vec![
        root("all", "a", None),
        root("inner", "a/b", Some(vec![other.clone()])),
    ])
    .unwrap();
    refused(
        lake.resolve(&org(), "lake://inner/t"),
        ErrorCode::LocationNotAllowed,
        "[lake.roots.inner]",
    );
    assert_eq!(lake.resolve(&other, "lake://inner/t").unwrap().path, "t");
    let inner = folder.path().join("a/b/t");
    let inner = inner.to_str().unwrap();
    assert_eq!(lake.resolve(&other, inner).unwrap().root, "inner");
    assert_eq!(lake.resolve(&org(), inner).unwrap().root, "all");

    for broken in [
        vec![root("a", "x", None), root("a", "y", None)],
        vec![root("a b", "x", None)],
        vec![root("", "x", None)],
    ] {
        assert_eq!(
            Lakes::new(broken).unwrap_err().code,
            ErrorCode::FieldInvalid
        );
    }
    let relative = LakeRoot::folder("a", "x");
    assert_eq!(
        Lakes::new(vec![relative]).unwrap_err().code,
        ErrorCode::FieldInvalid
    );
}

#[tokio::test]
async fn symbolic_links_that_leave_the_root_are_refused_everywhere() {
    let lake = TestLake::new();
    let outside = lake.folder.path().join("outside");
    DemoTable::create(&outside, 10, 1, 1).unwrap();
    symlink(&outside, lake.path("absolute")).unwrap();
    symlink("../outside", lake.path("relative")).unwrap();
    for name in ["absolute", "relative"] {
        refused(
            lake.lake.resolve(&org(), &format!("lake://main/{name}")),
            ErrorCode::LocationNotAllowed,
            "symbolic link",
        );
        let source = SourceRef {
            root: "main".to_owned(),
            path: name.to_owned(),
        };
        let answer = offtake_ports::Catalog::describe(&lake.lake, &source).await;
        refused(answer, ErrorCode::SourceOutsideRoot, "symbolic link");
    }

    // A link that stays inside is a name like any other.
    DemoTable::create(&lake.path("real"), 10, 1, 1).unwrap();
    symlink("real", lake.path("alias")).unwrap();
    assert_eq!(lake.snapshot("alias").await.unwrap().slices.len(), 1);

    fs::create_dir(lake.path("log")).unwrap();
    symlink(outside.join("_delta_log"), lake.path("log/_delta_log")).unwrap();
    refused(
        lake.snapshot("log").await,
        ErrorCode::SourceOutsideRoot,
        "symbolic link",
    );

    let mut table = Crafted::new(&lake.path("file"), &[], &[]);
    symlink("/etc/hostname", lake.path("file/p.parquet")).unwrap();
    let size = fs::metadata("/etc/hostname").map_or(1, |it| it.len());
    table.commit(&[add("p.parquet", size, json!({}))]);
    let set = lake.snapshot("file").await.unwrap();
    refused(
        lake.read(&set.slices[0]).await,
        ErrorCode::SourceOutsideRoot,
        "symbolic link",
    );

    let commit = commit_file(&lake.path("file"), 2);
    symlink("/etc/hostname", commit).unwrap();
    refused(
        lake.changes("file", &set.to).await,
        ErrorCode::SourceOutsideRoot,
        "plain file",
    );
}

#[tokio::test]
async fn a_log_that_points_outside_its_table_is_refused() {
    for path in [
        "file:///etc/passwd",
        "/etc/passwd",
        "../other/p.parquet",
        "a/%2e%2e/%2e%2e/p",
        "s3://bucket/p",
        "https://h/p?sp=r",
        "a%00b",
        "",
    ] {
        let lake = TestLake::new();
        let mut table = Crafted::new(&lake.path("t"), &[], &[]);
        let from = lake.snapshot("t").await.unwrap().to;
        table.commit(&[add(path, 10, json!({}))]);
        refused(
            lake.snapshot("t").await,
            ErrorCode::SourceOutsideRoot,
            "lake://main/t",
        );
        refused(
            lake.changes("t", &from).await,
            ErrorCode::SourceOutsideRoot,
            "lake://main/t",
        );
    }
}

#[tokio::test]
async fn a_deletion_vector_outside_the_table_is_refused() {
    for (kind, path, code) in [
        ("p", "file:///etc/passwd", ErrorCode::SourceOutsideRoot),
        (
            "p",
            "https://127.0.0.1/x?sp=r",
            ErrorCode::SourceOutsideRoot,
        ),
        (
            "u",
            "../../x^-aqEH.-t@S}K{vb[*k^",
            ErrorCode::SourceOutsideRoot,
        ),
        ("r", "x.bin", ErrorCode::SourceFeatureUnsupported),
    ] {
        let lake = TestLake::new();
        let features = json!(["deletionVectors"]);
        let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features});
        let mut table = Crafted::with(&lake.path("t"), protocol, &[], &[]);
        let from = lake.snapshot("t").await.unwrap().to;
        let mut line = add("p.parquet", 10, json!({}));
        line["add"]["deletionVector"] = json!({"storageType": kind, "pathOrInlineDv": path, "offset": 1, "sizeInBytes": 40, "cardinality": 1});
        table.commit(&[line]);
        refused(lake.changes("t", &from).await, code, "lake://main/t");
        if kind == "r" {
            assert!(lake.snapshot("t").await.is_err());
        } else {
            refused(lake.snapshot("t").await, code, "lake://main/t");
        }
    }
}

#[tokio::test]
async fn a_checkpoint_that_points_over_the_network_or_away_is_refused() {
    for path in [
        "https://127.0.0.1:9/x.parquet?sp=r&sig=s",
        "file:///etc/passwd",
    ] {
        let lake = TestLake::new();
        let features = json!(["v2Checkpoint"]);
        let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features});
        let table = Crafted::with(&lake.path("t"), protocol, &[], &[]);
        let commit = fs::read_to_string(commit_file(&table.path, 0)).unwrap();
        let sidecar = json!({"sidecar": {"path": path, "sizeInBytes": 100, "modificationTime": 0, "tags": {}}});
        let checkpoint = json!({"checkpointMetadata": {"version": 0, "tags": {}}});
        let name = "00000000000000000000.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json";
        fs::write(
            table.path.join("_delta_log").join(name),
            format!("{checkpoint}\n{commit}{sidecar}\n"),
        )
        .unwrap();

        refused(
            lake.snapshot("t").await,
            ErrorCode::SourceOutsideRoot,
            "outside the table",
        );
    }
}

#[tokio::test]
async fn broken_commits_and_checkpoints_are_named() {
    let lake = TestLake::new();
    let path = lake.path("events");
    let mut table = DemoTable::create(&path, 10, 1, 1).unwrap();
    let from = lake.snapshot("events").await.unwrap().to;
    table.append(10).unwrap();
    let whole = fs::read_to_string(commit_file(&path, 1)).unwrap();
    fs::write(commit_file(&path, 1), &whole[..whole.len() / 2]).unwrap();
    refused(
        lake.changes("events", &from).await,
        ErrorCode::SourceCorrupt,
        "00001.json",
    );
    refused(
        lake.snapshot("events").await,
        ErrorCode::SourceCorrupt,
        "00001.json",
    );

    fs::write(commit_file(&path, 1), whole).unwrap();
    checkpoint(&path);
    let file = path.join("_delta_log/00000000000000000001.checkpoint.parquet");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
    refused(
        lake.snapshot("events").await,
        ErrorCode::SourceCorrupt,
        "00001.checkpoint.parquet",
    );
    fs::write(&file, b"").unwrap();
    refused(
        lake.snapshot("events").await,
        ErrorCode::SourceCorrupt,
        "00001.checkpoint.parquet",
    );
}

#[tokio::test]
async fn a_source_file_is_pinned_to_what_the_log_says() {
    let lake = TestLake::new();
    DemoTable::create(&lake.path("events"), 1_000, 1, 1).unwrap();
    let slice = lake.snapshot("events").await.unwrap().slices.remove(0);
    let file = lake.root().join(&slice.source.path);

    let reader = lake.lake.open(&slice).await.unwrap();
    let bytes = fs::read(&file).unwrap();
    assert_eq!(reader.size(), bytes.len() as u64);
    assert_eq!(reader.read(4..9).await.unwrap(), &bytes[4..9]);
    assert_eq!(reader.read(0..0).await.unwrap(), &b""[..]);
    let end = reader.size();
    refused(
        reader.read(end - 1..end + 1).await,
        ErrorCode::SourceCorrupt,
        "bytes that it does not have",
    );
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(10)
        .unwrap();
    refused(
        reader.read(0..end).await,
        ErrorCode::SourceChanged,
        "shorter",
    );
    refused(
        lake.lake.open(&slice).await.map(|_| ()),
        ErrorCode::SourceChanged,
        "10 bytes",
    );
    fs::remove_file(&file).unwrap();
    refused(
        lake.lake.open(&slice).await.map(|_| ()),
        ErrorCode::SourceVanished,
        "does not exist",
    );
    fs::create_dir(&file).unwrap();
    refused(
        lake.lake.open(&slice).await.map(|_| ()),
        ErrorCode::SourceChanged,
        "plain file",
    );
}

#[tokio::test]
async fn a_slice_from_elsewhere_cannot_open_what_a_location_could_not() {
    let lake = TestLake::new();
    fs::write(lake.folder.path().join("secret"), "x").unwrap();
    for (root, path, code) in [
        ("main", "../secret", ErrorCode::SourceOutsideRoot),
        ("main", "/etc/hostname", ErrorCode::SourceOutsideRoot),
        ("main", "", ErrorCode::SourceOutsideRoot),
        ("other", "secret", ErrorCode::LocationNotAllowed),
    ] {
        let slice = FileSlice {
            source: SourceRef {
                root: root.to_owned(),
                path: path.to_owned(),
            },
            bytes: 1,
            etag: None,
            rows: None,
            row_groups: None,
            row_range: None,
            known_row_groups: Vec::new(),
            constants: Vec::new(),
            mask: None,
        };
        assert_eq!(
            lake.lake.open(&slice).await.map(|_| ()).unwrap_err().code,
            code,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_large_file_with_a_broken_footer_is_named() {
    const LARGE: u64 = 65 * 1024 * 1024;
    let lake = TestLake::new();
    let mut table = Crafted::new(&lake.path("t"), &[], &[]);
    let from = lake.snapshot("t").await.unwrap().to;
    fs::File::create(lake.path("t/big.parquet"))
        .unwrap()
        .set_len(LARGE)
        .unwrap();
    table.commit(&[add("big.parquet", LARGE, json!({}))]);
    refused(
        lake.snapshot("t").await,
        ErrorCode::SourceCorrupt,
        "big.parquet",
    );
    refused(
        lake.changes("t", &from).await,
        ErrorCode::SourceCorrupt,
        "big.parquet",
    );

    let mut tail = vec![0xff; 4];
    tail.extend_from_slice(b"PAR1");
    std::os::unix::fs::FileExt::write_all_at(
        &fs::OpenOptions::new()
            .write(true)
            .open(lake.path("t/big.parquet"))
            .unwrap(),
        &tail,
        LARGE - 8,
    )
    .unwrap();
    refused(
        lake.snapshot("t").await,
        ErrorCode::SourceCorrupt,
        "big.parquet",
    );
    fs::remove_file(lake.path("t/big.parquet")).unwrap();
    refused(
        lake.snapshot("t").await,
        ErrorCode::SourceVanished,
        "big.parquet",
    );
    assert_eq!(
        lake.snapshot_at("t", Some(&at(&from, 0)))
            .await
            .unwrap()
            .slices,
        []
    );
}
