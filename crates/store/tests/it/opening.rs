use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use offtake_model::ErrorCode;
use offtake_ports::IdentityStore;
use offtake_ports::testing::ManualClock;
use offtake_store::Store;

use crate::bed::{Bed, START};

#[tokio::test]
async fn a_second_open_of_the_same_directory_is_refused() {
    let bed = Bed::new();
    let first = bed.store().await;
    let refused = Store::open(bed.path(), Arc::new(ManualClock::new(START)))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::DataDirInUse);
    let dir = bed.path().display().to_string();
    assert!(refused.message.contains(&dir), "{refused}");
    assert!(refused.message.contains("in use"), "{refused}");
    drop(first);
    assert_eq!(bed.store().await.organisations().await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_closed_store_can_be_opened_again_and_the_old_one_fails() {
    let bed = Bed::new();
    let store = bed.store().await;
    store.close().await;
    let failed = store.organisations().await.unwrap_err();
    assert_eq!(failed.code, ErrorCode::StoreUnavailable);
    drop(store);
    bed.store().await;
}

#[tokio::test]
async fn nobody_else_can_read_what_the_store_writes() {
    let bed = Bed::new();
    let dir = bed.path().join("data/offtake");
    let _store = Store::open(&dir, Arc::new(ManualClock::new(START)))
        .await
        .unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 3, "lock, database and write-ahead log");
}

#[tokio::test]
async fn a_path_that_is_no_directory_is_named() {
    let bed = Bed::new();
    let file = bed.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = Store::open(&file, Arc::new(ManualClock::new(START)))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::StoreUnavailable);
    assert!(refused.message.contains("file"), "{refused}");
}
