//! Datasets: tables of the lake, registered by location (contract, 4.6 and 10.1).

use offtake_core::{bounds, specs, validate};
use offtake_model::batch::{BatchQuery, BatchState};
use offtake_model::resource::{Dataset, TableFormat};
use offtake_model::{
    BatchId, DatasetId, ErrorCode, Fault, Resource, ResourceBody, ResourceId, ResourceKind,
    Revision,
};
use offtake_ports::{PageRequest, ResourceQuery};
use serde_json::Value;

use crate::entity::{self, Entity};
use crate::identity::Caller;
use crate::listing::page_invalid;
use crate::once::{Once, Slot};
use crate::service::{Changed, Service, not_found};
use crate::walk::{self, OffsetPage};

mod edit;
mod query;

pub use edit::DatasetEdit;
use query::DatasetFilter;

/// Whether a request of the catalogue changes anything (contract, 10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// What is legal is done.
    Save,
    /// It is only said whether it is legal.
    CheckOnly,
}

/// A dataset with its location as text.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetView {
    /// The dataset.
    pub dataset: Entity<Dataset>,
    /// `lake://<root>/<path>`.
    pub location: String,
    /// The newest of its batches: of all, of those that succeeded, of those that failed.
    pub last_batches: LastBatches,
}

/// The newest batches of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastBatches {
    /// Of all of them, with its state.
    pub any: Option<(BatchId, BatchState)>,
    /// Of those that succeeded.
    pub successful: Option<BatchId>,
    /// Of those that failed.
    pub failed: Option<BatchId>,
}

/// Parameters of the catalogue's list, as they stand in the query.
#[derive(Clone, Debug, Default)]
pub struct DatasetQuery {
    /// `start`: index of the first dataset.
    pub start: Option<String>,
    /// `limit`.
    pub limit: Option<String>,
    /// `name`: names separated by commas, `*` for anything, a leading `!` for none of them.
    pub name: Option<String>,
    /// `orderBy`: `asc:` or `desc:` and one of `name`, `created`, `updated`.
    pub order_by: Option<String>,
    /// `tags`: pairs of key and value, all of which it must have.
    pub tags: Option<String>,
    /// `createdAfter`, in epoch milliseconds.
    pub created_after: Option<String>,
    /// `createdBefore`.
    pub created_before: Option<String>,
    /// Every `property`.
    pub properties: Vec<String>,
    /// Every other parameter; those named like a field are filters.
    pub others: Vec<(String, String)>,
}

/// Parameters of `configs`, as they stand in the query.
#[derive(Clone, Debug, Default)]
pub struct ConfigsQuery {
    /// `outputType`.
    pub output_type: Option<String>,
    /// `outputField`.
    pub output_field: Option<String>,
    /// `start`: index of the first dataset.
    pub start: Option<String>,
    /// `limit`.
    pub limit: Option<String>,
}

/// An offset page of datasets.
pub type DatasetPage = OffsetPage<DatasetView>;

impl Service {
    /// Registers a table of the lake as a dataset, or makes a managed one when no location is given. A table that is
    /// registered must exist and be readable.
    /// Nothing is made, and none is the answer, when it is only to be checked.
    pub async fn create_dataset(
        &self,
        caller: &Caller,
        once: Once<'_>,
        saving: Saving,
    ) -> Result<Option<Changed>, Fault> {
        bounds::check(once.body)?;
        let draft = validate::dataset(once.body)?;
        if saving == Saving::CheckOnly {
            if let Some(location) = &draft.location {
                let source = self.roots.resolve(&caller.tenant.org, location)?;
                self.catalog.describe(&source).await?;
            }
            return Ok(None);
        }
        let fresh = self.random_hex(12);
        let slot = self.slot(caller, ResourceKind::Dataset, once, fresh);
        let id = match slot.await? {
            Slot::Free(id) => DatasetId(id),
            Slot::Taken(made) => return Ok(Some(made)),
        };
        let (source, format) = if let Some(location) = &draft.location {
            let source = self.roots.resolve(&caller.tenant.org, location)?;
            let format = self.catalog.describe(&source).await?.format;
            (source, format)
        } else {
            let place = self.intake.place(&caller.tenant, &id);
            self.intake.create(&place).await?;
            (place, TableFormat::Delta)
        };
        let now = self.clock.now();
        let resource = Resource {
            id: ResourceId::from(id),
            tenant: caller.tenant.clone(),
            revision: Revision(1),
            audit: Self::audit(caller, now),
            body: ResourceBody::Dataset(Dataset {
                name: draft.name,
                location: source,
                format,
                extra: draft.extra,
            }),
        };
        self.insert(caller, &resource).await.map(Some)
    }

    /// The dataset of that id.
    pub async fn dataset(&self, caller: &Caller, id: &str) -> Result<DatasetView, Fault> {
        let found = self.must_find(caller, ResourceKind::Dataset, id).await?;
        self.dataset_view(caller, entity::dataset(found)?).await
    }

    /// A page of the catalogue.
    pub async fn datasets(
        &self,
        caller: &Caller,
        query: &DatasetQuery,
    ) -> Result<DatasetPage, Fault> {
        let (start, limit) = walk::offsets(query.start.as_deref(), query.limit.as_deref())?;
        let all = self.all_datasets(caller).await?;
        let filter = DatasetFilter::parse(query)?;
        let mut kept = Vec::new();
        for dataset in all {
            if filter.matches(&dataset)? {
                kept.push(dataset);
            }
        }
        let mut all = kept;
        if let Some(order) = query.order_by.as_deref() {
            sort(&mut all, order)?;
        }
        self.offset_page(caller, all, start, limit).await
    }

    /// The datasets that a flow can export, for the data-lake spec and for every destination's.
    pub async fn exportable_datasets(
        &self,
        caller: &Caller,
        spec: &str,
        query: &ConfigsQuery,
    ) -> Result<DatasetPage, Fault> {
        if specs::connection_spec(spec).is_none() {
            return Err(not_found("connectionSpecs", spec));
        }
        required(
            "outputType",
            query.output_type.as_deref(),
            "activationDatasets",
        )?;
        required("outputField", query.output_field.as_deref(), "datasets")?;
        let (start, limit) = walk::offsets(query.start.as_deref(), query.limit.as_deref())?;
        let mut all = self.all_datasets(caller).await?;
        all.retain(|dataset| exportable(&dataset.body));
        self.offset_page(caller, all, start, limit).await
    }

    async fn all_datasets(&self, caller: &Caller) -> Result<Vec<Entity<Dataset>>, Fault> {
        let every = &ResourceQuery::default();
        let all = walk::all("datasets", |request| async move {
            self.page(caller, ResourceKind::Dataset, every, &request)
                .await
        });
        all.await?.into_iter().map(entity::dataset).collect()
    }

    async fn offset_page(
        &self,
        caller: &Caller,
        all: Vec<Entity<Dataset>>,
        start: u64,
        limit: u32,
    ) -> Result<DatasetPage, Fault> {
        let page = walk::page(all, start, limit);
        let mut items = Vec::new();
        for dataset in page.items {
            items.push(self.dataset_view(caller, dataset).await?);
        }
        Ok(OffsetPage {
            items,
            start: page.start,
            total: page.total,
        })
    }

    async fn dataset_view(
        &self,
        caller: &Caller,
        dataset: Entity<Dataset>,
    ) -> Result<DatasetView, Fault> {
        let last_batches = if self.intake.manages(&dataset.body.location) {
            self.last_batches(caller, &dataset.id).await?
        } else {
            LastBatches::default()
        };
        Ok(DatasetView {
            location: self.roots.display(&dataset.body.location),
            dataset,
            last_batches,
        })
    }

    async fn last_batches(&self, caller: &Caller, dataset: &str) -> Result<LastBatches, Fault> {
        let newest = |states: &[BatchState]| {
            let query = BatchQuery {
                dataset: Some(DatasetId(dataset.to_owned())),
                states: states.to_vec(),
            };
            async move {
                let page = PageRequest {
                    limit: 1,
                    after: None,
                    offset: 0,
                };
                let found = self.batches.list(&caller.tenant, &query, &page).await?;
                Ok::<_, Fault>(found.items.into_iter().next())
            }
        };
        let any = newest(&[]).await?;
        if any.is_none() {
            return Ok(LastBatches::default());
        }
        Ok(LastBatches {
            any: any.map(|batch| (batch.id, batch.state)),
            successful: newest(&[BatchState::Success]).await?.map(|it| it.id),
            failed: newest(&[BatchState::Failed]).await?.map(|it| it.id),
        })
    }
}

/// Everything but what the system manages for itself (contract, 6.6).
pub(crate) fn exportable(dataset: &Dataset) -> bool {
    let managed_by = dataset
        .extra
        .get("classification")
        .and_then(|it| it.get("managedBy"));
    managed_by.and_then(Value::as_str) != Some("SYSTEM")
}

fn required(name: &str, given: Option<&str>, expected: &str) -> Result<(), Fault> {
    if given == Some(expected) {
        return Ok(());
    }
    let given = given.map_or_else(String::new, |given| format!(", not [{given}]"));
    Err(Fault::new(
        ErrorCode::QueryParameterMissing,
        format!("query parameter {name} must be {expected}{given}"),
    ))
}

fn name_matches(name: &str, wanted: &str) -> bool {
    match wanted.strip_prefix('!') {
        Some(unwanted) => !unwanted.split(',').any(|pattern| wildcard(name, pattern)),
        None => wanted.split(',').any(|pattern| wildcard(name, pattern)),
    }
}

/// Whether `name` is `pattern`, where `*` stands for any text.
fn wildcard(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(mut tail) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match tail.find(piece) {
            Some(at) => tail = tail.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    tail.ends_with(last)
}

fn sort(datasets: &mut [Entity<Dataset>], order: &str) -> Result<(), Fault> {
    let (direction, field) = order.split_once(':').unwrap_or(("asc", order));
    match field {
        "name" => datasets.sort_by(|a, b| a.body.name.cmp(&b.body.name)),
        "created" => datasets.sort_by_key(|it| it.audit.created_at),
        "updated" => datasets.sort_by_key(|it| it.audit.updated_at),
        _ => return Err(order_invalid(order)),
    }
    match direction {
        "asc" => Ok(()),
        "desc" => {
            datasets.reverse();
            Ok(())
        }
        _ => Err(order_invalid(order)),
    }
}

fn order_invalid(order: &str) -> Fault {
    page_invalid(format!(
        "orderBy cannot be [{order}]; use asc: or desc: and name, created or updated"
    ))
}

#[cfg(test)]
mod tests {
    use super::{name_matches, wildcard};

    #[test]
    fn a_star_in_a_name_filter_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("Orders", "Orders", true),
            ("Orders", "Orders 2", false),
            ("Ord*", "Orders", true),
            ("*ers", "Orders", true),
            ("O*d*s", "Orders", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("*x*", "Orders", false),
        ] {
            assert_eq!(wildcard(name, pattern), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_name_filter_lists_alternatives_or_excludes_them() {
        assert!(name_matches("b", "a,b"));
        assert!(!name_matches("b", "!a,b"));
        assert!(name_matches("c", "!a,b"));
    }
}
