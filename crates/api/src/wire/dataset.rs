//! Datasets: as the catalogue and as `configs` show them.

use std::collections::BTreeMap;

use offtake_api_types::{CatalogDataset, CatalogDatasets, ConfigsPage, Object, PageInfo};
use offtake_service::{Caller, DatasetPage, DatasetView};
use serde_json::{Value, json, to_value};

/// Fields that the catalogue sets itself.
const OWN_FIELDS: [&str; 19] = [
    "id",
    "name",
    "imsOrg",
    "sandboxId",
    "version",
    "created",
    "updated",
    "createdClient",
    "createdUser",
    "updatedUser",
    "aspect",
    "state",
    "files",
    "location",
    "viewId",
    "lastBatchId",
    "lastBatchStatus",
    "lastSuccessfulBatch",
    "lastFailedBatch",
];

/// The tag that names the dataset as a table.
const TABLE_TAG: &str = "adobe/pqs/table";

/// Datasets keyed by id.
pub(crate) fn keyed(caller: &Caller, views: Vec<DatasetView>) -> CatalogDatasets {
    views
        .into_iter()
        .map(|view| (view.dataset.id.clone(), dataset(caller, view)))
        .collect()
}

/// Only the named fields of each dataset; all of them when none is named.
pub(crate) fn projected(
    datasets: CatalogDatasets,
    properties: Option<&str>,
) -> BTreeMap<String, Value> {
    let wanted: Option<Vec<&str>> = properties.map(|text| text.split(',').map(str::trim).collect());
    datasets
        .into_iter()
        .map(|(id, dataset)| {
            let mut value = to_value(dataset).unwrap_or_default();
            if let (Some(wanted), Value::Object(fields)) = (&wanted, &mut value) {
                fields.retain(|name, _| wanted.contains(&name.as_str()));
            }
            (id, value)
        })
        .collect()
}

/// The exportable datasets (contract, 4.6).
pub(crate) fn configs(caller: &Caller, page: DatasetPage) -> ConfigsPage {
    let count = page.items.len() as u64;
    ConfigsPage {
        page_info: PageInfo {
            start: page.start,
            end: page.start + count.saturating_sub(1),
            total: page.total,
            has_next: page.start + count < page.total && count > 0,
        },
        items: page
            .items
            .into_iter()
            .map(|view| CatalogDataset {
                id: Some(view.dataset.id.clone()),
                ..dataset(caller, view)
            })
            .collect(),
    }
}

fn dataset(caller: &Caller, view: DatasetView) -> CatalogDataset {
    let entity = view.dataset;
    let last = view.last_batches;
    let any = last.any;
    let extra = extra(&entity.body.name, entity.body.extra);
    CatalogDataset {
        id: None,
        name: entity.body.name,
        ims_org: caller.tenant.org.to_string(),
        sandbox_id: caller.sandbox.id.clone(),
        version: format!("1.0.{}", entity.revision.0.saturating_sub(1)),
        created: entity.audit.created_at.0,
        updated: entity.audit.updated_at.0,
        created_client: entity.audit.created_client,
        created_user: entity.audit.created_by,
        updated_user: entity.audit.updated_by,
        aspect: "production".to_owned(),
        state: "DRAFT".to_owned(),
        files: format!("@/dataSetFiles?dataSetId={}", entity.id),
        location: view.location,
        view_id: entity.id,
        last_batch_id: any.as_ref().map(|(id, _)| id.0.clone()),
        last_batch_status: any.map(|(_, state)| state.name().to_owned()),
        last_successful_batch: last.successful.map(|id| id.0),
        last_failed_batch: last.failed.map(|id| id.0),
        extra,
    }
}

/// What was given, without what the catalogue says itself, and with what readers index unconditionally.
fn extra(name: &str, mut given: Object) -> Object {
    for field in OWN_FIELDS {
        given.remove(field);
    }
    let defaults = [
        ("tags", json!({})),
        (
            "classification",
            json!({"dataBehavior": "record", "managedBy": "CUSTOMER"}),
        ),
        (
            "fileDescription",
            json!({"persisted": true, "containerFormat": "parquet", "format": "parquet"}),
        ),
    ];
    for (field, value) in defaults {
        given.entry(field).or_insert(value);
    }
    if let Some(Value::Object(tags)) = given.get_mut("tags") {
        tags.entry(TABLE_TAG)
            .or_insert_with(|| json!([table_name(name)]));
    }
    given
}

/// The name as a SQL identifier.
fn table_name(name: &str) -> String {
    let fit = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    name.chars().map(fit).collect()
}
