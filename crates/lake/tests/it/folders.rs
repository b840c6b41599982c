//! Folders of Parquet files.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, NullArray, RecordBatch, StringArray};
use offtake_lake::{LakeRoot, Lakes};
use offtake_model::resource::TableFormat;
use offtake_model::{
    ChangeSet, DataType, ErrorCode, Fault, Field, FolderFile, FolderListing, Schema, SourceRef,
};
use offtake_ports::{Catalog, Lake, Sources};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::support::refused;

struct Folder {
    place: TempDir,
    lake: Lakes,
    stored: Lakes,
}

impl Folder {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let lake = Lakes::new(vec![LakeRoot::folder("main", place.path())]).unwrap();
        let store = object_store::local::LocalFileSystem::new_with_prefix(place.path()).unwrap();
        let root = LakeRoot::store("main", "s3://b", Arc::new(store), "".into());
        let stored = Lakes::new(vec![root]).unwrap();
        Self {
            place,
            lake,
            stored,
        }
    }

    fn write(&self, path: &str, columns: &[(&str, ArrayRef)]) {
        let path = self.place.path().join("t").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
        let mut writer =
            ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn touch(&self, path: &str, bytes: &[u8]) {
        let path = self.place.path().join("t").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The listing of a folder on disk and in a store, which differ in their tags only.
    async fn listing(&self) -> FolderListing {
        let listing = self.lake.files(&at()).await.unwrap();
        let stored = self.stored.files(&at()).await.unwrap();
        let untagged = |it: &FolderListing| -> Vec<(String, u64)> {
            it.files
                .iter()
                .map(|file| (file.path.clone(), file.bytes))
                .collect()
        };
        assert_eq!(untagged(&listing), untagged(&stored));
        assert!(stored.files.iter().all(|file| file.tag.is_some()));
        listing
    }

    async fn all(&self) -> Result<ChangeSet, Fault> {
        self.lake
            .snapshot(&at(), TableFormat::ParquetFolder, None)
            .await
    }

    async fn more(&self, known: &Schema, old: &[&str]) -> Result<ChangeSet, Fault> {
        let listing = self.listing().await;
        let chosen: Vec<FolderFile> = listing
            .files
            .iter()
            .filter(|file| !old.iter().any(|it| file.path.ends_with(it)))
            .cloned()
            .collect();
        self.lake
            .slices(&at(), &listing, &chosen, Some(known))
            .await
    }
}

fn at() -> SourceRef {
    SourceRef {
        root: "main".to_owned(),
        path: "t".to_owned(),
    }
}

fn ids(numbers: &[i64]) -> (&'static str, ArrayRef) {
    ("id", Arc::new(Int64Array::from(numbers.to_vec())))
}

fn columns(set: &ChangeSet) -> Vec<(&str, &DataType)> {
    let fields = set.schema.fields.iter();
    fields.map(|it| (it.name.as_str(), &it.data_type)).collect()
}

#[tokio::test]
async fn every_data_file_is_listed_in_order_and_nothing_else() {
    let folder = Folder::new();
    folder.write("b.parquet", &[ids(&[1])]);
    folder.write("a/z.parquet", &[ids(&[2])]);
    folder.write("a.parquet", &[ids(&[3])]);
    for (name, bytes) in [
        ("_SUCCESS", &b""[..]),
        ("_temporary/0/p.parquet", b"x"),
        (".hidden/p.parquet", b"x"),
        (".p.parquet.crc", b"x"),
        ("p.parquet.tmp", b"x"),
        ("p.parquet._COPYING_", b"x"),
        ("empty.parquet", b""),
        ("notes.txt", b"x"),
    ] {
        folder.touch(name, bytes);
    }
    let listing = folder.listing().await;
    let paths: Vec<_> = listing.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["t/a.parquet", "t/a/z.parquet", "t/b.parquet"]);
    let set = folder.all().await.unwrap();
    assert_eq!(set.to, listing.at);
    assert_eq!(set.slices.len(), 3);
    assert!(set.slices.iter().all(|slice| slice.rows == Some(1)));
    let info = folder.lake.describe(&at()).await.unwrap();
    assert_eq!(info.format, TableFormat::ParquetFolder);

    let again = folder.lake.files(&at()).await.unwrap();
    assert_eq!(again, listing, "the same files have the same position");
    folder.write("c.parquet", &[ids(&[4])]);
    let moved = folder
        .lake
        .snapshot(&at(), TableFormat::ParquetFolder, Some(&listing.at))
        .await;
    refused(moved, ErrorCode::SourceHistoryLost, "keeps no history");
}

#[tokio::test]
async fn a_folder_without_data_is_no_dataset_and_a_link_out_of_it_is_refused() {
    let folder = Folder::new();
    folder.touch("_SUCCESS", b"");
    let none = folder.lake.describe(&at()).await;
    refused(none, ErrorCode::SourceNotFound, "Parquet file");
    folder.write("a.parquet", &[ids(&[1])]);
    let link = folder.place.path().join("t/b.parquet");
    std::os::unix::fs::symlink("/etc/hostname", link).unwrap();
    refused(folder.all().await, ErrorCode::SourceOutsideRoot, "link");
}

#[tokio::test]
async fn partition_values_are_decoded_and_typed_over_all_files() {
    let folder = Folder::new();
    for day in ["2026-11-01", "2026-11-02", "__HIVE_DEFAULT_PARTITION__"] {
        for (hour, name) in [("00", "a%2Fb"), ("23", "%C3%A9")] {
            let path = format!("day={day}/hour={hour}/name={name}/p.parquet");
            folder.write(&path, &[ids(&[1])]);
        }
    }
    let set = folder.all().await.unwrap();
    assert_eq!(
        columns(&set),
        [
            ("id", &DataType::Int64),
            ("day", &DataType::Date),
            ("hour", &DataType::Int64),
            ("name", &DataType::Utf8)
        ]
    );
    let constant = |nth: usize, column: usize| set.slices[nth].constants[column].1.as_deref();
    assert_eq!(
        (constant(0, 0), constant(0, 1), constant(0, 2)),
        (Some("2026-11-01"), Some("0"), Some("a/b"))
    );
    assert_eq!((constant(5, 0), constant(5, 2)), (None, Some("é")));

    folder.write("day=soon/hour=1/name=x/late.parquet", &[ids(&[9])]);
    let late = folder.more(&set.schema, &["/p.parquet"]).await;
    refused(late, ErrorCode::SourceSchemaConflict, "late.parquet");
    let whole = folder.all().await.unwrap();
    assert_eq!(columns(&whole)[1], ("day", &DataType::Utf8));
    folder.write("elsewhere.parquet", &[ids(&[9])]);
    refused(
        folder.all().await,
        ErrorCode::SourceSchemaConflict,
        "partition keys",
    );
}

#[tokio::test]
async fn schemas_grow_from_file_to_file_or_are_refused_by_name() {
    let folder = Folder::new();
    let small: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    folder.write(
        "a.parquet",
        &[
            ("n", Arc::clone(&small)),
            ("void", Arc::new(NullArray::new(1))),
        ],
    );
    let first = folder.all().await.unwrap();
    assert_eq!(columns(&first), [("n", &DataType::Int32)]);
    folder.write(
        "b.parquet",
        &[
            ("m", Arc::clone(&text)),
            ("n", Arc::new(Int64Array::from(vec![1]))),
        ],
    );
    let more = folder.more(&first.schema, &["a.parquet"]).await.unwrap();
    assert_eq!(more.slices.len(), 1);
    assert_eq!(
        more.schema.fields,
        [
            Field::new("n", DataType::Int64, first.schema.fields[0].nullable),
            Field::new("m", DataType::Utf8, true)
        ]
    );
    assert_eq!(more.schema, folder.all().await.unwrap().schema);
    folder.write("c.parquet", &[("n", text)]);
    let clash = folder.more(&more.schema, &["a.parquet", "b.parquet"]).await;
    refused(clash, ErrorCode::SourceSchemaConflict, "t/c.parquet");
    folder.touch("c.parquet", b"no parquet at all");
    refused(folder.all().await, ErrorCode::SourceCorrupt, "t/c.parquet");
}

#[tokio::test]
async fn a_planned_file_is_pinned_by_size_and_tag() {
    let folder = Folder::new();
    folder.write("a.parquet", &[ids(&[1])]);
    let set = folder.all().await.unwrap();
    let slice = &set.slices[0];
    assert!(folder.lake.open(slice).await.is_ok());
    let path = folder.place.path().join("t/a.parquet");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    file.set_modified(later).unwrap();
    refused(
        folder.lake.open(slice).await.map(|_| ()),
        ErrorCode::SourceChanged,
        "written again",
    );
    fs::remove_file(path).unwrap();
    refused(
        folder.lake.open(slice).await.map(|_| ()),
        ErrorCode::SourceVanished,
        "t/a.parquet",
    );
}

#[tokio::test]
async fn many_files_are_listed_within_seconds_and_old_footers_are_left_alone() {
    let folder = Folder::new();
    for day in 0..100 {
        fs::create_dir_all(folder.place.path().join(format!("t/day={day}"))).unwrap();
        for nth in 0..100 {
            // No footer: who reads one of these fails.
            let path = folder
                .place
                .path()
                .join(format!("t/day={day}/{nth}.parquet"));
            fs::write(path, b"x").unwrap();
        }
    }
    folder.write("day=5/new.parquet", &[ids(&[1])]);
    let begun = std::time::Instant::now();
    let listing = folder.lake.files(&at()).await.unwrap();
    let listed = begun.elapsed();
    assert_eq!(listing.files.len(), 10_001);
    let chosen: Vec<FolderFile> = listing
        .files
        .iter()
        .filter(|it| it.path.ends_with("new.parquet"))
        .cloned()
        .collect();
    let known = Schema::default();
    let more = folder
        .lake
        .slices(&at(), &listing, &chosen, Some(&known))
        .await
        .unwrap();
    assert_eq!(more.slices.len(), 1);
    let whole = begun.elapsed();
    eprintln!("10,000 files: listed in {listed:?}, planned in {whole:?}");
    assert!(whole.as_secs() < 10, "{whole:?}");
}
