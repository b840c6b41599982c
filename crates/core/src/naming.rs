//! Names of folders, files and manifests at the destination (contract, 7.1–7.2 and 7.5).
//!
//! Every name is made of ids, the occurrence and the flow's frozen wishes, never of the present moment: planning twice
//! gives the same names, planning two deliveries never gives one name twice.
//!
//! The one law: what [`check_key`] lets pass is legal at every destination.

#[cfg(test)]
mod properties;
mod template;

use offtake_model::{
    DatasetId, DeliveryId, ErrorCode, Fault, FlowId, Millis, OutputEncoding, RunId,
};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::calendar;
use crate::canonical;

pub use template::{FolderTemplate, TemplateValues};

/// Most bytes of a key.
pub const KEY_BYTES_MAX: usize = 1_024;

/// The longest folder or file name. File systems take no more.
const SEGMENT_BYTES_MAX: usize = 255;

/// The ending of our manifests' names.
const MANIFEST_ENDING: &str = ".manifest";

/// Bytes that the longest name below a target's path needs in the default layout.
pub const NAME_BYTES_RESERVED: usize = 160;

/// The default folder of a dataset's occurrence: `<path>/<datasetId>/exportTime=YYYYMMDDHHMM`.
pub fn dataset_folder(path: &str, dataset: &DatasetId, occurrence: Millis) -> String {
    let time = calendar::export_time(occurrence);
    join(&[path, dataset.as_str(), &format!("exportTime={time}")])
}

/// The name of a task's file. It holds the delivery's id, so that no other delivery can have it.
pub fn file_name(delivery: DeliveryId, task: u32, encoding: OutputEncoding) -> String {
    let tid = transaction_number(delivery);
    let extension = encoding.extension();
    format!("part-{task:05}-tid-{tid}-{delivery}-{task}-1-c000{extension}")
}

/// The key of our manifest. Underscore and ending keep it out of readers' globs.
pub fn manifest_key(path: &str, flow: FlowId, dataset: &DatasetId, delivery: DeliveryId) -> String {
    let folder = manifest_folder(path, flow, dataset);
    format!("{folder}/{delivery}{MANIFEST_ENDING}")
}

/// The folder of all our manifests of a flow and dataset.
pub fn manifest_folder(path: &str, flow: FlowId, dataset: &DatasetId) -> String {
    join(&[path, "_offtake", &flow.to_string(), dataset.as_str()])
}

/// The delivery whose manifest has that file name; none for other files.
pub fn delivery_of(file_name: &str) -> Option<DeliveryId> {
    file_name.strip_suffix(MANIFEST_ENDING)?.parse().ok()
}

/// The name of the documented manifest; with the dataset's id where datasets share a folder.
pub fn file_manifest_name(flow: FlowId, run: RunId, shared_by: Option<&DatasetId>) -> String {
    match shared_by {
        None => format!("manifest-{flow}-{run}.json"),
        Some(dataset) => format!("manifest-{flow}-{run}-{dataset}.json"),
    }
}

/// Joins the parts that are not empty with slashes.
pub fn join(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|it| !it.is_empty()).collect();
    parts.join("/")
}

/// A folder path as keys use it: composed characters, no leading, trailing or double slash, no `.` segment.
/// Refuses `..` and control characters.
pub fn normalise_path(path: &str) -> Result<String, Fault> {
    if path.chars().any(char::is_control) {
        return Err(illegal(path, "holds a control character"));
    }
    let composed: String = path.nfc().collect();
    let segments: Vec<&str> = composed
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
        .collect();
    if segments.contains(&"..") {
        return Err(illegal(path, "holds a `..` segment"));
    }
    Ok(segments.join("/"))
}

/// Checks that a key is legal: composed characters (NFC), at most 1,024 bytes and 255 in each segment, no control
/// characters, no empty, `.` or `..` segment, no leading or trailing slash.
pub fn check_key(key: &str) -> Result<(), Fault> {
    if key.len() > KEY_BYTES_MAX {
        return Err(illegal(key, "is longer than 1,024 bytes"));
    }
    if key.chars().any(char::is_control) {
        return Err(illegal(key, "holds a control character"));
    }
    if key
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        return Err(illegal(key, "holds an empty, `.` or `..` segment"));
    }
    if key
        .split('/')
        .any(|segment| segment.len() > SEGMENT_BYTES_MAX)
    {
        return Err(illegal(
            key,
            "holds a folder or file name longer than 255 bytes",
        ));
    }
    if !is_nfc(key) {
        return Err(illegal(key, "is not in Unicode normal form C"));
    }
    Ok(())
}

/// Nineteen digits, the same for every file of a delivery; they only look like the ones other writers make.
fn transaction_number(delivery: DeliveryId) -> u64 {
    const SMALLEST: u64 = 1_000_000_000_000_000_000;
    let seed = canonical::sha256_prefix(delivery.to_string().as_bytes());
    SMALLEST + seed % (9 * SMALLEST)
}

fn illegal(key: &str, rule: &str) -> Fault {
    Fault::new(
        ErrorCode::FieldInvalid,
        format!("the path {} {rule}", crate::validate::quoted(key)),
    )
}

#[cfg(test)]
mod tests {
    use offtake_model::{
        Compression, DatasetId, DeliveryId, FileType, FlowId, Millis, OutputEncoding, RunId,
    };
    use proptest::prelude::*;

    use super::{
        NAME_BYTES_RESERVED, check_key, dataset_folder, file_manifest_name, file_name,
        manifest_key, normalise_path,
    };

    const ID: &str = "0b8c5520-9999-4cff-bdf5-1f32c8c47cb9";

    fn delivery() -> DeliveryId {
        ID.parse().unwrap()
    }

    fn dataset() -> DatasetId {
        DatasetId("5ef3e3259ad2a1191ab7dd7d".to_owned())
    }

    const JSON_GZIP: OutputEncoding = OutputEncoding::new(FileType::Json, Compression::Gzip);

    #[test]
    fn the_default_folder_names_dataset_and_minute() {
        let at = Millis::from_secs(1_675_901_210);
        assert_eq!(
            dataset_folder("exports/orders", &dataset(), at),
            "exports/orders/5ef3e3259ad2a1191ab7dd7d/exportTime=202302090006"
        );
        assert_eq!(
            dataset_folder("", &dataset(), at),
            "5ef3e3259ad2a1191ab7dd7d/exportTime=202302090006"
        );
    }

    #[test]
    fn a_file_name_looks_as_documented_and_never_changes() {
        assert_eq!(
            file_name(delivery(), 7, JSON_GZIP),
            "part-00007-tid-5968181072636242478-0b8c5520-9999-4cff-bdf5-1f32c8c47cb9-7-1-c000.json.gz"
        );
    }

    #[test]
    fn manifests_stand_apart_from_data() {
        let flow: FlowId = "7a6e0d3a-6b7e-4b47-8a4e-4b5d1f6a7c11".parse().unwrap();
        let run: RunId = "0ac8f3c0-29bd-40aa-82c1-f1b7e0657b19".parse().unwrap();
        assert_eq!(
            manifest_key("x", flow, &dataset(), delivery()),
            format!("x/_offtake/{flow}/5ef3e3259ad2a1191ab7dd7d/{ID}.manifest")
        );
        assert_eq!(
            file_manifest_name(flow, run, None),
            format!("manifest-{flow}-{run}.json")
        );
        assert_eq!(
            file_manifest_name(flow, run, Some(&dataset())),
            format!("manifest-{flow}-{run}-5ef3e3259ad2a1191ab7dd7d.json")
        );
    }

    #[test]
    fn the_longest_names_fit_the_reserve() {
        let parquet = OutputEncoding::new(FileType::Parquet, Compression::Gzip);
        let folder = dataset_folder("", &dataset(), Millis(0));
        let file = format!("/{folder}/{}", file_name(delivery(), 99_999, parquet));
        assert!(file.len() <= NAME_BYTES_RESERVED, "{}", file.len());
        let flow: FlowId = ID.parse().unwrap();
        let manifest = format!("/{}", manifest_key("", flow, &dataset(), delivery()));
        assert!(manifest.len() <= NAME_BYTES_RESERVED, "{}", manifest.len());
        let documented = file_manifest_name(flow, ID.parse().unwrap(), None);
        assert!(folder.len() + documented.len() + 2 <= NAME_BYTES_RESERVED);
    }

    #[test]
    fn paths_that_leave_their_root_are_refused() {
        for path in ["..", "a/../b", "/../", "a/\u{0}b", "a\n"] {
            assert!(normalise_path(path).is_err(), "{path:?}");
        }
        for key in ["/a", "a/", "a//b", "a/../b", ".", "e\u{301}", "a\u{7f}"] {
            assert!(check_key(key).is_err(), "{key:?}");
        }
        assert!(check_key(&"a".repeat(255)).is_ok());
        assert!(check_key(&"a".repeat(256)).is_err());
        assert!(check_key(&format!("{}a", "a/".repeat(512))).is_err());
    }

    #[test]
    fn slashes_and_dots_are_tidied() {
        assert_eq!(normalise_path("//a/./b///c/").unwrap(), "a/b/c");
        assert_eq!(normalise_path("/").unwrap(), "");
        assert_eq!(normalise_path("e\u{301}").unwrap(), "\u{e9}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_normalised_path_is_a_legal_key_and_normal(path in "[a-c./\\\\%e\u{301}\u{0} ]{0,20}") {
            if let Ok(normal) = normalise_path(&path) {
                prop_assert!(normal.is_empty() || check_key(&normal).is_ok(), "{normal:?}");
                prop_assert_eq!(normalise_path(&normal).unwrap(), normal);
            }
        }
    }
}
