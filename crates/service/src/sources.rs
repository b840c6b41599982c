//! Source connections: which datasets (contract, 4.8).

use offtake_core::validate::DatasetChoice;
use offtake_core::{bounds, validate};
use offtake_model::resource::{ConnectionState, DatasetEntry, SourceConnection};
use offtake_model::{
    DatasetId, ErrorCode, Fault, Resource, ResourceBody, ResourceId, ResourceKind, Revision,
};
use offtake_ports::{Page, PageRequest, ResourceQuery};
use serde::Serialize;

use crate::datasets::exportable;
use crate::drafts::Start;
use crate::entity::{self, Entity};
use crate::identity::Caller;
use crate::inherit::{ConnectionHead, Heads};
use crate::listing::{Listed, Listing, Placed};
use crate::once::{Once, Slot};
use crate::service::{Changed, Service};

mod patch;

/// A source connection.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceView {
    /// The source connection.
    pub source: Entity<SourceConnection>,
    /// Its base connection, when it names one that exists.
    pub base: Option<ConnectionHead>,
}

impl SourceView {
    /// The etag, quotes included.
    pub fn etag(&self) -> &str {
        &self.source.etag
    }
}

impl Placed for SourceView {
    fn place(&self) -> (i64, String) {
        self.source.place()
    }
}

impl Service {
    /// Makes a source connection. Every dataset must exist, but for a draft; names that are missing are filled in.
    pub async fn create_source(
        &self,
        caller: &Caller,
        once: Once<'_>,
        start: Start,
    ) -> Result<Changed, Fault> {
        bounds::check(once.body)?;
        let draft = validate::source(once.body)?;
        let state = start.connection_state();
        let datasets = self.entries(caller, draft.datasets, state).await?;
        let fresh = self.new_uuid().to_string();
        let slot = self.slot(caller, ResourceKind::Source, once, fresh);
        let id = match slot.await? {
            Slot::Free(id) => id,
            Slot::Taken(made) => return Ok(made),
        };
        let resource = Resource {
            id: ResourceId(id),
            tenant: caller.tenant.clone(),
            revision: Revision(1),
            audit: Self::audit(caller, self.clock.now()),
            body: ResourceBody::Source(SourceConnection {
                name: draft.name,
                description: draft.description,
                spec: draft.spec,
                datasets,
                data: draft.data,
                base_connection_id: draft.base_connection_id,
                state,
            }),
        };
        self.insert(caller, &resource).await
    }

    /// The source connection of that id.
    pub async fn source(&self, caller: &Caller, id: &str) -> Result<SourceView, Fault> {
        let found = self.must_find(caller, ResourceKind::Source, id).await?;
        source_view(&mut Heads::new(self, caller), found).await
    }

    /// Deletes a source connection that no flow uses.
    pub async fn delete_source(&self, caller: &Caller, id: &str) -> Result<(), Fault> {
        self.delete_unused(caller, ResourceKind::Source, id, ErrorCode::ResourceInUse)
            .await
    }

    /// A list of source connections.
    pub async fn list_sources<T: Serialize>(
        &self,
        caller: &Caller,
        listing: &Listing,
        render: impl Fn(&SourceView) -> T,
    ) -> Result<Listed<T>, Fault> {
        let query = listing.connections();
        if let Some(count) = self
            .plain_count(caller, ResourceKind::Source, &query, listing)
            .await?
        {
            return Ok(Listed::Count(count));
        }
        let fetch = |request| self.sources_page(caller, &query, request);
        listing.answer(fetch, render).await
    }

    async fn sources_page(
        &self,
        caller: &Caller,
        query: &ResourceQuery,
        request: PageRequest,
    ) -> Result<Page<SourceView>, Fault> {
        let page = self
            .page(caller, ResourceKind::Source, query, &request)
            .await?;
        let mut heads = Heads::new(self, caller);
        let mut items = Vec::with_capacity(page.items.len());
        for resource in page.items {
            items.push(source_view(&mut heads, resource).await?);
        }
        Ok(Page {
            items,
            next: page.next,
        })
    }

    /// The datasets with their names. One that a draft names and that does not exist has its id for a name.
    async fn entries(
        &self,
        caller: &Caller,
        chosen: Vec<DatasetChoice>,
        state: ConnectionState,
    ) -> Result<Vec<DatasetEntry>, Fault> {
        let mut entries = Vec::with_capacity(chosen.len());
        for dataset in chosen {
            let known = match (self.known_dataset(caller, &dataset.id).await, state) {
                (Err(fault), ConnectionState::Draft) if fault.code == ErrorCode::DatasetUnknown => {
                    dataset.id.to_string()
                }
                (known, _) => known?,
            };
            entries.push(DatasetEntry {
                id: dataset.id,
                name: dataset.name.unwrap_or(known),
            });
        }
        Ok(entries)
    }

    /// The dataset's name; a dataset that is missing or cannot be exported is refused by its id.
    pub(crate) async fn known_dataset(
        &self,
        caller: &Caller,
        id: &DatasetId,
    ) -> Result<String, Fault> {
        let found = self
            .find(caller, ResourceKind::Dataset, id.as_str())
            .await?;
        let dataset = found.map(entity::dataset).transpose()?;
        dataset
            .filter(|dataset| exportable(&dataset.body))
            .map(|dataset| dataset.body.name)
            .ok_or_else(|| {
                Fault::new(
                    ErrorCode::DatasetUnknown,
                    format!("dataset [{id}] does not exist in this sandbox or cannot be exported"),
                )
            })
    }
}

async fn source_view(heads: &mut Heads<'_>, resource: Resource) -> Result<SourceView, Fault> {
    let source = entity::source(resource)?;
    let base = match &source.body.base_connection_id {
        Some(id) => heads.base(id).await?,
        None => None,
    };
    Ok(SourceView { source, base })
}
