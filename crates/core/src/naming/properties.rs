//! Names under whatever people call their things: legal, inside the target's path, and never the same twice.
//!
//! `OFFTAKE_DEEP_CASES` says how many cases are tried; a few hundred without it.

use offtake_model::{
    Compression, DatasetId, DeliveryId, FileType, FlowId, Millis, OutputEncoding, RunId,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    FolderTemplate, TemplateValues, check_key, dataset_folder, delivery_of, file_manifest_name,
    file_name, join, manifest_folder, manifest_key, normalise_path,
};

fn cases() -> ProptestConfig {
    let asked = std::env::var("OFFTAKE_DEEP_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|it| it.parse().ok()).unwrap_or(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn encoding() -> impl Strategy<Value = OutputEncoding> {
    let file_type = prop_oneof![Just(FileType::Json), Just(FileType::Parquet)];
    let compression = prop_oneof![Just(Compression::Gzip), Just(Compression::None)];
    (file_type, compression).prop_map(|(one, other)| OutputEncoding::new(one, other))
}

fn dataset() -> impl Strategy<Value = DatasetId> {
    "[0-9a-f]{24}".prop_map(DatasetId)
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// What people write into names: text, and everything that means something to a path, a store or a shell.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 _.-]{0,30}",
        "[./\\\\%:\u{0}\u{7f}\n~ ]{0,8}",
        "(\\.\\.|/|\\.|\u{e9}|e\u{301}|\u{202e}|%2e|\u{fe0f}){0,6}",
        "\\PC{0,40}",
    ]
}

/// Templates of macros, text and path signs, most of them legal.
fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "%(DATASET_ID|DATASET_NAME|DESTINATION|DESTINATION_INSTANCE_ID|DESTINATION_INSTANCE_NAME|SANDBOX_NAME\
              |ORGANIZATION_NAME|EXPORT_TIME)%",
        2 => "%DATETIME\\((yyyy|yy|MM|dd|HH|mm|ss|SSS|'[./a-z]{0,4}'|[-_:./ ]){0,5}\\)%",
        2 => Just("/".to_owned()),
        1 => "[a-z._ -]{0,6}",
        1 => "(\\.|\\.\\.|\\\\|\u{e9}|e\u{301})",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A path that a target connection takes.
fn path() -> impl Strategy<Value = String> {
    "[a-z\u{e9}./ ]{0,20}".prop_filter_map("an illegal path", |path| normalise_path(&path).ok())
}

/// Delivery and task out of a data file's name.
fn read_back(name: &str) -> Option<(DeliveryId, u32)> {
    let rest = name.strip_prefix("part-")?;
    let (padded, rest) = rest.split_once("-tid-")?;
    let (_digits, rest) = rest.split_once('-')?;
    let (delivery, rest) = rest.split_at_checked(36)?;
    let (task, _) = rest.strip_prefix('-')?.split_once('-')?;
    let task: u32 = task.parse().ok()?;
    (padded.parse() == Ok(task)).then_some((delivery.parse().ok()?, task))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_files_name_tells_its_delivery_and_task_so_no_two_share_one(
        id in uuid(), task in any::<u32>(), encoding in encoding()
    ) {
        let delivery = DeliveryId(id);
        let name = file_name(delivery, task, encoding);
        prop_assert_eq!(read_back(&name), Some((delivery, task)), "{}", name);
        prop_assert!(name.ends_with(encoding.extension()));
        prop_assert!(check_key(&name).is_ok());
        let digits = name.split('-').nth(3).unwrap_or_default();
        prop_assert!(digits.len() == 19 && digits.bytes().all(|it| it.is_ascii_digit()), "{}", name);
    }

    #[test]
    fn a_manifests_key_tells_path_flow_dataset_and_delivery(
        path in path(), flow in uuid(), dataset in dataset(), id in uuid()
    ) {
        let (flow, delivery) = (FlowId(flow), DeliveryId(id));
        let key = manifest_key(&path, flow, &dataset, delivery);
        let (folder, name) = key.rsplit_once('/').unwrap();
        prop_assert_eq!(folder, manifest_folder(&path, flow, &dataset));
        prop_assert_eq!(delivery_of(name), Some(delivery));
        let own = format!("_offtake/{flow}/{dataset}/{delivery}.manifest");
        prop_assert_eq!(&key, &join(&[&path, &own]));
        prop_assert!(check_key(&key).is_ok(), "{}", key);
    }

    #[test]
    fn the_documented_manifests_of_a_shared_folder_differ(
        flow in uuid(), run in uuid(), one in dataset(), other in dataset()
    ) {
        let (flow, run) = (FlowId(flow), RunId(run));
        let name = |dataset: Option<&DatasetId>| file_manifest_name(flow, run, dataset);
        prop_assert_eq!(name(Some(&one)) == name(Some(&other)), one == other);
        prop_assert_ne!(name(Some(&one)), name(None));
        prop_assert!(check_key(&name(Some(&one))).is_ok());
    }

    #[test]
    fn a_default_folder_tells_dataset_and_minute(
        path in path(), dataset in dataset(), at in 0_i64..4_102_444_800_000
    ) {
        let folder = dataset_folder(&path, &dataset, Millis(at));
        let same = dataset_folder(&path, &dataset, Millis(at - at % 60_000));
        let next = dataset_folder(&path, &dataset, Millis(at + 60_000));
        prop_assert_eq!(&folder, &same);
        prop_assert_ne!(&folder, &next);
        prop_assert!(check_key(&folder).is_ok() && folder.contains(dataset.as_str()));
    }

    #[test]
    fn a_template_never_leaves_the_targets_path_whatever_things_are_called(
        path in path(), template in template(), names in proptest::array::uniform4(name()),
        flow in uuid(), dataset in dataset(), at in 0_i64..4_102_444_800_000,
        id in uuid(), encoding in encoding()
    ) {
        let Ok(template) = FolderTemplate::parse(&template) else {
            return Ok(());
        };
        let [dataset_name, flow_name, sandbox, organisation] = &names;
        let values = TemplateValues {
            dataset_id: dataset.as_str(),
            dataset_name,
            destination: "Amazon S3",
            flow_id: &flow.to_string(),
            flow_name,
            sandbox,
            organisation,
            occurrence: Millis(at),
        };
        // A folder that would be no legal one is refused, never bent.
        let Ok(folder) = template.expand(&path, &values) else {
            return Ok(());
        };
        let within = path.is_empty() || folder == path || folder.starts_with(&format!("{path}/"));
        prop_assert!(within, "{:?} is not below {:?}", folder, path);
        prop_assert!(folder.is_empty() || check_key(&folder).is_ok(), "{:?}", folder);
        prop_assert_eq!(template.expand(&path, &values), Ok(folder.clone()));
        if template.separates_datasets() {
            prop_assert!(folder.contains(dataset.as_str()));
        }
        let key = join(&[&folder, &file_name(DeliveryId(id), 0, encoding)]);
        let short = key.len() <= super::KEY_BYTES_MAX;
        prop_assert_eq!(check_key(&key).is_ok(), short, "{:?}", key);
    }
}
