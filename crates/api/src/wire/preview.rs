//! Where an export would put its files.

use offtake_api_types::preview::{DatasetPreview, FolderPreview};
use offtake_service::{Preview, PreviewedDataset};

use super::recovery::reason;

/// The folders of one occurrence.
pub(crate) fn preview(preview: Preview) -> FolderPreview {
    FolderPreview {
        datasets: preview.datasets.into_iter().map(dataset).collect(),
        warnings: preview.warnings,
    }
}

fn dataset(previewed: PreviewedDataset) -> DatasetPreview {
    let mut shown = DatasetPreview {
        data_set_id: previewed.dataset.to_string(),
        name: previewed.name,
        folder: None,
        example_file: None,
        manifests: None,
        refusal: None,
    };
    match previewed.place {
        Ok(place) => {
            shown.folder = Some(place.folder);
            shown.example_file = Some(place.file);
            shown.manifests = Some(place.manifests);
        }
        Err(fault) => shown.refusal = Some(reason(&fault)),
    }
    shown
}
