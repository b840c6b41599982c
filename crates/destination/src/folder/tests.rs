//! What cannot be provoked from outside: file systems without attributes and without a rename that never replaces.

use std::os::unix::fs::MetadataExt;

use offtake_ports::testing::sink_suite::conforms;

use crate::FolderSinks;
use crate::dir::{Dir, Renamed};

#[expect(dead_code, reason = "these tests need only a part of the bench")]
#[path = "../../tests/it/bench.rs"]
mod bench;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_without_attributes_conforms() {
    let bench = bench::Bench::over(FolderSinks::marking_by_inode);
    assert_eq!(conforms(&bench).await, Ok(()));
}

#[test]
fn a_rename_by_link_never_replaces() {
    let root = tempfile::tempdir().unwrap();
    let dir = Dir::open(root.path()).unwrap();
    let at = |name: &str| root.path().join(name);
    assert_eq!(dir.link_new("staged", "final").unwrap(), Renamed::Missing);
    std::fs::write(at("staged"), b"one").unwrap();
    assert_eq!(dir.link_new("staged", "final").unwrap(), Renamed::Done);
    assert!(!at("staged").exists());
    std::fs::write(at("staged"), b"two").unwrap();
    assert_eq!(dir.link_new("staged", "final").unwrap(), Renamed::Taken);
    assert_eq!(std::fs::read(at("final")).unwrap(), b"one");
    assert_eq!(std::fs::read(at("staged")).unwrap(), b"two");
    assert_eq!(std::fs::metadata(at("final")).unwrap().nlink(), 1);
}
