//! Where a dataset's files of one occurrence go, and what people should know of that before they are there.
//!
//! The one law: a preview shows what a plan would do, by the same function.

use std::collections::BTreeMap;

use offtake_model::{DatasetId, DeliveryId, ExportSpec, Fault, Millis, RunId};

use crate::naming::{self, FolderTemplate, TemplateValues};
use crate::specs;

/// What a dataset and its owner are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) dataset: &'a DatasetId,
    pub(super) name: &'a str,
    pub(super) organisation: &'a str,
}

/// The dataset's folder, and whether no other dataset of the run has it.
pub(super) fn folder(
    spec: &ExportSpec,
    path: &str,
    named: &Named<'_>,
    occurrence: Millis,
) -> Result<(String, bool), Fault> {
    let Some(template) = &spec.folder_template else {
        let folder = naming::dataset_folder(path, named.dataset, occurrence);
        return Ok((folder, true));
    };
    let template = FolderTemplate::parse(template)?;
    let folder = template.expand(
        path,
        &TemplateValues {
            dataset_id: named.dataset.as_str(),
            dataset_name: named.name,
            destination: specs::destination(spec.sink.kind).name(),
            flow_id: &spec.flow.to_string(),
            flow_name: &spec.flow_name,
            sandbox: spec.tenant.sandbox.as_str(),
            organisation: named.organisation,
            occurrence,
        },
    )?;
    Ok((
        folder,
        template.separates_datasets() || spec.datasets.len() < 2,
    ))
}

/// Where an occurrence would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The datasets, in the order given.
    pub datasets: Vec<PreviewedDataset>,
    /// What people may not expect, in whole sentences.
    pub warnings: Vec<String>,
}

/// Where an occurrence of one dataset would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewedDataset {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its name.
    pub name: String,
    /// The place, or why a plan would be refused.
    pub place: Result<PreviewedPlace, Fault>,
}

/// Folder and names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewedPlace {
    /// The folder.
    pub folder: String,
    /// Key of a first file. A real one has other digits.
    pub file: String,
    /// The folder of our manifests.
    pub manifests: String,
}

/// Shows where the flow's occurrence would put each of the datasets, and warns of what the folders' names hide. `next`
/// is the occurrence after it.
///
/// # Errors
/// `FIELD_INVALID` when the path or the template is not legal for any dataset.
pub fn preview(
    spec: &ExportSpec,
    datasets: &[(DatasetId, String)],
    organisation: &str,
    occurrence: Millis,
    next: Millis,
) -> Result<Preview, Fault> {
    let path = naming::normalise_path(&spec.path)?;
    if let Some(template) = &spec.folder_template {
        FolderTemplate::parse(template)?;
    }
    let mut previewed = Vec::with_capacity(datasets.len());
    let mut warnings = Vec::new();
    for (dataset, name) in datasets {
        let named = Named {
            dataset,
            name,
            organisation,
        };
        let place = place(spec, &path, &named, occurrence);
        if let Ok(place) = &place {
            let later = folder(spec, &path, &named, next)?.0;
            warnings.extend(warnings_of(&path, name, &place.folder, &later));
        }
        previewed.push(PreviewedDataset {
            dataset: dataset.clone(),
            name: name.clone(),
            place,
        });
    }
    warnings.extend(shared(&previewed));
    warnings.sort();
    warnings.dedup();
    Ok(Preview {
        datasets: previewed,
        warnings,
    })
}

fn place(
    spec: &ExportSpec,
    path: &str,
    named: &Named<'_>,
    occurrence: Millis,
) -> Result<PreviewedPlace, Fault> {
    let (folder, _) = folder(spec, path, named, occurrence)?;
    let run = RunId::derive(spec.flow, "preview");
    let delivery = DeliveryId::derive(run, named.dataset);
    let file = naming::join(&[&folder, &naming::file_name(delivery, 0, spec.encoding)]);
    naming::check_key(&file)?;
    Ok(PreviewedPlace {
        folder,
        file,
        manifests: naming::manifest_folder(path, spec.flow, named.dataset),
    })
}

fn warnings_of(path: &str, name: &str, folder: &str, later: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    if folder == later {
        warnings.push(format!(
            "The folder `{folder}` is the same at the next occurrence, so the files of many runs gather in it; \
             %EXPORT_TIME% or a %DATETIME(…)% as fine as the schedule keeps them apart."
        ));
    }
    let below = folder.strip_prefix(path).unwrap_or(folder);
    let hidden = below.split('/').find(|it| it.starts_with(['_', '.']));
    if let Some(segment) = hidden {
        warnings.push(format!(
            "Many readers skip folders that begin with an underscore or a dot, such as `{segment}`."
        ));
    }
    if name.contains(['/', '\\']) || name.contains("..") || name.chars().any(char::is_control) {
        warnings.push(format!(
            "The dataset's name {} cannot stand in a path as it is; slashes, `..` and control characters become `_`.",
            crate::validate::quoted(name)
        ));
    }
    warnings
}

/// Warns of datasets that meet in one folder, or would where case does not count.
fn shared(datasets: &[PreviewedDataset]) -> Vec<String> {
    let mut folders: BTreeMap<String, Vec<&PreviewedPlace>> = BTreeMap::new();
    for dataset in datasets {
        if let Ok(place) = &dataset.place {
            let key = place.folder.to_lowercase();
            folders.entry(key).or_default().push(place);
        }
    }
    let shared = folders.into_values().filter(|places| places.len() > 1);
    let told = shared.map(|places| {
        let folder = places.first().map_or("", |it| it.folder.as_str());
        if places.iter().all(|it| it.folder == folder) {
            return format!(
                "{} datasets share the folder `{folder}`: files keep their names apart, but a reader of the folder gets \
                 rows of all of them; %DATASET_ID% keeps datasets apart.",
                places.len()
            );
        }
        format!(
            "{} datasets have folders that differ from `{folder}` only in upper and lower case, which some \
             destinations take for one.",
            places.len()
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use offtake_model::{DatasetId, Millis};

    use super::{Preview, preview};
    use crate::plan::tests::run;

    const HOUR: i64 = 3_600_000;

    fn shown(template: Option<&str>, names: &[&str]) -> Preview {
        let mut spec = run().spec;
        spec.folder_template = template.map(str::to_owned);
        let datasets: Vec<_> = (0..)
            .zip(names)
            .map(|(at, name)| (DatasetId(format!("{at:024x}")), (*name).to_owned()))
            .collect();
        let at = Millis(1_675_901_210_000);
        preview(&spec, &datasets, "Acme", at, at.plus_millis(3 * HOUR)).unwrap()
    }

    fn folder(preview: &Preview, at: usize) -> &str {
        &preview.datasets[at].place.as_ref().unwrap().folder
    }

    #[test]
    fn the_default_layout_needs_no_warning() {
        let shown = shown(None, &["Orders", "Customers"]);
        assert_eq!(shown.warnings, Vec::<String>::new());
        assert_eq!(
            folder(&shown, 0),
            "exports/000000000000000000000000/exportTime=202302090006"
        );
        let place = shown.datasets[1].place.as_ref().unwrap();
        assert!(
            place
                .file
                .starts_with(&format!("{}/part-00000-tid-", place.folder))
        );
        assert!(place.manifests.starts_with("exports/_offtake/"));
    }

    #[test]
    fn what_folders_hide_is_said() {
        for (template, names, warning) in [
            (
                "%DATASET_ID%/%DATETIME(yyyyMMdd)%",
                vec!["a"],
                "same at the next occurrence",
            ),
            ("%EXPORT_TIME%", vec!["a", "b"], "share the folder"),
            ("_x/%DATASET_ID%/%EXPORT_TIME%", vec!["a"], "`_x`"),
            (
                "%DATASET_NAME%/%EXPORT_TIME%",
                vec!["Orders", "orders"],
                "upper and lower case",
            ),
            (
                "%DATASET_NAME%/%EXPORT_TIME%",
                vec!["EU/Orders"],
                "become `_`",
            ),
        ] {
            let warnings = shown(Some(template), &names).warnings;
            assert_eq!(warnings.len(), 1, "{template}: {warnings:?}");
            assert!(warnings[0].contains(warning), "{warnings:?}");
        }
        let fine = shown(Some("%DATASET_ID%/%DATETIME(yyyyMMddHH)%"), &["a", "b"]);
        assert_eq!(fine.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_dataset_whose_place_would_be_refused_says_why() {
        let long = "x".repeat(300);
        let shown = shown(Some("%DATASET_NAME%/%EXPORT_TIME%"), &[&long, "short"]);
        let refused = shown.datasets[0].place.as_ref().unwrap_err();
        assert!(refused.message.contains("255 bytes"), "{refused}");
        assert_eq!(folder(&shown, 1), "exports/short/exportTime=202302090006");
    }

    #[test]
    fn an_illegal_template_is_refused_as_a_whole() {
        let mut spec = run().spec;
        spec.folder_template = Some("%WHAT%".to_owned());
        assert!(preview(&spec, &[], "Acme", Millis(0), Millis(HOUR)).is_err());
    }
}
