//! Datasets: tables of the lake, registered by location (contract, 4.6 and 10.1).

use offtake_core::{specs, validate};
use offtake_model::resource::Dataset;
use offtake_model::{
    DatasetId, ErrorCode, Fault, Resource, ResourceBody, ResourceId, ResourceKind, Revision,
};
use offtake_ports::PageRequest;
use serde_json::Value;

use crate::entity::{self, Entity};
use crate::identity::Caller;
use crate::listing::{PAGE_ITEMS_MAX, page_invalid, parse_limit};
use crate::service::{Changed, Service, not_found};

/// Most datasets looked at for one answer.
const DATASETS_MAX: usize = 50_000;

/// Datasets read at a time.
const READ_ROWS: u32 = 500;

/// A dataset with its location as text.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetView {
    /// The dataset.
    pub dataset: Entity<Dataset>,
    /// `lake://<root>/<path>`.
    pub location: String,
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
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetPage {
    /// The datasets.
    pub items: Vec<DatasetView>,
    /// Index of the first one.
    pub start: u64,
    /// How many there are.
    pub total: u64,
}

impl Service {
    /// Registers a table of the lake as a dataset. The table must exist and be readable.
    pub async fn create_dataset(&self, caller: &Caller, body: &Value) -> Result<Changed, Fault> {
        let draft = validate::dataset(body)?;
        let source = self.roots.resolve(&caller.tenant.org, &draft.location)?;
        let table = self.catalog.describe(&source).await?;
        let now = self.clock.now();
        let resource = Resource {
            id: ResourceId::from(DatasetId(self.random_hex(12))),
            tenant: caller.tenant.clone(),
            revision: Revision(1),
            audit: Self::audit(caller, now),
            body: ResourceBody::Dataset(Dataset {
                name: draft.name,
                location: source,
                format: table.format,
                extra: draft.extra,
            }),
        };
        self.resources.insert(&resource).await?;
        Ok(Changed::of(&resource))
    }

    /// The dataset of that id.
    pub async fn dataset(&self, caller: &Caller, id: &str) -> Result<DatasetView, Fault> {
        let found = self.must_find(caller, ResourceKind::Dataset, id).await?;
        Ok(self.dataset_view(entity::dataset(found)?))
    }

    /// A page of the catalogue.
    pub async fn datasets(
        &self,
        caller: &Caller,
        query: &DatasetQuery,
    ) -> Result<DatasetPage, Fault> {
        let (start, limit) = offsets(query.start.as_deref(), query.limit.as_deref())?;
        let mut all = self.all_datasets(caller).await?;
        if let Some(names) = query.name.as_deref() {
            all.retain(|dataset| name_matches(&dataset.body.name, names));
        }
        if let Some(order) = query.order_by.as_deref() {
            sort(&mut all, order)?;
        }
        Ok(self.offset_page(all, start, limit))
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
        let (start, limit) = offsets(query.start.as_deref(), query.limit.as_deref())?;
        let mut all = self.all_datasets(caller).await?;
        all.retain(|dataset| exportable(&dataset.body));
        Ok(self.offset_page(all, start, limit))
    }

    async fn all_datasets(&self, caller: &Caller) -> Result<Vec<Entity<Dataset>>, Fault> {
        let mut all = Vec::new();
        let mut after = None;
        while all.len() < DATASETS_MAX {
            let request = PageRequest {
                limit: READ_ROWS,
                after,
                offset: 0,
            };
            let page = self
                .resources
                .list(&caller.tenant, ResourceKind::Dataset, &request)
                .await?;
            for resource in page.items {
                all.push(entity::dataset(resource)?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
        Err(page_invalid(format!(
            "more than {DATASETS_MAX} datasets cannot be listed"
        )))
    }

    fn offset_page(&self, all: Vec<Entity<Dataset>>, start: u64, limit: u32) -> DatasetPage {
        let total = all.len() as u64;
        let skip = usize::try_from(start).unwrap_or(usize::MAX);
        let items = all.into_iter().skip(skip).take(limit as usize);
        DatasetPage {
            items: items.map(|dataset| self.dataset_view(dataset)).collect(),
            start,
            total,
        }
    }

    fn dataset_view(&self, dataset: Entity<Dataset>) -> DatasetView {
        DatasetView {
            location: self.roots.display(&dataset.body.location),
            dataset,
        }
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

fn offsets(start: Option<&str>, limit: Option<&str>) -> Result<(u64, u32), Fault> {
    let text = start.unwrap_or("0");
    let start = text
        .parse()
        .map_err(|_| page_invalid(format!("start must be a whole number from 0, not [{text}]")))?;
    Ok((start, parse_limit(limit, PAGE_ITEMS_MAX)?))
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
